/* Owns: the tests of core/json.c. */
#include <string.h>

#include "core/json.h"
#include "fault.h"
#include "runner.h"

static fp_error err;

static fp_status parse(const char *text, size_t size)
{
    FPI_CLEANUP(json_t) json = NULL;

    return fpi_json_parse(text, size, "body", &json, &err);
}

START_TEST(good_documents_are_parsed)
{
    static const char *const good[] = {
        "{}", "[]", "7", "\"x\"", "null", " {\"a\": [1, 2.5, \"\\u00e9\"]} ", "\"[[[[ { \\\" [[[\""
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(parse(good[i], strlen(good[i])) == FILEPROC_OK, "%s: %s", good[i],
                      err.message);
    ck_assert_int_eq(parse("[1]rubbish", 3), FILEPROC_OK);
}
END_TEST

START_TEST(bad_documents_are_refused_with_their_place)
{
    static const char *const bad[] = {
        "",    " ",        "{",           "}",        "[1,]",  "{\"a\":1,\"a\":2}", "[1] x", "nul",
        "'x'", "\"\xff\"", "\"\\u0000\"", "[\"\n\"]", "1e999", "{\"a\" 1}"
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(parse(bad[i], strlen(bad[i])) == FILEPROC_ERR_INVALID, "%s", bad[i]);
        ck_assert_msg(strncmp(err.message, "body: line ", 11) == 0, "%s", err.message);
    }
    ck_assert_int_eq(parse("[1,\n2,\n!]", 9), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "line 3"));
}
END_TEST

START_TEST(depth_is_limited)
{
    static char text[200000];

    memset(text, '[', FPI_JSON_DEPTH);
    memset(text + FPI_JSON_DEPTH, ']', FPI_JSON_DEPTH);
    ck_assert_int_eq(parse(text, 2 * FPI_JSON_DEPTH), FILEPROC_OK);
    memset(text, '[', FPI_JSON_DEPTH + 1);
    memset(text + FPI_JSON_DEPTH + 1, ']', FPI_JSON_DEPTH + 1);
    ck_assert_int_eq(parse(text, 2 * FPI_JSON_DEPTH + 2), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "nested deeper"));
    memset(text, '[', sizeof(text));
    ck_assert_int_eq(parse(text, sizeof(text)), FILEPROC_ERR_INVALID);
    memset(text, ']', 100);
    ck_assert_int_eq(parse(text, sizeof(text)), FILEPROC_ERR_INVALID);
}
END_TEST

START_TEST(dump_survives_every_allocation_failure)
{
    FPI_CLEANUP(json_t) json = json_object();
    fault f;

    for (int i = 0; i < 50; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        ck_assert_int_eq(fpi_json_set(json, key, json_string("some text"), &err), FILEPROC_OK);
    }
    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf out = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_status rc;
        char *text;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
        ck_assert_int_eq(fpi_buf_text(ctx, &out, "before", &err), FILEPROC_OK);
        fault_arm(&f);
        rc = fpi_json_dump(ctx, json, &out, &err);
        if (rc < 0)
            ck_assert_str_eq(out.data, "before");
        text = fpi_json_text(ctx, json);
        fault_disarm(&f);
        ck_assert(f.injected == (rc < 0 || !text));
        if (rc < 0)
            ck_assert_int_eq(err.code, FILEPROC_ERR_NOMEM);
        else if (text)
            ck_assert_str_eq(out.data + 6, text);
        fpi_free(&f.allocator, text);
        fp_buf_dispose(&out);
        fp_context_free(ctx);
    }
}
END_TEST

START_TEST(members_are_set_or_the_failure_is_told)
{
    FPI_CLEANUP(json_t) json = json_object();
    char *text;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_set(json, "a", fpi_json_string("x"), &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_set(json, "b", fpi_json_string(NULL), &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_set(json, "c", fpi_json_time(0), &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_set(json, "d", fpi_json_time(1), &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_set(json, "e", fpi_json_string("\xff"), &err), FILEPROC_ERR_NOMEM);
    ck_assert_int_eq(fpi_json_set(json, "e", NULL, &err), FILEPROC_ERR_NOMEM);
    text = fpi_json_text(ctx, json);
    ck_assert_str_eq(text,
                     "{\"a\":\"x\",\"b\":null,\"c\":null,\"d\":\"1970-01-01T00:00:00.001Z\"}");
    fpi_free(&ctx->a, text);
    fp_context_free(ctx);
}
END_TEST

START_TEST(decimal_numbers_come_out_as_they_went_in)
{
    static const char text[] = "[5.6,0.1,1e-7,123456.789012345,1.0,-0.333333333333333]";
    FPI_CLEANUP(json_t) json = NULL;
    fp_context *ctx = NULL;
    char *again;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_parse(text, strlen(text), "test", &json, &err), FILEPROC_OK);
    again = fpi_json_text(ctx, json);
    ck_assert_str_eq(again, text);
    fpi_free(&ctx->a, again);
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("json", good_documents_are_parsed, bad_documents_are_refused_with_their_place,
          depth_is_limited, dump_survives_every_allocation_failure,
          members_are_set_or_the_failure_is_told, decimal_numbers_come_out_as_they_went_in)
