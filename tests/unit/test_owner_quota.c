/* Owns: the promises of an owner's limits: bytes and unfinished uploads, also when many begin at once.
 * Must not know: how an upload goes on. */
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static void open_with(bool on_disk, uint64_t bytes, uint64_t uploads)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.owner_max_bytes = bytes;
    o.owner_max_uploads = uploads;
    upload_world_open(&w, on_disk, &o);
}

#define EACH_LIMITED(bytes, uploads)                                                               \
    for (int store_ = 0; store_ < 2 && (open_with(store_, (bytes), (uploads)), 1);                 \
         upload_world_close(&w), store_++)

static fp_status begin(const char *owner, uint64_t size, char id[FPI_UUID_SIZE], fp_error *err)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_status rc;

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.owner = owner;
    r.size = size;
    rc = fp_upload_create(w.ups, &r, &u, err);
    if (rc == FILEPROC_OK)
        memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
    return rc;
}

static void must_begin_for(const char *owner, uint64_t size, char id[FPI_UUID_SIZE])
{
    fp_error err = { 0 };

    ck_status(begin(owner, size, id, &err), FILEPROC_OK, &err);
}

static void ck_refused(const char *owner, uint64_t size, const char *reason)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    ck_reason(begin(owner, size, id, &err), FILEPROC_ERR_QUOTA, reason, &err);
}

START_TEST(bytes_of_files_and_unfinished_uploads_count)
{
    EACH_LIMITED(5000, 0)
    {
        char id[FPI_UUID_SIZE], open[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_upload *u;

        ck_refused("alice", 5001, "quota_exceeded");
        must_begin_for("alice", 2500, id);
        must_begin_for("alice", 2400, open);
        ck_refused("alice", 101, "quota_exceeded");
        must_all_chunks(&w, id, 1);
        u = must_complete(&w, id);
        upload_world_reopen(&w);
        ck_refused("alice", 101, "quota_exceeded");
        ck_refused("alice", UINT64_C(1) << 26, "quota_exceeded");
        must_begin_for("bob", 5000, id);
        must_begin_for(NULL, 50000, id);
        must_begin_for(NULL, 50000, id);
        ck_status(fp_upload_cancel(w.ups, open, &err), FILEPROC_OK, &err);
        must_begin_for("alice", 2500, id);
        ck_refused("alice", 1, "quota_exceeded");
        must_begin_for("alice", 0, open);
        ck_status(fp_catalog_delete(w.cat, u->file_id, &err), FILEPROC_OK, &err);
        must_begin_for("alice", 2500, id);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(unfinished_uploads_are_counted)
{
    EACH_LIMITED(0, 2)
    {
        char id[FPI_UUID_SIZE], second[FPI_UUID_SIZE];

        must_begin_for("alice", 500, id);
        must_begin_for("alice", 500, second);
        ck_refused("alice", 1, "too_many_uploads");
        must_begin_for("bob", 1, second);
        must_all_chunks(&w, id, 1);
        ck_refused("alice", 1, "too_many_uploads");
        fp_upload_free(must_complete(&w, id));
        must_begin_for("alice", 500, id);
        ck_refused("alice", 1, "too_many_uploads");
        atomic_fetch_add(&w.now_ms, 3600000); /* they expire, and no reaper has come yet */
        must_begin_for("alice", 500, id);
    }
}
END_TEST

/* What an earlier request has got is no new upload. */
START_TEST(answer_under_a_key_is_no_new_upload)
{
    EACH_LIMITED(0, 1)
    {
        fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
        fp_upload *u = NULL, *again = NULL;
        fp_error err = { 0 };

        r.filename = "name.bin";
        r.mime_type = "application/octet-stream";
        r.owner = "alice";
        r.idempotency_key = "k";
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        ck_status(fp_upload_create(w.ups, &r, &again, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(u->id, again->id);
        ck_refused("alice", 1, "too_many_uploads");
        fp_upload_free(u);
        fp_upload_free(again);
    }
}
END_TEST

static void *begin_one(void *out)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    *(int *)out = begin("alice", 1000, id, &err) == FILEPROC_OK;
    return NULL;
}

START_TEST(many_at_once_get_no_more_than_is_allowed)
{
    for (int kind = 0; kind < 2; kind++)
        EACH_LIMITED(kind ? 3999 : 0, kind ? 0 : 3)
        {
            int began[16] = { 0 }, sum = 0;

            run_threads(16, begin_one, began, sizeof(*began));
            for (int i = 0; i < 16; i++)
                sum += began[i];
            ck_assert_int_eq(sum, 3);
            ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 3);
        }
}
END_TEST

RUN_TESTS("owner_quota", bytes_of_files_and_unfinished_uploads_count,
          unfinished_uploads_are_counted, answer_under_a_key_is_no_new_upload,
          many_at_once_get_no_more_than_is_allowed)
