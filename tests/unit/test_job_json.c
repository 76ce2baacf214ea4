/* Owns: the tests of job/job_json.c.
 * Must not know: the database. */
#include <string.h>

#include "core/buf_private.h"
#include "fault.h"
#include "job/job_private.h"
#include "runner.h"
#include "scratch.h"

static const fp_job fresh = {
    .struct_size = sizeof(fp_job),
    .id = "0198c000-0000-7000-8000-000000000001",
    .file_id = "0198c000-0000-7000-8000-000000000002",
    .owner = "alice",
    .pipeline = "image",
    .state = "queued",
    .steps = "[{\"name\":\"a\",\"outputs\":[]}]",
    .created_at_ms = 1700000000123,
    .max_attempts = 5,
};

static const fp_job failed = {
    .struct_size = sizeof(fp_job),
    .id = "1",
    .file_id = "2",
    .pipeline = "inline",
    .state = "failed",
    .steps = "[]",
    .error_code = "media_damaged",
    .error_detail = "cut \"short\"",
    .result = "{\"a\":{\"n\":1}}",
    .progress = 0.5,
    .created_at_ms = 1700000000000,
    .started_at_ms = 1700000001000,
    .finished_at_ms = 1700000002000,
    .attempt = 1,
    .max_attempts = 5,
    .error_permanent = 1,
};

static void must_show(const fp_job *job, const char *expected)
{
    fp_buf text = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_job_to_json(ctx, job, &text, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(text.data, expected);
    fp_buf_dispose(&text);
    fp_context_free(ctx);
}

START_TEST(what_is_not_yet_is_null)
{
    must_show(&fresh, "{\"id\":\"0198c000-0000-7000-8000-000000000001\","
                      "\"file_id\":\"0198c000-0000-7000-8000-000000000002\",\"pipeline\":\"image\","
                      "\"state\":\"queued\",\"attempt\":0,\"max_attempts\":5,\"progress\":0.0,"
                      "\"steps\":[{\"name\":\"a\",\"outputs\":[]}],\"error\":null,\"result\":null,"
                      "\"created_at\":\"2023-11-14T22:13:20.123Z\",\"started_at\":null,"
                      "\"finished_at\":null}");
}
END_TEST

START_TEST(all_that_is_known_is_shown)
{
    must_show(&failed,
              "{\"id\":\"1\",\"file_id\":\"2\",\"pipeline\":\"inline\",\"state\":\"failed\","
              "\"attempt\":1,\"max_attempts\":5,\"progress\":0.5,\"steps\":[],"
              "\"error\":{\"code\":\"media_damaged\",\"detail\":\"cut \\\"short\\\"\","
              "\"permanent\":true},\"result\":{\"a\":{\"n\":1}},"
              "\"created_at\":\"2023-11-14T22:13:20.000Z\","
              "\"started_at\":\"2023-11-14T22:13:21.000Z\","
              "\"finished_at\":\"2023-11-14T22:13:22.000Z\"}");
}
END_TEST

START_TEST(json_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf text = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        ck_status(fpi_buf_text(ctx, &text, "before", &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_job_to_json(ctx, &failed, &text, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_str_eq(text.data, "before");
        fp_buf_dispose(&text);
        fp_context_free(ctx);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_buf text = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_job_to_json(NULL, &fresh, &text, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_to_json(ctx, NULL, &text, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_to_json(ctx, &fresh, NULL, NULL), FILEPROC_ERR_INVALID);
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("job_json", what_is_not_yet_is_null, all_that_is_known_is_shown,
          json_survives_every_allocation_failure, wrong_arguments_are_refused)
