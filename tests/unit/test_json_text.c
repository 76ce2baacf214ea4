/* Owns: the promises of core/json_text.h.
 * Must not know: who writes with it. */
#include "core/json_text.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static fp_context *ctx_new(void)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    return ctx;
}

START_TEST(object_is_the_same_as_from_jansson)
{
    static const char *const texts[] = { "", "plain", "\"quoted\" \\ / \b\f\n\r\t\x01\x1f\x7f",
                                         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", NULL };
    fp_context *ctx = ctx_new();

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        FPI_DISPOSE(fp_buf) ours = FILEPROC_BUF_INIT;
        FPI_DISPOSE(fp_buf) theirs = FILEPROC_BUF_INIT;
        FPI_CLEANUP(json_t) o = json_object();
        fp_error err = { 0 };
        fpi_json_object w;

        fpi_json_begin(&w, ctx, &ours, 10, &err);
        fpi_json_add_text(&w, "text", texts[i]);
        fpi_json_add_integer(&w, "number", 1234567890123);
        fpi_json_add_time(&w, "time", 1700000000123);
        fpi_json_add_time(&w, "never", 0);
        fpi_json_add_json(&w, "more", "{\"a\":[1]}");
        ck_status(fpi_json_end(&w), FILEPROC_OK, &err);
        json_object_set_new(o, "text", fpi_json_string(texts[i]));
        json_object_set_new(o, "number", json_integer(1234567890123));
        json_object_set_new(o, "time", fpi_json_time(1700000000123));
        json_object_set_new(o, "never", fpi_json_time(0));
        json_object_set_new(o, "more", json_loads("{\"a\":[1]}", 0, NULL));
        ck_status(fpi_json_dump(ctx, o, &theirs, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(ours.data, theirs.data);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(object_without_members_is_empty)
{
    FPI_DISPOSE(fp_buf) buf = FILEPROC_BUF_INIT;
    fp_context *ctx = ctx_new();
    fpi_json_object w;

    fpi_json_begin(&w, ctx, &buf, 0, NULL);
    ck_assert_int_eq(fpi_json_end(&w), FILEPROC_OK);
    ck_assert_str_eq(buf.data, "{}");
    fp_buf_dispose(&buf);
    fp_context_free(ctx);
}
END_TEST

START_TEST(what_is_not_utf8_is_refused_and_nothing_is_left)
{
    static const char *const texts[] = { "\xff", "a\xc3", "\xed\xa0\x80", "ok \x80" };
    fp_context *ctx = ctx_new();

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        FPI_DISPOSE(fp_buf) buf = FILEPROC_BUF_INIT;
        fp_error err = { 0 };
        fpi_json_object w;

        ck_status(fpi_buf_text(ctx, &buf, "before", &err), FILEPROC_OK, &err);
        fpi_json_begin(&w, ctx, &buf, 10, &err);
        fpi_json_add_text(&w, "text", texts[i]);
        fpi_json_add_text(&w, "good", "text");
        ck_status(fpi_json_end(&w), FILEPROC_ERR_CORRUPT, &err);
        ck_assert_str_eq(buf.data, "before");
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(writing_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf buf = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fpi_json_object w;
        char text[300];
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        memset(text, '"', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        fault_arm(&f);
        fpi_json_begin(&w, ctx, &buf, 1, &err);
        fpi_json_add_text(&w, "text", text);
        rc = fpi_json_end(&w);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_uint_eq(buf.size, 0);
        fp_buf_dispose(&buf);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("json_text", object_is_the_same_as_from_jansson, object_without_members_is_empty,
          what_is_not_utf8_is_refused_and_nothing_is_left,
          writing_survives_every_allocation_failure)
