/* Owns: the promises of an upload's beginning: what may be asked for, and that it is durable.
 * Must not know: chunks. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "upload_world.h"

static upload_world w;

static fp_upload_request good(void)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;

    r.filename = "photo.jpg";
    r.mime_type = "image/jpeg";
    r.owner = "alice";
    r.metadata = "{\"album\": \"x\", \"n\": 1.10}";
    r.size = 2500;
    return r;
}

static void refused(fp_upload_request r, fp_status code, const char *reason)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_reason(fp_upload_create(w.ups, &r, &u, &err), code, reason, &err);
    ck_assert_ptr_null(u);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 0);
}

START_TEST(session_is_as_asked_for_and_durable)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = good();
        fp_upload *u = NULL, *again;
        fp_error err = { 0 };

        r.filename = "..\\a/b/photo.jpg";
        r.mime_type = " Image/JPEG; q=1";
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(atomic_load(&w.told), 1);
        upload_world_reopen(&w);
        again = must_get(&w, u->id);
        for (int i = 0; i < 2; i++) {
            const fp_upload *seen = i ? again : u;

            ck_assert_uint_eq(seen->struct_size, sizeof(*seen));
            ck_assert_str_eq(seen->filename, "photo.jpg");
            ck_assert_str_eq(seen->mime_type, "image/jpeg");
            ck_assert_str_eq(seen->owner, "alice");
            ck_assert_str_eq(seen->metadata, r.metadata);
            ck_assert_str_eq(seen->status, "initiated");
            ck_assert_uint_eq(seen->size, 2500);
            ck_assert_uint_eq(seen->chunk_size, 1000);
            ck_assert_uint_eq(seen->total_chunks, 3);
            ck_assert_uint_eq(seen->chunks_uploaded, 0);
            ck_assert_int_eq(seen->created_at_ms, atomic_load(&w.now_ms));
            ck_assert_int_eq(seen->expires_at_ms, seen->created_at_ms + 3600000);
            ck_assert_ptr_null(seen->file_id);
            ck_assert_ptr_null(seen->job_id);
            ck_assert_ptr_null(seen->sha256);
            ck_assert_ptr_null(seen->storage_url);
        }
        fp_upload_free(again);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(optional_members_may_be_missing)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = good();
        fp_upload *u = NULL;
        fp_error err = { 0 };

        r.owner = "";
        r.metadata = NULL;
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        ck_assert_ptr_null(u->owner);
        ck_assert_ptr_null(u->metadata);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(bad_requests_are_refused)
{
    EACH_STORE(&w)
    {
        fp_upload_request r;
        char *large = malloc(17000);

        memset(large, 'x', 16999);
        large[16999] = '\0';
        r = good();
        r.filename = "a\nb";
        refused(r, FILEPROC_ERR_INVALID, "filename_invalid");
        r.filename = "a/";
        refused(r, FILEPROC_ERR_INVALID, "filename_invalid");
        r.filename = large;
        refused(r, FILEPROC_ERR_INVALID, "filename_invalid");
        r.filename = NULL;
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        r = good();
        r.mime_type = "nonsense";
        refused(r, FILEPROC_ERR_INVALID, "type_not_allowed");
        r.mime_type = NULL;
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        r = good();
        r.metadata = "[]";
        refused(r, FILEPROC_ERR_INVALID, "metadata_invalid");
        r.metadata = "{";
        refused(r, FILEPROC_ERR_INVALID, "metadata_invalid");
        r.metadata = large;
        refused(r, FILEPROC_ERR_INVALID, "metadata_invalid");
        r = good();
        r.owner = "a\x01";
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        r.owner = "\xff";
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        large[256] = '\0';
        r.owner = large;
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        r = good();
        r.size = ((uint64_t)100 << 20) + 1;
        refused(r, FILEPROC_ERR_QUOTA, "size_too_large");
        r.size = UINT64_MAX;
        refused(r, FILEPROC_ERR_QUOTA, "size_too_large");
        r.struct_size = 0;
        refused(r, FILEPROC_ERR_INVALID, "invalid");
        free(large);
    }
}
END_TEST

START_TEST(only_types_on_the_list_are_taken)
{
    static const struct {
        const char *list, *type;
        bool taken;
    } cases[] = {
        { "image/*, Text/CSV", "image/x-new", true }, { "image/*, Text/CSV", "text/csv", true },
        { "image/*, Text/CSV", "text/plain", false }, { "*", "application/x-any", true },
        { "image/png", "image/pngx", false },         { "image/png", "IMAGE/PNG;a=b", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
        fp_upload_request r = good();
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_status rc;

        o.allowed_types = cases[i].list;
        upload_world_open(&w, false, &o);
        r.mime_type = cases[i].type;
        rc = fp_upload_create(w.ups, &r, &u, &err);
        if (cases[i].taken)
            ck_status(rc, FILEPROC_OK, &err);
        else
            ck_reason(rc, FILEPROC_ERR_INVALID, "type_not_allowed", &err);
        fp_upload_free(u);
        upload_world_close(&w);
    }
}
END_TEST

/* Storage keeps account of 2^20 parts. */
START_TEST(huge_files_get_larger_chunks)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_upload_request r = good();
    fp_upload *u = NULL;
    fp_error err = { 0 };

    o.chunk_size = 1000;
    o.max_file_size = (uint64_t)INT64_MAX;
    upload_world_open(&w, false, &o);
    r.size = (uint64_t)1000 << 20;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(u->chunk_size, 1000);
    ck_assert_uint_eq(u->total_chunks, 1 << 20);
    fp_upload_free(u);
    r.size++;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(u->chunk_size, 2000);
    fp_upload_free(u);
    r.size = (uint64_t)INT64_MAX;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_le(u->total_chunks, 1 << 20);
    fp_upload_free(u);
    upload_world_close(&w);
}
END_TEST

START_TEST(upload_that_would_fill_the_disk_is_refused_at_once)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.min_free_bytes = 1000;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fp_upload_request r = good();
        fp_upload *u = NULL;
        fp_error err = { 0 };

        upload_world_open(&w, on_disk, &o);
        atomic_store(&w.room, 3499);
        refused(good(), FILEPROC_ERR_QUOTA, "storage_full");
        atomic_store(&w.room, 999);
        r.size = 0;
        refused(r, FILEPROC_ERR_QUOTA, "storage_full");
        atomic_store(&w.room, 3500);
        r.size = 2500;
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        fp_upload_free(u);
        u = NULL;
        atomic_store(&w.room, 0); /* a real disk, and a store that doesn't know */
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        fp_upload_free(u);
        upload_world_close(&w);
    }
}
END_TEST

START_TEST(create_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            fp_upload_request r = good();
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            fault_arm(&f);
            rc = fp_upload_create(w.ups, &r, &u, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
            ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), rc == FILEPROC_OK);
            fp_upload_free(u);
            upload_world_close(&w);
        }
    }
}
END_TEST

RUN_TESTS("upload_create", session_is_as_asked_for_and_durable, optional_members_may_be_missing,
          bad_requests_are_refused, only_types_on_the_list_are_taken, huge_files_get_larger_chunks,
          upload_that_would_fill_the_disk_is_refused_at_once,
          create_survives_every_allocation_failure)
