/* Owns: the promises of file records as JSON.
 * Must not know: where records come from. */
#include <string.h>

#include "catalog_world.h"
#include "core/json.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static const fp_file sample = { .struct_size = sizeof(fp_file),
                                .id = "0198c000-0000-7000-8000-000000000001",
                                .filename = "a\"\\\n\xf0\x9f\x98\x80.png",
                                .size = INT64_MAX,
                                .mime_type = "image/png",
                                .state = "available",
                                .owner = "alice",
                                .storage_key = "secret/key",
                                .info = "{\"image\":{\"width\":3}}",
                                .created_at_ms = 1700000000123 };

START_TEST(json_shows_the_members_of_the_api_in_order)
{
    FPI_DISPOSE(fp_buf) out = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_file_to_json(ctx, &sample, &out, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(out.data,
                     "{\"id\":\"0198c000-0000-7000-8000-000000000001\","
                     "\"filename\":\"a\\\"\\\\\\n\xf0\x9f\x98\x80.png\","
                     "\"size\":9223372036854775807,\"mime_type\":\"image/png\","
                     "\"detected_mime_type\":null,\"sha256\":null,\"state\":\"available\","
                     "\"owner\":\"alice\",\"parent_id\":null,\"operation\":null,"
                     "\"created_at\":\"2023-11-14T22:13:20.123Z\","
                     "\"info\":{\"image\":{\"width\":3}}}");
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    FPI_DISPOSE(fp_buf) out = FILEPROC_BUF_INIT;
    fp_file damaged = sample;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_file_to_json(NULL, &sample, &out, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_file_to_json(ctx, NULL, &out, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_file_to_json(ctx, &sample, NULL, NULL), FILEPROC_ERR_INVALID);
    damaged.info = "{";
    ck_assert_int_eq(fp_file_to_json(ctx, &damaged, &out, NULL), FILEPROC_ERR_INVALID);
    damaged.info = NULL;
    ck_assert_int_eq(fp_file_to_json(ctx, &damaged, &out, NULL), FILEPROC_ERR_INVALID);
    ck_assert_uint_eq(out.size, 0);
    fp_context_free(ctx);
}
END_TEST

START_TEST(to_json_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf out = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        ck_status(fpi_buf_text(ctx, &out, "before", &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_file_to_json(ctx, &sample, &out, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_str_eq(out.data, "before");
        else
            ck_assert_uint_gt(out.size, 6);
        fp_buf_dispose(&out);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("file", json_shows_the_members_of_the_api_in_order, wrong_arguments_are_refused,
          to_json_survives_every_allocation_failure)
