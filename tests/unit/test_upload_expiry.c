/* Owns: the promises of an upload's end: bytes move it when there is an idle timeout, never beyond the session's, and durably.
 * Must not know: what the reaper removes (test_upload_reap.c), several engines (test_upload_lease.c). */
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

#define MINUTE INT64_C(60000)
#define IDLE (16 * MINUTE)
#define SLACK MINUTE
#define TIMEOUT (60 * MINUTE)

static upload_world w;

static void open_idle(bool on_disk)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.idle_timeout_ms = IDLE;
    o.session_timeout_ms = TIMEOUT;
    upload_world_open(&w, on_disk, &o);
}

#define EACH_IDLE                                                                                  \
    for (int store_ = 0; store_ < 2 && (open_idle(store_), 1); upload_world_close(&w), store_++)

static void pass(int64_t ms)
{
    atomic_fetch_add(&w.now_ms, ms);
}

static int64_t expires(const char *id)
{
    fp_upload *u = must_get(&w, id);
    int64_t at = u->expires_at_ms;

    fp_upload_free(u);
    return at;
}

static uint64_t reap(void)
{
    fp_reaped did = FILEPROC_REAPED_INIT;
    fp_error err = { 0 };

    ck_status(fp_uploads_reap(w.ups, 0, &did, &err), FILEPROC_OK, &err);
    return did.expired;
}

START_TEST(without_an_idle_timeout_nothing_moves_the_end)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        int64_t began = w.now_ms;

        must_create(&w, 3000, id);
        pass(50 * MINUTE);
        must_chunk(&w, id, 0, 1);
        ck_assert_int_eq(expires(id), began + TIMEOUT);
        pass(10 * MINUTE);
        ck_upload(&w, id, "upload_expired", 0);
    }
}
END_TEST

START_TEST(each_chunk_moves_the_end_but_not_beyond_the_session_s)
{
    EACH_IDLE
    {
        char id[FPI_UUID_SIZE];
        int64_t began = w.now_ms;

        must_create(&w, 5000, id);
        ck_assert_int_eq(expires(id), began + IDLE);
        for (uint64_t i = 0; i < 3; i++) {
            pass(15 * MINUTE);
            ck_assert_uint_eq(reap(), 0);
            must_chunk(&w, id, i, 1);
            ck_assert_int_ge(expires(id), i < 2 ? w.now_ms + IDLE : began + TIMEOUT);
            ck_assert_int_le(expires(id), w.now_ms + IDLE + SLACK);
            upload_world_reopen(&w);
        }
        ck_assert_int_eq(expires(id), began + TIMEOUT);
        pass(15 * MINUTE - 1);
        ck_assert_uint_eq(reap(), 0);
        must_chunk(&w, id, 3, 1);
        ck_assert_int_eq(expires(id), began + TIMEOUT);
        pass(1);
        ck_upload(&w, id, "upload_expired", 0);
        ck_assert_uint_eq(reap(), 1);
        ck_upload(&w, id, "upload_expired", 0);
    }
}
END_TEST

START_TEST(upload_that_gets_nothing_expires_long_before_its_session)
{
    EACH_IDLE
    {
        char id[FPI_UUID_SIZE], bare[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_upload *u = NULL;

        must_create(&w, 2000, id);
        must_create(&w, 2000, bare);
        pass(10 * MINUTE);
        must_chunk(&w, id, 0, 1);
        pass(6 * MINUTE);
        ck_assert_uint_eq(reap(), 1);
        ck_upload(&w, bare, "upload_expired", 0);
        ck_upload(&w, id, "uploading", 1);
        pass(12 * MINUTE);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_NOTFOUND, "upload_expired",
                  &err);
        ck_assert_int_eq(try_chunk(&w, id, 1, 1, &err), FILEPROC_ERR_NOTFOUND);
        upload_world_reopen(&w);
        ck_upload(&w, id, "upload_expired", 0);
        ck_assert_uint_eq(reap(), 1);
    }
}
END_TEST

/* What is sent again was there already, but somebody is at work. */
START_TEST(chunk_that_is_sent_again_moves_the_end)
{
    EACH_IDLE
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 2000, id);
        must_chunk(&w, id, 0, 1);
        pass(10 * MINUTE);
        must_chunk(&w, id, 0, 1);
        ck_assert_int_ge(expires(id), w.now_ms + IDLE);
    }
}
END_TEST

START_TEST(bytes_move_the_end_before_they_are_durable)
{
    EACH_IDLE
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        unsigned char bytes[400], digest[4] = { 0 };
        char id[FPI_UUID_SIZE];
        fp_append *a = NULL;
        fp_error err = { 0 };

        o.digest_algorithm = "crc32c"; /* so that nothing is durable before the end */
        o.digest = digest;
        o.digest_size = sizeof(digest);
        must_create(&w, 2000, id);
        ck_status(fp_append_begin(w.ups, id, 0, &o, &a, &err), FILEPROC_OK, &err);
        for (uint64_t i = 0; i < 4; i++) {
            pass(10 * MINUTE);
            content_fill(1, i * sizeof(bytes), bytes, sizeof(bytes));
            ck_status(fp_append_write(a, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(reap(), 0);
        }
        ck_assert_int_gt(expires(id), w.now_ms + IDLE - MINUTE);
        pass(17 * MINUTE);
        ck_reason(fp_append_write(a, bytes, sizeof(bytes), &err), FILEPROC_ERR_NOTFOUND,
                  "upload_expired", &err);
        fp_append_free(a);
    }
}
END_TEST

/* The row is written at most once a slack, however many chunks come. */
START_TEST(many_chunks_write_the_row_now_and_then)
{
    EACH_IDLE
    {
        char id[FPI_UUID_SIZE];
        int64_t first;

        must_create(&w, 20000, id);
        pass(MINUTE);
        must_chunk(&w, id, 0, 1);
        first = expires(id);
        ck_assert_int_eq(first, w.now_ms + IDLE + SLACK);
        for (uint64_t i = 1; i < 20; i++) {
            pass(SLACK / 20);
            must_chunk(&w, id, i, 1);
            ck_assert_int_eq(expires(id), first);
        }
        pass(SLACK / 20 + 1);
        must_chunk(&w, id, 0, 1);
        ck_assert_int_eq(expires(id), w.now_ms + IDLE + SLACK);
    }
}
END_TEST

START_TEST(completed_upload_tells_the_same_end_for_ever)
{
    EACH_IDLE
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u, *done;

        must_create(&w, 2000, id);
        pass(10 * MINUTE);
        must_all_chunks(&w, id, 1);
        done = must_complete(&w, id);
        ck_assert_int_ge(done->expires_at_ms, w.now_ms + IDLE);
        upload_world_reopen(&w);
        pass(TIMEOUT);
        u = must_get(&w, id);
        ck_assert_str_eq(u->status, "completed");
        ck_assert_int_eq(u->expires_at_ms, done->expires_at_ms);
        fp_upload_free(u);
        fp_upload_free(done);
    }
}
END_TEST

START_TEST(idle_timeout_longer_than_the_session_is_the_session_s)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char id[FPI_UUID_SIZE];
    int64_t began;

    o.idle_timeout_ms = 2 * TIMEOUT;
    o.session_timeout_ms = TIMEOUT;
    upload_world_open(&w, false, &o);
    began = w.now_ms;
    must_create(&w, 2000, id);
    ck_assert_int_eq(expires(id), began + TIMEOUT);
    pass(MINUTE);
    must_chunk(&w, id, 0, 1);
    ck_assert_int_eq(expires(id), began + TIMEOUT);
    upload_world_close(&w);
}
END_TEST

START_TEST(chunk_that_moves_the_end_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            o.idle_timeout_ms = IDLE;
            upload_world_open_with(&w, on_disk, &o, &f.allocator);
            must_create(&w, 2000, id);
            pass(10 * MINUTE);
            fault_arm(&f);
            rc = try_chunk(&w, id, 0, 1, &err);
            fault_judge(&f, rc, &err);
            must_chunk(&w, id, 0, 1);
            pass(SLACK);
            must_chunk(&w, id, 1, 1);
            ck_assert_int_ge(expires(id), w.now_ms + IDLE - SLACK);
            fp_upload_free(must_complete(&w, id));
            upload_world_close(&w);
        }
    }
}
END_TEST

RUN_TESTS("upload_expiry", without_an_idle_timeout_nothing_moves_the_end,
          each_chunk_moves_the_end_but_not_beyond_the_session_s,
          upload_that_gets_nothing_expires_long_before_its_session,
          chunk_that_is_sent_again_moves_the_end, bytes_move_the_end_before_they_are_durable,
          many_chunks_write_the_row_now_and_then, completed_upload_tells_the_same_end_for_ever,
          idle_timeout_longer_than_the_session_is_the_session_s,
          chunk_that_moves_the_end_survives_every_allocation_failure)
