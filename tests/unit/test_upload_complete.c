/* Owns: the promises of completion and cancellation: one file, one job, one event, whatever comes between.
 * Must not know: how chunks arrive (test_chunk.c). */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static void upload_some(const char *mime_type, uint64_t size, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = mime_type;
    r.owner = "alice";
    r.size = size;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
    must_all_chunks(&w, id, 3);
}

static void ck_one_file(int64_t jobs)
{
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs"), jobs);
    ck_assert_uint_eq(object_count(w.st), 1);
    ck_assert_uint_eq(staged_count(w.st), 0);
}

START_TEST(complete_makes_file_job_and_event)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], url[128];
        fp_upload *u;
        fp_file *f = NULL;
        fp_job *j = NULL;
        fp_error err = { 0 };

        upload_world_add_jobs(&w);
        upload_some("image/png", 2500, id);
        atomic_fetch_add(&w.now_ms, 70);
        u = must_complete(&w, id);
        ck_assert_str_eq(u->status, "completed");
        ck_assert_int_eq(u->updated_at_ms, u->created_at_ms + 70);
        snprintf(url, sizeof(url), "%s://uploads/files/%s", fp_storage_scheme(w.st), u->file_id);
        ck_assert_str_eq(u->storage_url, url);
        ck_assert_str_eq(w.last_status, "completed");
        ck_status(fp_catalog_get(w.cat, u->file_id, &f, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(f->filename, "name.bin");
        ck_assert_str_eq(f->owner, "alice");
        ck_assert_str_eq(f->mime_type, "image/png");
        ck_assert_str_eq(f->sha256, u->sha256);
        ck_assert_uint_eq(f->size, 2500);
        ck_assert(object_is(w.st, f->storage_key, 3, 2500));
        ck_status(fp_job_get(w.jobs, u->job_id, &j, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(j->state, "queued");
        ck_assert_str_eq(j->file_id, u->file_id);
        ck_assert_str_eq(j->owner, "alice");
        ck_one_file(1);
        fp_job_free(j);
        fp_file_free(f);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(type_without_pipeline_makes_no_job)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u;

        upload_world_add_jobs(&w);
        upload_some("application/x-unknown", 1, id);
        u = must_complete(&w, id);
        ck_assert_ptr_null(u->job_id);
        ck_one_file(0);
        fp_upload_free(u);
    }
}
END_TEST

static void ck_same(const fp_upload *a, const fp_upload *b)
{
    ck_assert_str_eq(a->file_id, b->file_id);
    ck_assert_str_eq(a->job_id, b->job_id);
    ck_assert_str_eq(a->storage_url, b->storage_url);
    ck_assert_str_eq(a->sha256, b->sha256);
    ck_assert_str_eq(a->status, b->status);
    ck_assert_int_eq(a->updated_at_ms, b->updated_at_ms);
    ck_assert_uint_eq(a->chunks_uploaded, b->chunks_uploaded);
    ck_assert_uint_eq(a->bytes_received, b->bytes_received);
}

START_TEST(complete_again_gives_the_same_answer)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *first, *again, *seen;
        int told;

        upload_world_add_jobs(&w);
        upload_some("image/png", 2500, id);
        first = must_complete(&w, id);
        told = atomic_load(&w.told);
        again = must_complete(&w, id);
        ck_same(first, again);
        fp_upload_free(again);
        upload_world_reopen(&w);
        atomic_fetch_add(&w.now_ms, 7200000); /* long after the session would have expired */
        again = must_complete(&w, id);
        seen = must_get(&w, id);
        ck_same(first, again);
        ck_same(first, seen);
        ck_assert_int_eq(atomic_load(&w.told), told);
        ck_one_file(1);
        fp_upload_free(seen);
        fp_upload_free(again);
        fp_upload_free(first);
    }
}
END_TEST

START_TEST(missing_chunks_are_told)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        must_create(&w, 3000, id);
        must_chunk(&w, id, 2, 3);
        must_chunk(&w, id, 0, 3);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID,
                  "upload_incomplete", &err);
        ck_assert_ptr_null(u);
        must_chunk(&w, id, 1, 3);
        fp_upload_free(must_complete(&w, id));
    }
}
END_TEST

START_TEST(empty_file_completes_at_once)
{
    EACH_STORE(&w)
    {
        for (int restart = 0; restart < 2; restart++) {
            char id[FPI_UUID_SIZE], key[64];
            fp_upload *u;

            must_create(&w, 0, id);
            if (restart)
                upload_world_reopen(&w);
            u = must_complete(&w, id);
            ck_assert_str_eq(u->sha256,
                             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
            upload_object_key(u, key);
            ck_assert(object_is(w.st, key, 0, 0));
            ck_assert_uint_eq(u->total_chunks, 0);
            ck_assert_uint_eq(staged_count(w.st), 0);
            fp_upload_free(u);
        }
    }
}
END_TEST

static const char *shared_id;

static void *complete_it(void *arg)
{
    *(fp_upload **)arg = must_complete(&w, shared_id);
    return NULL;
}

START_TEST(two_who_complete_get_one_file)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *answers[4];

        upload_world_add_jobs(&w);
        upload_some("image/png", 2500, id);
        shared_id = id;
        run_threads(4, complete_it, answers, sizeof(*answers));
        for (size_t i = 0; i < 4; i++)
            ck_same(answers[0], answers[i]);
        ck_one_file(1);
        for (size_t i = 0; i < 4; i++)
            fp_upload_free(answers[i]);
    }
}
END_TEST

/* The transaction fails once the object is published. */
START_TEST(completion_that_failed_behind_the_publication_goes_on)
{
    for (int restart = 0; restart < 2; restart++)
        EACH_STORE(&w)
        {
            char id[FPI_UUID_SIZE];
            fp_upload *u = NULL;
            fp_error err = { 0 };

            upload_some("image/png", 2500, id);
            fresh_database_refuse(w.db, "outbox");
            ck_assert_int_lt(fp_upload_complete(w.ups, id, &u, &err), 0);
            ck_assert_ptr_null(u);
            ck_assert_uint_eq(object_count(w.st), 1);
            ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 0);
            fresh_database_allow(w.db, "outbox");
            ck_upload(&w, id, "uploading", 3);
            if (restart)
                upload_world_reopen(&w);
            ck_upload(&w, id, "uploading", 3);
            must_chunk(&w, id, 1, 3); /* compared with the object's bytes */
            ck_reason(try_chunk(&w, id, 1, 4, &err), FILEPROC_ERR_CONFLICT, "chunk_conflict", &err);
            u = must_complete(&w, id);
            ck_assert_ptr_nonnull(u->sha256);
            ck_one_file(0);
            fp_upload_free(u);
        }
}
END_TEST

START_TEST(cancelled_after_a_publication_in_vain_leaves_nothing)
{
    for (int expire = 0; expire < 2; expire++)
        EACH_STORE(&w)
        {
            char id[FPI_UUID_SIZE];
            fp_upload *u = NULL;
            fp_error err = { 0 };

            upload_some("image/png", 2500, id);
            fresh_database_refuse(w.db, "outbox");
            ck_assert_int_lt(fp_upload_complete(w.ups, id, &u, &err), 0);
            fresh_database_allow(w.db, "outbox");
            upload_world_reopen(&w);
            if (expire) {
                atomic_fetch_add(&w.now_ms, 3600000);
                ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            } else {
                ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
            }
            ck_assert_uint_eq(object_count(w.st), 0);
            ck_assert_uint_eq(staged_count(w.st), 0);
        }
}
END_TEST

/* A commit that was reported as failed, and was not: the row knows more than we do. */
START_TEST(completion_that_nobody_heard_of_counts)
{
    for (int cancel = 0; cancel < 3; cancel++)
        EACH_STORE(&w)
        {
            char id[FPI_UUID_SIZE], sql[256];
            fp_upload *u = NULL;
            fp_error err = { 0 };

            upload_some("image/png", 2500, id);
            fresh_database_refuse(w.db, "outbox");
            ck_assert_int_lt(fp_upload_complete(w.ups, id, &u, &err), 0);
            fresh_database_allow(w.db, "outbox");
            snprintf(sql, sizeof(sql), "UPDATE uploads SET status = 'completed', job_id = 'j'");
            must_sql(w.db, sql);
            if (cancel == 1) {
                ck_reason(fp_upload_cancel(w.ups, id, &err), FILEPROC_ERR_CONFLICT,
                          "upload_completed", &err);
            } else if (cancel == 2) {
                atomic_fetch_add(&w.now_ms, 3600000);
                ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            }
            u = must_complete(&w, id);
            ck_assert_str_eq(u->job_id, "j");
            ck_assert_uint_eq(object_count(w.st), 1);
            fp_upload_free(u);
        }
}
END_TEST

START_TEST(full_disk_at_publication_loses_nothing)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        upload_some("image/png", 2500, id);
        atomic_store(&w.fail[SLOT_PUBLISH], FILEPROC_ERR_QUOTA);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_QUOTA, "storage_full",
                  &err);
        atomic_store(&w.fail[SLOT_PUBLISH], FILEPROC_ERR_IO);
        ck_status(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_IO, &err);
        ck_upload(&w, id, "uploading", 3);
        atomic_store(&w.fail[SLOT_PUBLISH], 0);
        fp_upload_free(must_complete(&w, id));
        ck_one_file(0);
    }
}
END_TEST

START_TEST(upload_whose_bytes_are_gone_has_failed)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_chunk *c = NULL;
        fp_error err = { 0 };

        upload_some("image/png", 2500, id);
        atomic_store(&w.fail[SLOT_PUBLISH], FILEPROC_ERR_CORRUPT);
        ck_status(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_CORRUPT, &err);
        atomic_store(&w.fail[SLOT_PUBLISH], 0);
        ck_upload(&w, id, "failed", 0);
        ck_status(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_CORRUPT, &err);
        ck_status(fp_chunk_begin(w.ups, id, 0, NULL, &c, &err), FILEPROC_ERR_CORRUPT, &err);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(staged_count(w.st), 0);
    }
}
END_TEST

START_TEST(complete_leaves_no_way_back)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c = NULL;
        fp_error err = { 0 };

        upload_some("image/png", 2500, id);
        fp_upload_free(must_complete(&w, id));
        ck_reason(fp_upload_cancel(w.ups, id, &err), FILEPROC_ERR_CONFLICT, "upload_completed",
                  &err);
        ck_reason(fp_chunk_begin(w.ups, id, 0, NULL, &c, &err), FILEPROC_ERR_CONFLICT,
                  "upload_completed", &err);
        ck_one_file(0);
    }
}
END_TEST

START_TEST(cancel_removes_the_bytes)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        int told;

        upload_some("image/png", 2500, id);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        told = atomic_load(&w.told);
        ck_assert_str_eq(w.last_status, "cancelled");
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        upload_world_reopen(&w);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(atomic_load(&w.told), told);
        ck_upload(&w, id, "cancelled", 0);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_CONFLICT,
                  "upload_cancelled", &err);
        ck_reason(fp_upload_cancel(w.ups, "0198c000-0000-7000-8000-000000000001", &err),
                  FILEPROC_ERR_NOTFOUND, "upload_not_found", &err);
    }
}
END_TEST

START_TEST(expired_upload_can_neither_complete_nor_be_cancelled)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        upload_some("image/png", 2500, id);
        atomic_fetch_add(&w.now_ms, 3600000);
        for (int reaped = 0; reaped < 2; reaped++) {
            ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_NOTFOUND,
                      "upload_expired", &err);
            ck_reason(fp_upload_cancel(w.ups, id, &err), FILEPROC_ERR_NOTFOUND, "upload_expired",
                      &err);
            ck_upload(&w, id, "upload_expired", 0);
            ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
        }
    }
}
END_TEST

START_TEST(complete_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char id[FPI_UUID_SIZE];
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            upload_world_add_jobs(&w);
            upload_some("image/png", 1500, id);
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_upload_complete(w.ups, id, &u, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
            fp_upload_free(u);
            fp_upload_free(must_complete(&w, id));
            ck_one_file(1);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(cancel_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            upload_some("image/png", 1500, id);
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_upload_cancel(w.ups, id, &err);
            fault_judge(&f, rc, &err);
            ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
            ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(staged_count(w.st), 0);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_upload *u = NULL;

    EACH_STORE(&w)
    {
        ck_assert_int_eq(fp_upload_complete(NULL, "x", &u, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_upload_complete(w.ups, NULL, &u, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_upload_complete(w.ups, "x", NULL, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_upload_complete(w.ups, "x", &u, NULL), FILEPROC_ERR_NOTFOUND);
        ck_assert_int_eq(fp_upload_cancel(NULL, "x", NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_upload_cancel(w.ups, NULL, NULL), FILEPROC_ERR_INVALID);
    }
}
END_TEST

RUN_TESTS("upload_complete", complete_makes_file_job_and_event, type_without_pipeline_makes_no_job,
          complete_again_gives_the_same_answer, missing_chunks_are_told,
          empty_file_completes_at_once, two_who_complete_get_one_file,
          completion_that_failed_behind_the_publication_goes_on,
          cancelled_after_a_publication_in_vain_leaves_nothing,
          completion_that_nobody_heard_of_counts, full_disk_at_publication_loses_nothing,
          upload_whose_bytes_are_gone_has_failed, complete_leaves_no_way_back,
          cancel_removes_the_bytes, expired_upload_can_neither_complete_nor_be_cancelled,
          complete_survives_every_allocation_failure, cancel_survives_every_allocation_failure,
          wrong_arguments_are_refused)
