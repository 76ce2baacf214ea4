/* Owns: the tests of daemons/common/json_body.c. */
#include "fake_http.h"
#include "json_body.h"
#include "runner.h"

/* The status of a refusal; 0 = it was taken. */
static int status_of(const char *lines, const char *body, bool optional)
{
    fake_http f;
    char all[1024];
    json_t *json;
    int status;

    snprintf(all, sizeof(all), "%s%sContent-Length: %zu", lines, *lines ? "\n" : "", strlen(body));
    fake_init(&f, "POST", "/", all);
    fake_body(&f, body, strlen(body));
    json = fpd_json_body(fake_request(&f), optional);
    status = fake_status(&f);
    ck_assert((json != NULL) == (status == 0));
    json_decref(json);
    fake_dispose(&f);
    return status;
}

START_TEST(objects_are_taken)
{
    ck_assert_int_eq(status_of("Content-Type: application/json", "{\"a\": 1}", false), 0);
    ck_assert_int_eq(status_of("Content-Type: application/json; charset=utf-8", " {} ", false), 0);
    ck_assert_int_eq(status_of("", "{}", false), 0);
    ck_assert_int_eq(status_of("", "", true), 0);
}
END_TEST

START_TEST(malformed_json_is_400)
{
    static const char *const bad[] = {
        "",      "{",          "{\"a\":}",         "{'a':1}",           "nul",
        "{} {}", "{\"a\":1,}", "{\"a\":\"\xff\"}", "{\"a\":1,\"a\":2}", "\xef\xbb\xbf{}"
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(status_of("", bad[i], false) == 400, "%s", bad[i]);
}
END_TEST

START_TEST(good_json_of_the_wrong_kind_is_422)
{
    static const char *const bad[] = {
        "[]", "1", "\"text\"", "null", "{\"a\":\"\\u0000\"}", "{\"a\":99999999999999999999999}"
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(status_of("", bad[i], false) == 422, "%s", bad[i]);
}
END_TEST

START_TEST(other_types_are_415)
{
    ck_assert_int_eq(status_of("Content-Type: text/plain", "{}", false), 415);
    ck_assert_int_eq(status_of("Content-Type: application/x-www-form-urlencoded", "{}", false),
                     415);
    ck_assert_int_eq(status_of("Content-Type: application/json-seq", "{}", true), 415);
}
END_TEST

START_TEST(large_bodies_are_413)
{
    fake_http f;

    fake_init(&f, "POST", "/", "Content-Length: 1048577");
    ck_assert_ptr_null(fpd_json_body(fake_request(&f), false));
    ck_assert_int_eq(fake_status(&f), 413);
    ck_assert_uint_eq(f.body_at, 0);
    fake_dispose(&f);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    char deep[400];
    size_t n = 0;

    for (int i = 0; i < FPD_JSON_DEPTH + 1; i++)
        n += (size_t)snprintf(deep + n, sizeof(deep) - n, "{\"a\":");
    ck_assert_int_eq(status_of("", deep, false), 400);
    ck_assert_int_eq(
        status_of(
            "",
            "{\"brackets in text\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}",
            false),
        0);
}
END_TEST

static int string_status(const char *body, bool required, const char *wanted)
{
    fake_http f;
    json_t *json = json_loads(body, 0, NULL);
    const char *value = "untouched";
    int status;

    fake_init(&f, "POST", "/", "");
    if (fpd_json_string(fake_request(&f), json, "a", required, &value)) {
        if (wanted)
            ck_assert_str_eq(value, wanted);
        else
            ck_assert_ptr_null(value);
    }
    status = fake_status(&f);
    json_decref(json);
    fake_dispose(&f);
    return status;
}

START_TEST(strings_are_checked)
{
    ck_assert_int_eq(string_status("{\"a\":\"x\"}", true, "x"), 0);
    ck_assert_int_eq(string_status("{}", true, NULL), 422);
    ck_assert_int_eq(string_status("{\"a\":null}", true, NULL), 422);
    ck_assert_int_eq(string_status("{\"a\":1}", true, NULL), 422);
    ck_assert_int_eq(string_status("{}", false, NULL), 0);
    ck_assert_int_eq(string_status("{\"a\":null}", false, NULL), 0);
    ck_assert_int_eq(string_status("{\"a\":[]}", false, NULL), 422);
}
END_TEST

static int size_status(const char *body, uint64_t wanted)
{
    fake_http f;
    json_t *json = json_loads(body, 0, NULL);
    uint64_t value = 77;
    int status;

    fake_init(&f, "POST", "/", "");
    if (fpd_json_size(fake_request(&f), json, "a", &value))
        ck_assert_uint_eq(value, wanted);
    else
        ck_assert_uint_eq(value, 77);
    status = fake_status(&f);
    json_decref(json);
    fake_dispose(&f);
    return status;
}

START_TEST(sizes_are_checked)
{
    ck_assert_int_eq(size_status("{\"a\":0}", 0), 0);
    ck_assert_int_eq(size_status("{\"a\":9223372036854775807}", INT64_MAX), 0);
    ck_assert_int_eq(size_status("{\"a\":-1}", 0), 422);
    ck_assert_int_eq(size_status("{\"a\":1.5}", 0), 422);
    ck_assert_int_eq(size_status("{\"a\":1.0}", 0), 422);
    ck_assert_int_eq(size_status("{\"a\":\"1\"}", 0), 422);
    ck_assert_int_eq(size_status("{\"a\":true}", 0), 422);
    ck_assert_int_eq(size_status("{}", 0), 422);
}
END_TEST

RUN_TESTS("json_body", objects_are_taken, malformed_json_is_400, good_json_of_the_wrong_kind_is_422,
          other_types_are_415, large_bodies_are_413, deep_nesting_is_refused, strings_are_checked,
          sizes_are_checked)
