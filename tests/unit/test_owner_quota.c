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

/* ---- uploads whose size is not known ---- */

static void must_begin_unknown(const char *owner, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.owner = owner;
    r.size_unknown = 1;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

/* Announced = 0 doesn't say how many come. */
static fp_append *must_append(const char *id, uint64_t offset, uint64_t announced)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    fp_append *a = NULL;
    fp_error err = { 0 };

    o.length = announced;
    ck_status(fp_append_begin(w.ups, id, offset, &o, &a, &err), FILEPROC_OK, &err);
    return a;
}

static fp_status add(fp_append *a, size_t size, fp_error *err)
{
    static const unsigned char zeros[4096];

    return fp_append_write(a, zeros, size, err);
}

static void must_commit(fp_append *a)
{
    fp_error err = { 0 };

    ck_status(fp_append_commit(a, NULL, &err), FILEPROC_OK, &err);
    fp_append_free(a);
}

static void ck_append_refused(const char *id, uint64_t offset, uint64_t announced)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    fp_append *a = NULL;
    fp_error err = { 0 };

    o.length = announced;
    ck_reason(fp_append_begin(w.ups, id, offset, &o, &a, &err), FILEPROC_ERR_QUOTA,
              "quota_exceeded", &err);
    ck_assert_ptr_null(a);
}

START_TEST(upload_of_unknown_size_grows_to_what_is_left_and_no_further)
{
    EACH_LIMITED(5000, 0)
    {
        char id[FPI_UUID_SIZE], other[FPI_UUID_SIZE], free_one[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;
        fp_upload *u;

        must_begin_for("alice", 2000, other);
        must_begin_unknown("alice", id);
        ck_append_refused(id, 0, 3001);
        a = must_append(id, 0, 0);
        ck_status(add(a, 1000, &err), FILEPROC_OK, &err);
        ck_reason(add(a, 2001, &err), FILEPROC_ERR_QUOTA, "quota_exceeded", &err);
        ck_status(add(a, 500, &err), FILEPROC_OK, &err); /* what was refused took nothing along */
        must_commit(a);
        upload_world_reopen(&w);
        ck_append_refused(id, 1500, 1501);
        must_commit(must_append(id, 1500, 1500));
        ck_refused("alice", 1, "quota_exceeded"); /* bytes that were announced count */
        a = must_append(id, 1500, 0);
        ck_status(add(a, 1500, &err), FILEPROC_OK, &err);
        ck_reason(add(a, 1, &err), FILEPROC_ERR_QUOTA, "quota_exceeded", &err);
        must_commit(a);
        ck_status(fp_upload_cancel(w.ups, other, &err), FILEPROC_OK, &err);
        a = must_append(id, 3000, 1000);
        ck_status(add(a, 1000, &err), FILEPROC_OK, &err);
        must_commit(a);
        u = must_get(&w, id);
        ck_assert_uint_eq(u->offset, 4000);
        ck_assert_uint_eq(u->size, 0);
        fp_upload_free(u);
        must_begin_unknown(NULL, free_one);
        a = must_append(free_one, 0, 0);
        for (int i = 0; i < 3; i++)
            ck_status(add(a, 4000, &err), FILEPROC_OK, &err);
        must_commit(a);
    }
}
END_TEST

START_TEST(size_that_is_declared_late_counts_as_one_declared_at_once)
{
    EACH_LIMITED(5000, 0)
    {
        char id[FPI_UUID_SIZE], other[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;

        must_begin_for("alice", 2000, other);
        must_begin_unknown("alice", id);
        a = must_append(id, 0, 1000);
        ck_status(add(a, 1000, &err), FILEPROC_OK, &err);
        must_commit(a);
        ck_reason(fp_upload_set_size(w.ups, id, 3001, &err), FILEPROC_ERR_QUOTA, "quota_exceeded",
                  &err);
        ck_status(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_OK, &err);
        ck_status(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_OK, &err);
        ck_refused("alice", 501, "quota_exceeded");
        must_begin_for("alice", 500, other);
        upload_world_reopen(&w);
        a = must_append(id, 1000, 1500);
        ck_status(add(a, 1500, &err), FILEPROC_OK, &err);
        must_commit(a);
        fp_upload_free(must_complete(&w, id));
        ck_refused("alice", 1, "quota_exceeded");
    }
}
END_TEST

static void *append_some(void *out)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_append *a;
    uint64_t taken = 0;

    must_begin_unknown("alice", id);
    a = must_append(id, 0, 0);
    while (taken < 4000 && add(a, 500, &err) == FILEPROC_OK)
        taken += 500;
    must_commit(a);
    *(uint64_t *)out = taken;
    return NULL;
}

START_TEST(many_that_grow_at_once_get_no_more_than_is_allowed)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.owner_max_bytes = 6000;
    o.append_step = 1;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        uint64_t taken[8] = { 0 }, sum = 0;

        upload_world_open(&w, on_disk, &o);
        run_threads(8, append_some, taken, sizeof(*taken));
        for (int i = 0; i < 8; i++)
            sum += taken[i];
        ck_assert_uint_le(sum, 6000);
        ck_assert_uint_ge(sum, 5500); /* a byte of each may be set aside for nothing */
        upload_world_close(&w);
    }
}
END_TEST

static int64_t owner_rows(void)
{
    return sql_number(w.db, "SELECT COUNT(*) FROM upload_owners");
}

START_TEST(owners_who_begin_nothing_are_forgotten_and_may_come_back)
{
    EACH_LIMITED(5000, 0)
    {
        fp_error err = { 0 };
        char id[FPI_UUID_SIZE];

        must_begin_for("alice", 3000, id);
        atomic_fetch_add(&w.now_ms, 23 * 3600 * 1000);
        must_begin_for("bob", 3000, id);
        ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(owner_rows(), 2);
        atomic_fetch_add(&w.now_ms, 2 * 3600 * 1000);
        ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(owner_rows(), 1);
        must_begin_for("alice", 3000, id); /* hers has expired */
        ck_refused("alice", 3000, "quota_exceeded");
    }
}
END_TEST

START_TEST(setting_aside_survives_every_allocation_failure)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.owner_max_bytes = 5000;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            fp_append_options ao = FILEPROC_APPEND_OPTIONS_INIT;
            char id[FPI_UUID_SIZE];
            fp_append *a = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, &o, &f.allocator);
            must_begin_unknown("alice", id);
            ao.length = 4000;
            fault_arm(&f);
            rc = fp_append_begin(w.ups, id, 0, &ao, &a, &err);
            fault_judge(&f, rc, &err);
            fp_append_free(a);
            must_commit(must_append(id, 0, 5000)); /* nothing is set aside twice */
            upload_world_close(&w);
        }
    }
}
END_TEST

RUN_TESTS("owner_quota", owners_who_begin_nothing_are_forgotten_and_may_come_back,
          bytes_of_files_and_unfinished_uploads_count, unfinished_uploads_are_counted,
          answer_under_a_key_is_no_new_upload, many_at_once_get_no_more_than_is_allowed,
          upload_of_unknown_size_grows_to_what_is_left_and_no_further,
          size_that_is_declared_late_counts_as_one_declared_at_once,
          many_that_grow_at_once_get_no_more_than_is_allowed,
          setting_aside_survives_every_allocation_failure)
