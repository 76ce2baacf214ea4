/* Owns: the promises of the reaper: what is over goes, what is in use stays, with small steps.
 * Must not know: how uploads end otherwise (test_upload_complete.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "storage/storage_private.h"
#include "upload_world.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static upload_world w;

static fp_reaped must_reap(int64_t grace_ms)
{
    fp_reaped did = FILEPROC_REAPED_INIT;
    fp_error err = { 0 };

    ck_status(fp_uploads_reap(w.ups, grace_ms, &did, &err), FILEPROC_OK, &err);
    return did;
}

static void ck_reaped(fp_reaped did, uint64_t expired, uint64_t discarded, uint64_t forgotten,
                      uint64_t open)
{
    ck_assert_uint_eq(did.expired, expired);
    ck_assert_uint_eq(did.discarded, discarded);
    ck_assert_uint_eq(did.forgotten, forgotten);
    ck_assert_uint_eq(did.open, open);
}

START_TEST(nothing_to_do_is_nothing_done)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        ck_reaped(must_reap(0), 0, 0, 0, 0);
        must_create(&w, 2000, id);
        must_chunk(&w, id, 0, 1);
        atomic_fetch_add(&w.now_ms, HOUR - 1);
        ck_reaped(must_reap(0), 0, 0, 0, 1);
        ck_upload(&w, id, "uploading", 1);
    }
}
END_TEST

START_TEST(expired_sessions_go_with_their_bytes)
{
    for (int restart = 0; restart < 2; restart++)
        EACH_STORE(&w)
        {
            char old[FPI_UUID_SIZE], bare[FPI_UUID_SIZE], young[FPI_UUID_SIZE];

            must_create(&w, 2000, old);
            must_create(&w, 2000, bare);
            must_chunk(&w, old, 0, 1);
            atomic_fetch_add(&w.now_ms, HOUR / 2);
            must_create(&w, 2000, young);
            must_chunk(&w, young, 0, 1);
            atomic_fetch_add(&w.now_ms, HOUR / 2);
            if (restart)
                upload_world_reopen(&w);
            ck_reaped(must_reap(0), 2, 2, 0, 1);
            ck_assert_uint_eq(staged_count(w.st), 1);
            ck_upload(&w, old, "upload_expired", 0);
            ck_upload(&w, bare, "upload_expired", 0);
            ck_upload(&w, young, "uploading", 1);
            ck_reaped(must_reap(0), 0, 0, 0, 1);
        }
}
END_TEST

START_TEST(tombstones_are_forgotten_in_time)
{
    EACH_STORE(&w)
    {
        char expired[FPI_UUID_SIZE], cancelled[FPI_UUID_SIZE], completed[FPI_UUID_SIZE];
        fp_error err = { 0 };

        must_create(&w, 0, completed);
        fp_upload_free(must_complete(&w, completed));
        must_create(&w, 10, cancelled);
        ck_status(fp_upload_cancel(w.ups, cancelled, &err), FILEPROC_OK, &err);
        must_create(&w, 10, expired);
        atomic_fetch_add(&w.now_ms, HOUR);
        ck_reaped(must_reap(0), 1, 1, 0, 0);
        atomic_fetch_add(&w.now_ms, 7 * DAY - HOUR);
        ck_reaped(must_reap(0), 0, 0, 0, 0);
        ck_upload(&w, completed, "completed", 0);
        atomic_fetch_add(&w.now_ms, 1);
        ck_reaped(must_reap(0), 0, 0, 2, 0);
        ck_upload(&w, completed, "upload_not_found", 0);
        ck_upload(&w, cancelled, "upload_not_found", 0);
        ck_upload(&w, expired, "upload_expired", 0);
        atomic_fetch_add(&w.now_ms, HOUR);
        ck_reaped(must_reap(0), 0, 0, 1, 0);
        ck_upload(&w, expired, "upload_not_found", 0);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1); /* the file stays */
    }
}
END_TEST

START_TEST(bytes_that_could_not_be_removed_go_later)
{
    EACH_STORE(&w)
    {
        char id[3][FPI_UUID_SIZE];
        fp_reaped did = FILEPROC_REAPED_INIT;
        fp_error err = { 0 };

        for (int i = 0; i < 3; i++) {
            must_create(&w, 2000, id[i]);
            must_all_chunks(&w, id[i], 1);
        }
        atomic_store(&w.fail[SLOT_DISCARD], FILEPROC_ERR_IO);
        ck_status(fp_upload_cancel(w.ups, id[0], &err), FILEPROC_OK, &err);
        fp_upload_free(must_complete(&w, id[1]));
        atomic_fetch_add(&w.now_ms, HOUR + 7 * DAY + 1);
        ck_status(fp_uploads_reap(w.ups, 0, &did, &err), FILEPROC_ERR_IO, &err);
        ck_upload(&w, id[0], "cancelled", 0); /* not forgotten while its bytes are there */
        atomic_store(&w.fail[SLOT_DISCARD], 0);
        ck_assert_uint_eq(staged_count(w.st), 3);
        ck_reaped(must_reap(HOUR), 0, 3, 2, 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_assert_uint_eq(object_count(w.st), 1);
    }
}
END_TEST

START_TEST(behind_a_network_the_reaper_removes_what_completion_leaves)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        w.st->flags |= FILEPROC_STORAGE_DRIVER_NETWORK;
        must_create(&w, 1500, id);
        must_all_chunks(&w, id, 1);
        fp_upload_free(must_complete(&w, id));
        ck_assert_int_eq(atomic_load(&w.calls[SLOT_DISCARD]), 0);
        fp_upload_free(must_complete(&w, id));
        ck_reaped(must_reap(0), 0, 1, 0, 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_upload(&w, id, "completed", 2);
        ck_reaped(must_reap(0), 0, 0, 0, 0);
    }
}
END_TEST

/* Of a chunk that is the whole file only the row tells, once its session has ended. */
START_TEST(objects_of_ended_sessions_go_though_nothing_is_staged)
{
    for (int restart = 0; restart < 2; restart++)
        EACH_STORE(&w)
        {
            char cancelled[FPI_UUID_SIZE], expired[FPI_UUID_SIZE], completed[FPI_UUID_SIZE];
            fp_reaped did = FILEPROC_REAPED_INIT;
            fp_error err = { 0 };

            must_create(&w, 1000, cancelled);
            must_create(&w, 1000, expired);
            must_create(&w, 1000, completed);
            must_chunk(&w, cancelled, 0, 1);
            must_chunk(&w, expired, 0, 2);
            must_chunk(&w, completed, 0, 3);
            fp_upload_free(must_complete(&w, completed));
            atomic_store(&w.fail[SLOT_REMOVE], FILEPROC_ERR_IO);
            ck_status(fp_upload_cancel(w.ups, cancelled, &err), FILEPROC_OK, &err);
            atomic_fetch_add(&w.now_ms, HOUR);
            ck_status(fp_uploads_reap(w.ups, 0, &did, &err), FILEPROC_ERR_IO, &err);
            atomic_store(&w.fail[SLOT_REMOVE], 0);
            if (restart)
                upload_world_reopen(&w);
            ck_reaped(must_reap(0), 0, 2, 0, 0);
            ck_assert_uint_eq(staged_count(w.st), 0);
            ck_assert_uint_eq(object_count(w.st), 1);
            ck_reaped(must_reap(0), 0, 0, 0, 0);
        }
}
END_TEST

START_TEST(what_is_staged_without_a_session_goes_when_it_is_old)
{
    EACH_STORE(&w)
    {
        fp_storage_list_page *page = NULL;
        fp_error err = { 0 };
        fp_assembly *a, *running;

        a = must_open(w.st, "stray", FILEPROC_ASSEMBLY_CREATE);
        must_part(a, 1, 0, 100);
        fp_assembly_close(a);
        running =
            must_open(w.st, "job-step", FILEPROC_ASSEMBLY_CREATE | FILEPROC_ASSEMBLY_TRANSIENT);
        must_part(running, 1, 0, 100);
        /* The file driver's times are the kernel's. */
        ck_status(fp_storage_list_staged(w.st, NULL, 10, &page, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(page->count, 2);
        atomic_store(&w.now_ms, page->modified_ms[0] + HOUR - 1000);
        fp_storage_list_free(page);
        ck_reaped(must_reap(HOUR), 0, 0, 0, 0);
        ck_assert_uint_eq(staged_count(w.st), 2);
        fp_assembly_close(running);
        atomic_fetch_add(&w.now_ms, 2000);
        ck_reaped(must_reap(HOUR), 0, 1, 0, 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
    }
}
END_TEST

START_TEST(session_in_use_is_left_alone)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c;

        must_create(&w, 2000, id);
        c = must_begin(&w, id, 0);
        atomic_fetch_add(&w.now_ms, HOUR);
        ck_reaped(must_reap(0), 0, 0, 0, 1); /* the chunk's holder hears of it himself */
        ck_assert_int_eq(fp_chunk_write(c, "x", 1, NULL), FILEPROC_ERR_NOTFOUND);
        fp_chunk_free(c);
        ck_reaped(must_reap(0), 1, 1, 0, 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
    }
}
END_TEST

/* ---- beside a completion ---- */

static void reap_beside(int slot, void *user_data)
{
    (void)user_data;
    if (slot != SLOT_PUBLISH)
        return;
    w.on_slot = NULL;
    atomic_fetch_add(&w.now_ms, HOUR); /* it runs out while it is published */
    ck_reaped(must_reap(0), 0, 0, 0, 1);
}

START_TEST(completion_under_way_is_not_reaped)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], key[64];
        fp_upload *u;

        must_create(&w, 1500, id);
        must_all_chunks(&w, id, 1);
        w.on_slot = reap_beside;
        u = must_complete(&w, id);
        upload_object_key(u, key);
        ck_assert(object_is(w.st, key, 1, 1500));
        must_reap(0);
        ck_assert(object_is(w.st, key, 1, 1500));
        ck_upload(&w, id, "completed", 2);
        fp_upload_free(u);
    }
}
END_TEST

static atomic_bool stop;

static void *reap_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop))
        must_reap(0);
    return NULL;
}

static void *upload_on(void *arg)
{
    unsigned seed = *(unsigned *)arg;

    for (int i = 0; i < 40; i++) {
        char id[FPI_UUID_SIZE], key[64];
        fp_upload *u;

        must_create(&w, 1500, id);
        must_all_chunks(&w, id, seed);
        u = must_complete(&w, id);
        upload_object_key(u, key);
        ck_assert(object_is(w.st, key, seed, 1500));
        fp_upload_free(u);
    }
    return NULL;
}

START_TEST(reaper_runs_beside_uploads)
{
    EACH_STORE(&w)
    {
        unsigned seeds[3] = { 1, 2, 3 };
        pthread_t reaper;

        atomic_store(&stop, false);
        ck_assert_int_eq(pthread_create(&reaper, NULL, reap_on, NULL), 0);
        run_threads(3, upload_on, seeds, sizeof(*seeds));
        atomic_store(&stop, true);
        pthread_join(reaper, NULL);
        ck_reaped(must_reap(0), 0, 0, 0, 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_assert_uint_eq(object_count(w.st), 120);
    }
}
END_TEST

/* ---- many ---- */

START_TEST(ten_thousand_sessions_expire_in_small_steps)
{
    char id[FPI_UUID_SIZE];

    upload_world_open(&w, true, NULL);
    must_create(&w, 1000, id);
    must_sql(w.db,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
             " INSERT INTO uploads (id, filename, size, mime_type, chunk_size, status, file_id,"
             " created_at, updated_at, expires_at)"
             " SELECT printf('0198c000-0000-7000-8000-%012d', i), 'f', 5, 'image/png', 1000,"
             " 'open', printf('0198c000-0000-7000-9000-%012d', i), 1, 1, 5 FROM n");
    upload_world_reopen(&w);
    ck_upload(&w, "0198c000-0000-7000-8000-000000000007", "upload_expired", 0);
    ck_reaped(must_reap(0), 10000, 10000, 0, 1);
    ck_upload(&w, id, "initiated", 0);
    ck_upload(&w, "0198c000-0000-7000-8000-000000000007", "upload_expired", 0);
    atomic_fetch_add(&w.now_ms, 7 * DAY + 1);
    ck_reaped(must_reap(0), 1, 1, 10000, 0);
    upload_world_close(&w);
}
END_TEST

START_TEST(reap_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char id[FPI_UUID_SIZE], gone[FPI_UUID_SIZE];
            fp_reaped did = FILEPROC_REAPED_INIT, again;
            fp_error err = { 0 };
            fp_assembly *a;
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            must_create(&w, 1500, id);
            must_chunk(&w, id, 0, 1);
            must_create(&w, 1500, gone);
            must_chunk(&w, gone, 0, 1);
            atomic_store(&w.fail[SLOT_DISCARD], FILEPROC_ERR_IO);
            ck_status(fp_upload_cancel(w.ups, gone, &err), FILEPROC_OK, &err);
            atomic_store(&w.fail[SLOT_DISCARD], 0);
            a = must_open(w.st, "stray", FILEPROC_ASSEMBLY_CREATE);
            must_part(a, 1, 0, 100);
            fp_assembly_close(a);
            atomic_store(&w.now_ms, INT64_C(4000000000000));
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_uploads_reap(w.ups, 0, &did, &err);
            fault_judge(&f, rc, &err);
            if (rc == FILEPROC_OK)
                ck_assert_uint_eq(did.discarded, 3);
            again = must_reap(0);
            ck_assert_uint_eq(did.discarded + again.discarded, 3); /* each is told of once */
            ck_assert_uint_eq(did.expired + again.expired, 1);
            ck_assert_uint_eq(staged_count(w.st), 0);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_reaped did = FILEPROC_REAPED_INIT;

    EACH_STORE(&w)
    {
        ck_assert_int_eq(fp_uploads_reap(NULL, 0, &did, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_uploads_reap(w.ups, -1, &did, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_uploads_reap(w.ups, 0, NULL, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_uploads_reap_dry_run(w.ups, -1, NULL, NULL, &did, NULL),
                         FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_uploads_reap_dry_run(w.ups, 0, NULL, NULL, NULL, NULL), FILEPROC_OK);
        did.struct_size = 1;
        ck_assert_int_eq(fp_uploads_reap(w.ups, 0, &did, NULL), FILEPROC_ERR_INVALID);
        did = (fp_reaped)FILEPROC_REAPED_INIT;
    }
}
END_TEST

/* ---- what it says ---- */

typedef struct told {
    uint64_t expired, staged, bytes;
} told;

static void take_item(void *user_data, const fp_reap_item *item)
{
    told *t = user_data;

    ck_assert_uint_eq(item->struct_size, sizeof(*item));
    ck_assert_int_gt(item->time_ms, 0);
    ck_assert_uint_gt(strlen(item->id), 0);
    t->expired += item->kind == FILEPROC_REAP_EXPIRED;
    t->staged += item->kind == FILEPROC_REAP_STAGED;
    t->bytes += item->bytes;
}

static fp_reaped must_preview(int64_t grace_ms, told *t)
{
    fp_reaped would = FILEPROC_REAPED_INIT;
    fp_error err = { 0 };

    *t = (told){ 0, 0, 0 };
    ck_status(fp_uploads_reap_dry_run(w.ups, grace_ms, take_item, t, &would, &err), FILEPROC_OK,
              &err);
    return would;
}

/* Sessions that expired (with parts, with all bytes in one part, and bare), one that is cancelled and could not be removed, one that was
 * forgotten, something of nobody, and one that stays. */
static void make_litter(char young[FPI_UUID_SIZE])
{
    char id[4][FPI_UUID_SIZE], old[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_assembly *a;

    atomic_store(&w.now_ms, INT64_C(4000000000000)); /* the file driver's times are the kernel's */
    must_create(&w, 0, old);
    fp_upload_free(must_complete(&w, old));
    atomic_fetch_add(&w.now_ms, 7 * DAY);
    for (int i = 0; i < 4; i++)
        must_create(&w, i == 1 ? 1000 : 3000, id[i]);
    must_chunk(&w, id[0], 0, 1);
    must_chunk(&w, id[0], 2, 1);
    must_chunk(&w, id[1], 0, 1);
    must_chunk(&w, id[2], 0, 1);
    atomic_store(&w.fail[SLOT_DISCARD], FILEPROC_ERR_IO);
    ck_status(fp_upload_cancel(w.ups, id[2], &err), FILEPROC_OK, &err);
    atomic_store(&w.fail[SLOT_DISCARD], 0);
    a = must_open(w.st, "stray", FILEPROC_ASSEMBLY_CREATE);
    must_part(a, 1, 0, 500);
    fp_assembly_close(a);
    atomic_fetch_add(&w.now_ms, HOUR);
    must_create(&w, 2000, young);
    must_chunk(&w, young, 0, 1);
}

START_TEST(dry_run_says_what_would_be_done_and_does_nothing)
{
    EACH_STORE(&w)
    {
        char young[FPI_UUID_SIZE];
        fp_reaped would, did;
        uint64_t staged, objects;
        told t;

        make_litter(young);
        staged = staged_count(w.st);
        objects = object_count(w.st);
        for (int i = 0; i < 2; i++) { /* also of who has nothing in memory */
            would = must_preview(0, &t);
            upload_world_reopen(&w);
        }
        ck_assert_uint_eq(staged_count(w.st), staged);
        ck_assert_uint_eq(object_count(w.st), objects);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads WHERE status = 'open'"), 4);
        ck_assert_uint_eq(t.expired, 3);
        ck_assert_uint_eq(t.bytes, would.bytes);
        did = must_reap(0);
        ck_reaped(did, would.expired, would.discarded, would.forgotten, would.open);
        ck_reaped(did, 3, 5, 1, 1);
        ck_assert_uint_eq(did.bytes, would.bytes);
        ck_assert_uint_ge(did.bytes, 2000 + 1000 + 1000 + 500);
        ck_upload(&w, young, "uploading", 1);
        would = must_preview(0, &t);
        ck_reaped(would, 0, 0, 0, 1);
        ck_assert_uint_eq(t.expired + t.staged + t.bytes + would.bytes, 0);
    }
}
END_TEST

START_TEST(dry_run_leaves_alone_what_is_young_and_of_nobody)
{
    EACH_STORE(&w)
    {
        fp_storage_list_page *page = NULL;
        fp_error err = { 0 };
        fp_assembly *a = must_open(w.st, "stray", FILEPROC_ASSEMBLY_CREATE);
        told t;

        must_part(a, 1, 0, 100);
        fp_assembly_close(a);
        ck_status(fp_storage_list_staged(w.st, NULL, 10, &page, &err), FILEPROC_OK, &err);
        atomic_store(&w.now_ms, page->modified_ms[0] + HOUR - 1000);
        fp_storage_list_free(page);
        ck_reaped(must_preview(HOUR, &t), 0, 0, 0, 0);
        atomic_fetch_add(&w.now_ms, 2000);
        ck_reaped(must_preview(HOUR, &t), 0, 1, 0, 0);
        ck_assert_uint_eq(t.staged, 1);
    }
}
END_TEST

/* One that can't be removed, again and again, does not hide what else was done. */
START_TEST(what_was_done_is_told_when_something_failed)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_reaped did = FILEPROC_REAPED_INIT;
        fp_error err = { 0 };

        must_create(&w, 2000, id);
        must_chunk(&w, id, 0, 1);
        atomic_fetch_add(&w.now_ms, HOUR);
        atomic_store(&w.fail[SLOT_DISCARD], FILEPROC_ERR_IO);
        ck_status(fp_uploads_reap(w.ups, 0, &did, &err), FILEPROC_ERR_IO, &err);
        ck_reaped(did, 1, 0, 0, 0);
        ck_assert_uint_eq(did.bytes, 0);
        atomic_store(&w.fail[SLOT_DISCARD], 0);
        did = must_reap(0);
        ck_reaped(did, 0, 1, 0, 0);
        ck_assert_uint_ge(did.bytes, 1000);
    }
}
END_TEST

START_TEST(dry_run_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char young[FPI_UUID_SIZE];
        fp_reaped would = FILEPROC_REAPED_INIT;
        fp_error err = { 0 };
        told t = { 0, 0, 0 };
        fp_status rc;

        fault_disarm(&f);
        upload_world_open_with(&w, false, NULL, &f.allocator);
        make_litter(young);
        fault_arm(&f);
        rc = fp_uploads_reap_dry_run(w.ups, 0, take_item, &t, &would, &err);
        fault_judge(&f, rc, &err);
        ck_reaped(must_reap(0), 3, 5, 1, 1);
        upload_world_close(&w);
    }
}
END_TEST

RUN_TESTS("upload_reap", nothing_to_do_is_nothing_done, expired_sessions_go_with_their_bytes,
          tombstones_are_forgotten_in_time, bytes_that_could_not_be_removed_go_later,
          behind_a_network_the_reaper_removes_what_completion_leaves,
          objects_of_ended_sessions_go_though_nothing_is_staged,
          what_is_staged_without_a_session_goes_when_it_is_old, session_in_use_is_left_alone,
          completion_under_way_is_not_reaped, reaper_runs_beside_uploads,
          ten_thousand_sessions_expire_in_small_steps, reap_survives_every_allocation_failure,
          dry_run_says_what_would_be_done_and_does_nothing,
          dry_run_leaves_alone_what_is_young_and_of_nobody,
          what_was_done_is_told_when_something_failed, dry_run_survives_every_allocation_failure,
          wrong_arguments_are_refused)
