/* Owns: the promises of an upload's record: how it looks as JSON, its copies.
 * Must not know: the engine. */
#include <jansson.h>
#include <locale.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "upload/upload_record.h"

static fp_upload sample(void)
{
    return (fp_upload){ .struct_size = sizeof(fp_upload),
                        .id = "0198c000-0000-7000-8000-000000000001",
                        .filename = "h\xc3\xa4user \"x\".png",
                        .mime_type = "image/png",
                        .owner = "alice",
                        .status = "completed",
                        .metadata = "{\"a\": 0.1, \"b\":[1,2]}",
                        .file_id = "f1",
                        .job_id = "j1",
                        .sha256 = "abc",
                        .storage_url = "file://uploads/files/f1",
                        .size = 9000000000,
                        .bytes_received = 6000000000,
                        .chunk_size = 3000000000,
                        .chunks_uploaded = 2,
                        .total_chunks = 3,
                        .created_at_ms = 1750000000000,
                        .updated_at_ms = 1750000000001,
                        .expires_at_ms = 1750003600000,
                        .expected_sha256 = "def" };
}

START_TEST(json_has_all_members)
{
    fp_upload u = sample();
    fp_buf json = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_upload_to_json(ctx, &u, &json, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(json.data,
                     "{\"id\":\"0198c000-0000-7000-8000-000000000001\","
                     "\"filename\":\"h\xc3\xa4user \\\"x\\\".png\",\"size\":9000000000,"
                     "\"mime_type\":\"image/png\",\"user_id\":\"alice\",\"status\":\"completed\","
                     "\"chunks_uploaded\":2,\"total_chunks\":3,\"bytes_received\":6000000000,"
                     "\"chunk_size\":3000000000,\"created_at\":\"2025-06-15T15:06:40.000Z\","
                     "\"updated_at\":\"2025-06-15T15:06:40.001Z\","
                     "\"expires_at\":\"2025-06-15T16:06:40.000Z\",\"file_id\":\"f1\","
                     "\"processing_job_id\":\"j1\",\"sha256\":\"abc\",\"expected_sha256\":\"def\","
                     "\"percentage\":66.67,"
                     "\"metadata\":{\"a\": 0.1, \"b\":[1,2]}}");
    fp_buf_dispose(&json);
    fp_context_free(ctx);
}
END_TEST

START_TEST(json_shows_what_is_missing_as_null)
{
    fp_upload u = sample();
    fp_buf json = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    json_t *o;

    u.owner = u.metadata = u.file_id = u.job_id = NULL;
    u.total_chunks = u.chunks_uploaded = 0;
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_upload_to_json(ctx, &u, &json, &err), FILEPROC_OK, &err);
    o = json_loads(json.data, 0, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert(json_is_null(json_object_get(o, "user_id")));
    ck_assert(json_is_null(json_object_get(o, "metadata")));
    ck_assert(json_is_null(json_object_get(o, "file_id")));
    ck_assert(json_is_null(json_object_get(o, "processing_job_id")));
    ck_assert_double_eq(json_real_value(json_object_get(o, "percentage")), 100.0);
    json_decref(o);
    ck_assert_int_eq(fp_upload_to_json(NULL, &u, &json, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_upload_to_json(ctx, NULL, &json, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_upload_to_json(ctx, &u, NULL, NULL), FILEPROC_ERR_INVALID);
    fp_buf_dispose(&json);
    fp_context_free(ctx);
}
END_TEST

START_TEST(json_and_copy_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_upload u = sample(), *copy = NULL;
        fp_buf json = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fpi_upload_copy(ctx, &u, &copy, &err);
        if (rc == FILEPROC_OK)
            rc = fp_upload_to_json(ctx, copy, &json, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0) {
            ck_assert_uint_eq(json.size, 0);
        } else {
            ck_assert_str_eq(copy->storage_url, u.storage_url);
            ck_assert_ptr_ne(copy->storage_url, u.storage_url);
        }
        fp_buf_dispose(&json);
        fp_upload_free(copy);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("upload_record", json_has_all_members, json_shows_what_is_missing_as_null,
          json_and_copy_survive_every_allocation_failure)
