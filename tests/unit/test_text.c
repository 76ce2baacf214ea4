/* Owns: the tests of daemons/common/text.c. */
#include <string.h>

#include <jansson.h>

#include "runner.h"
#include "text.h"

START_TEST(what_does_not_fit_sets_failed_and_leaves_the_rest)
{
    fpd_text t = FPD_TEXT_INIT(10);

    fpd_text_string(&t, "123456");
    ck_assert(!t.failed);
    fpd_text_string(&t, "78901");
    ck_assert(t.failed);
    ck_assert_str_eq(t.data, "123456");
    fpd_text_string(&t, "7");
    ck_assert_uint_eq(t.size, 6);
    fpd_text_clear(&t, 1024);
    ck_assert(!t.failed);
    fpd_text_string(&t, "1234567890");
    ck_assert(!t.failed);
    ck_assert_uint_eq(t.size, 10);
    fpd_text_dispose(&t);
}
END_TEST

START_TEST(printf_takes_any_length)
{
    fpd_text t = FPD_TEXT_INIT(100000);
    char long_text[3000];

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (int i = 0; i < 20; i++)
        fpd_text_printf(&t, "%s%d;", long_text, i);
    ck_assert(!t.failed);
    ck_assert_uint_eq(t.size, 20 * 2999 + 10 * 2 + 10 * 3);
    ck_assert_uint_eq(strlen(t.data), t.size);
    fpd_text_dispose(&t);
}
END_TEST

/* Whatever bytes come from outside, a log line or an answer stays JSON. */
START_TEST(any_bytes_become_a_json_string)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        fpd_text t = FPD_TEXT_INIT(4096);
        char bytes[40];
        json_t *json;

        srand(seed);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)(rand() % 256);
        fpd_text_string(&t, "[");
        fpd_text_json_bytes(&t, bytes, sizeof(bytes));
        fpd_text_string(&t, "]");
        json = json_loadb(t.data, t.size, JSON_ALLOW_NUL, NULL);
        ck_assert_msg(json != NULL, "seed %u: %s", seed, t.data);
        json_decref(json);
        fpd_text_dispose(&t);
    }
}
END_TEST

START_TEST(json_strings_come_back_as_they_were)
{
    static const char *const texts[] = { "", "plain", "a\"b\\c/d", "line\r\n\ttab\x01\x1f\x7f",
                                         "K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x9a\x80" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        fpd_text t = FPD_TEXT_INIT(4096);
        json_t *json;

        fpd_text_json(&t, texts[i]);
        json = json_loads(t.data, JSON_DECODE_ANY, NULL);
        ck_assert_ptr_nonnull(json);
        ck_assert_str_eq(json_string_value(json), texts[i]);
        json_decref(json);
        fpd_text_dispose(&t);
    }
}
END_TEST

START_TEST(malformed_utf8_is_seen)
{
    static const char *const bad[] = { "\x80",
                                       "\xc0\xaf",
                                       "\xc3",
                                       "\xe2\x82",
                                       "\xed\xa0\x80",
                                       "\xe0\x80\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xf0\x80\x80\x80",
                                       "\xff",
                                       "\xc3\x41" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_uint_eq(fpd_utf8_length(bad[i], strlen(bad[i])), 0);
    ck_assert_uint_eq(fpd_utf8_length("\xf4\x8f\xbf\xbf", 4), 4);
    ck_assert_uint_eq(fpd_utf8_length("", 0), 0);
}
END_TEST

START_TEST(null_is_json_null)
{
    fpd_text t = FPD_TEXT_INIT(100);

    fpd_text_json(&t, NULL);
    ck_assert_str_eq(t.data, "null");
    fpd_text_dispose(&t);
}
END_TEST

RUN_TESTS("text", what_does_not_fit_sets_failed_and_leaves_the_rest, printf_takes_any_length,
          any_bytes_become_a_json_string, json_strings_come_back_as_they_were,
          malformed_utf8_is_seen, null_is_json_null)
