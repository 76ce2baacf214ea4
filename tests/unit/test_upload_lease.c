/* Owns: the promises of several upload engines on one database and storage: one at a time works on an upload, nothing is lost
 * between them, and what becomes of it while the cache is away or forgets.
 * Must not know: which cache or database it is. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault.h"
#include "gated_cache.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload/upload_private.h"
#include "upload_world.h"

#define LEASE_MS 400u

/* ---- two engines ---- */

static fp_context *cache_ctx;
static fp_cache *shared;
static upload_world a, b;
static bool in_database; /* the leases, instead of in the cache */
static uint32_t lease_ms = LEASE_MS;
static int64_t idle_ms;

static void open_cache(const fp_allocator *allocator)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    o.allocator = allocator;
    ck_status(fp_context_new(&o, &cache_ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_cache_driver(cache_ctx, gated_cache_driver(), &err), FILEPROC_OK,
              &err);
    ck_status(fp_cache_open(cache_ctx, "gated:", NULL, &shared, &err), FILEPROC_OK, &err);
}

/* As after a flush of the cache, or a crash of the database's server. */
static fp_status delete_leases(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)user_data;
    return fp_tx_exec(tx, "DELETE FROM upload_leases", NULL, 0, NULL, err);
}

static void forget_leases(void)
{
    fp_error err = { 0 };

    if (in_database)
        ck_status(fp_database_transact(a.db, 0, delete_leases, NULL, &err), FILEPROC_OK, &err);
    else
        gated_cache_flush();
}

static void set_place(fp_uploads_options *o)
{
    o->cache = in_database ? NULL : shared;
    o->database_leases = in_database;
}

static void close_cache(void)
{
    fp_cache_free(shared);
    fp_context_free(cache_ctx);
}

/* b is a as another process sees it: all is shared but the engine. */
static void open_two(bool on_disk)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_error err = { 0 };

    open_cache(NULL);
    set_place(&o);
    o.lease_ms = lease_ms;
    o.idle_timeout_ms = idle_ms;
    upload_world_open(&a, on_disk, &o);
    memcpy(&b, &a, sizeof(b));
    o = a.options;
    o.database = a.db;
    o.storage = a.st;
    o.catalog = a.cat;
    ck_status(fp_uploads_open(a.ctx, &o, &b.ups, &err), FILEPROC_OK, &err);
}

static void close_two(void)
{
    fp_uploads_free(b.ups);
    upload_world_close(&a);
    close_cache();
}

/* On both kinds of storage, with leases in the cache. */
#define BOTH_STORES(i)                                                                             \
    for (int i = 0; i < 2 && (in_database = false, open_two(i), 1); close_two(), i++)
/* And in the database, too. */
#define EACH_PLACE(i)                                                                              \
    for (int i = 0; i < 4 && (in_database = i / 2, open_two(i % 2), 1);                            \
         close_two(), in_database = false, i++)

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static int64_t now_ms(void)
{
    return fpi_monotonic_ms();
}

static void must_be_busy(fp_status rc, const fp_error *err)
{
    ck_status(rc, FILEPROC_ERR_BUSY, err);
    ck_assert_uint_ne(err->flags & FILEPROC_ERROR_RETRYABLE, 0);
}

static void ck_object(const fp_upload *u, unsigned seed)
{
    char key[64];

    upload_object_key(u, key);
    ck_assert(object_is(a.st, key, seed, u->size));
}

START_TEST(upload_may_alternate_between_engines)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u, *again;

        must_create(&a, 9500, id);
        ck_upload(&b, id, "initiated", 0);
        for (uint64_t chunk = 0; chunk < 10; chunk++) {
            upload_world *w = chunk % 2 ? &a : &b;

            must_chunk(w, id, chunk, 1);
            ck_upload(&a, id, "uploading", chunk + 1);
            ck_upload(&b, id, "uploading", chunk + 1);
        }
        must_chunk(&a, id, 2, 1); /* b's */
        u = must_complete(&b, id);
        ck_assert_ptr_nonnull(u->sha256); /* each went on where the other had stopped */
        ck_object(u, 1);
        again = must_complete(&a, id);
        ck_assert_str_eq(again->file_id, u->file_id);
        ck_upload(&a, id, "completed", 10);
        fp_upload_free(u);
        fp_upload_free(again);
    }
}
END_TEST

/* What is told between engines is a number; where the holes are stands beside the bytes. */
START_TEST(chunks_at_another_engine_are_on_the_map)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk_map *m = NULL;
        fp_error err = { 0 };

        must_create(&a, 9500, id);
        for (uint64_t chunk = 2; chunk < 8; chunk++) {
            must_chunk(&a, id, chunk, 1);
            ck_status(fp_upload_map(b.ups, id, 0, 9, &m, &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(m->chunks_uploaded, chunk - 1);
            ck_assert_uint_eq(m->durable_count, 1);
            ck_assert_uint_eq(m->durable[0].first, 2);
            ck_assert_uint_eq(m->durable[0].last, chunk);
            ck_assert_uint_eq(m->missing_count, 2);
            fp_chunk_map_free(m);
        }
    }
}
END_TEST

/* From inside the publication at a. */
static void complete_at_b(int slot, void *user_data)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    if (slot != SLOT_PUBLISH)
        return;
    a.on_slot = NULL;
    ck_reason(fp_upload_complete_keyed(b.ups, user_data, "key", &u, &err), FILEPROC_ERR_CONFLICT,
              "request_in_progress", &err);
    must_be_busy(fp_upload_complete_keyed(b.ups, user_data, "another key", &u, &err), &err);
}

START_TEST(completion_in_progress_at_another_engine_is_told)
{
    lease_ms = 60000;
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL, *again = NULL;
        fp_error err = { 0 };

        must_create(&a, 500, id);
        must_chunk(&a, id, 0, 1);
        a.slot_data = id;
        a.on_slot = complete_at_b;
        ck_status(fp_upload_complete_keyed(a.ups, id, "key", &u, &err), FILEPROC_OK, &err);
        ck_assert(!a.on_slot);
        ck_status(fp_upload_complete_keyed(b.ups, id, "key", &again, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(u->file_id, again->file_id);
        fp_upload_free(u);
        fp_upload_free(again);
    }
    lease_ms = LEASE_MS;
}
END_TEST

/* Behind a network completion leaves what is staged to the reaper, and that of another engine may be faster than the one who has
 * just opened the session there. */
START_TEST(session_that_the_reaper_found_completed_shows_its_file)
{
    EACH_PLACE(i)
    {
        fp_reaped did = FILEPROC_REAPED_INIT;
        fp_upload *done, *seen = NULL;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fpi_session *s;

        a.st->flags |= FILEPROC_STORAGE_DRIVER_NETWORK;
        must_create(&a, 1500, id);
        must_all_chunks(&a, id, 1);
        ck_status(fpi_session_open(b.ups, id, &s, &err), FILEPROC_OK, &err);
        done = must_complete(&a, id);
        ck_status(fp_uploads_reap(b.ups, 0, &did, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(did.discarded, 1);
        ck_status(fpi_session_record(b.ups, s, &seen, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(seen->status, "completed");
        ck_assert_pstr_eq(seen->file_id, done->file_id);
        ck_assert_pstr_eq(seen->job_id, done->job_id);
        fpi_session_release(b.ups, s);
        fp_upload_free(done);
        fp_upload_free(seen);
    }
}
END_TEST

START_TEST(chunk_with_other_bytes_is_found_at_the_other_engine)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };

        must_create(&a, 2000, id);
        must_chunk(&a, id, 0, 1);
        must_chunk(&b, id, 1, 1);
        ck_status(try_chunk(&b, id, 0, 2, &err), FILEPROC_ERR_CONFLICT, &err);
        ck_assert_str_eq(fp_error_reason(&err), "chunk_conflict");
        must_chunk(&b, id, 0, 1);
    }
}
END_TEST

START_TEST(one_engine_stays_the_holder_and_reads_nothing_again)
{
    char id[FPI_UUID_SIZE];
    int renewed;

    open_two(false);
    must_create(&a, 100000, id);
    must_chunk(&a, id, 0, 1);
    renewed = gated_cache_renewed();
    for (uint64_t chunk = 1; chunk < 100; chunk++)
        must_chunk(&a, id, chunk, 1);
    /* One for the upload; for each chunk one to begin, one to say that it commits, one to be sure. */
    ck_assert_int_eq(gated_cache_acquired(), 201);
    ck_assert_int_eq(gated_cache_renewed() - renewed, 99);
    fp_upload_free(must_complete(&a, id));
    close_two();
}
END_TEST

static fp_append *must_append(const upload_world *w, const char *id, uint64_t offset)
{
    fp_append *append = NULL;
    fp_error err = { 0 };

    ck_status(fp_append_begin(w->ups, id, offset, NULL, &append, &err), FILEPROC_OK, &err);
    return append;
}

static fp_status write_content(fp_append *append, uint64_t place, size_t size, fp_error *err)
{
    unsigned char bytes[2000];

    content_fill(1, place, bytes, size);
    return fp_append_write(append, bytes, size, err);
}

static void must_end(fp_append *append)
{
    fp_error err = { 0 };

    ck_status(fp_append_commit(append, NULL, &err), FILEPROC_OK, &err);
    fp_append_free(append);
}

static void ck_offset(upload_world *w, const char *id, uint64_t offset)
{
    fp_upload *u = must_get(w, id);

    ck_assert_uint_eq(u->offset, offset);
    fp_upload_free(u);
}

START_TEST(append_takes_over_at_once_from_another_engine)
{
    EACH_PLACE(i)
    {
        fp_append *old, *young;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        int64_t began;
        fp_upload *u;

        must_create(&a, 1500, id);
        old = must_append(&a, id, 0);
        ck_status(write_content(old, 0, 100, &err), FILEPROC_OK, &err);
        ck_status(fp_append_commit(old, NULL, &err), FILEPROC_OK, &err);
        ck_offset(&a, id, 100); /* should a die next, nobody must hear of less at b */
        ck_offset(&b, id, 100);
        fp_append_free(old);
        old = must_append(&a, id, 100);
        ck_status(write_content(old, 100, 500, &err), FILEPROC_OK, &err);
        began = now_ms();
        young = must_append(&b, id, 100);
        ck_assert_int_lt(now_ms() - began, LEASE_MS / 2);
        must_be_busy(fp_append_commit(old, NULL, &err), &err);
        fp_append_free(old);
        ck_status(write_content(young, 100, 1400, &err), FILEPROC_OK, &err);
        must_end(young);
        ck_offset(&a, id, 1500);
        u = must_complete(&a, id);
        ck_assert_ptr_nonnull(u->sha256);
        ck_object(u, 1);
        fp_upload_free(u);
    }
}
END_TEST

static _Atomic(fp_append *) lost;
static fp_append *stuck;

/* The engine must not be called from within, so that is left to another thread. */
static void note_lost(void *user_data, const char *upload_id)
{
    (void)user_data;
    ck_assert(fpi_uuid_valid(upload_id));
    atomic_store(&lost, stuck);
}

static void *end_lost(void *arg)
{
    (void)arg;
    while (!atomic_load(&lost))
        pause_ms(1);
    fp_append_free(atomic_load(&lost));
    return NULL;
}

/* Its client went to the other engine, and comes back, while the first request still hangs. */
START_TEST(stuck_append_is_ended_when_another_engine_had_the_upload)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *young;
        pthread_t ender;
        int64_t began;

        atomic_store(&lost, NULL);
        a.ups->on_lost = note_lost;
        must_create(&a, 1500, id);
        stuck = must_append(&a, id, 0);
        ck_status(write_content(stuck, 0, 500, &err), FILEPROC_OK, &err);
        young = must_append(&b, id, 0);
        ck_status(write_content(young, 0, 700, &err), FILEPROC_OK, &err);
        must_end(young);
        ck_offset(&b, id, 700);
        ck_offset(&a, id, 700); /* also where the stuck one is */
        ck_assert_ptr_null(atomic_load(&lost));
        ck_assert_int_eq(pthread_create(&ender, NULL, end_lost, NULL), 0);
        began = now_ms();
        young = must_append(&a, id, 700);
        ck_assert_int_lt(now_ms() - began, 1000);
        pthread_join(ender, NULL);
        ck_status(write_content(young, 700, 800, &err), FILEPROC_OK, &err);
        must_end(young);
        ck_offset(&b, id, 1500);
    }
}
END_TEST

START_TEST(size_that_was_declared_at_one_engine_is_known_at_the_other)
{
    EACH_PLACE(i)
    {
        fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_append *append;

        r.filename = "name.bin";
        r.mime_type = "application/octet-stream";
        r.size_unknown = 1;
        ck_status(fp_upload_create(a.ups, &r, &u, &err), FILEPROC_OK, &err);
        memcpy(id, u->id, sizeof(id));
        fp_upload_free(u);
        append = must_append(&b, id, 0);
        ck_status(write_content(append, 0, 1500, &err), FILEPROC_OK, &err);
        must_end(append);
        ck_offset(&a, id, 1500);
        ck_status(fp_upload_set_size(b.ups, id, 1500, &err), FILEPROC_OK, &err);
        u = must_get(&a, id);
        ck_assert_uint_eq(u->size_unknown, 0);
        ck_assert_uint_eq(u->size, 1500);
        fp_upload_free(u);
        u = must_complete(&a, id);
        ck_object(u, 1);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(engine_waits_for_one_that_is_at_work)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    int64_t began;
    fp_chunk *c;

    open_two(true);
    must_create(&a, 2000, id);
    c = must_begin(&a, id, 0);
    for (int i = 0; i < 4; i++) { /* it gets bytes now and then: longer than any lease */
        ck_status(fp_chunk_write(c, "x", 1, &err), FILEPROC_OK, &err);
        pause_ms(LEASE_MS / 2);
    }
    ck_status(fp_chunk_write(c, "x", 1, &err), FILEPROC_OK, &err);
    fp_chunk_free(c);
    began = now_ms();
    must_chunk(&b, id, 0, 1);
    ck_assert_int_lt(now_ms() - began, LEASE_MS);
    must_chunk(&a, id, 1, 1);
    fp_upload_free(must_complete(&a, id));
    close_two();
}
END_TEST

typedef struct slow_writer {
    const char *id;
    atomic_bool stop;
} slow_writer;

static void *write_slowly(void *arg)
{
    slow_writer *s = arg;
    fp_chunk *c = must_begin(&a, s->id, 0);
    fp_error err = { 0 };

    while (!atomic_load(&s->stop)) {
        ck_status(fp_chunk_write(c, "x", 1, &err), FILEPROC_OK, &err);
        pause_ms(20);
    }
    fp_chunk_free(c);
    return NULL;
}

START_TEST(engine_that_stays_at_work_makes_others_busy)
{
    char id[FPI_UUID_SIZE];
    slow_writer s = { id, false };
    fp_error err = { 0 };
    pthread_t thread;
    int64_t began;

    open_two(false);
    must_create(&a, 2000, id);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_slowly, &s), 0);
    pause_ms(100);
    began = now_ms();
    must_be_busy(try_chunk(&b, id, 1, 1, &err), &err);
    ck_assert_int_ge(now_ms() - began, 1900);
    ck_assert_int_lt(now_ms() - began, 4000);
    ck_upload(&b, id, "initiated", 0); /* looking needs no lease */
    s.stop = true;
    pthread_join(thread, NULL);
    must_chunk(&b, id, 1, 1);
    close_two();
}
END_TEST

START_TEST(silent_writer_loses_the_upload_and_writes_no_more)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *dead;
        fp_upload *u;

        must_create(&a, 2000, id);
        dead = must_begin(&a, id, 0);
        ck_status(fp_chunk_write(dead, "half", 4, &err), FILEPROC_OK, &err);
        must_chunk(&b, id, 0, 1); /* once the lease has run out */
        must_be_busy(fp_chunk_write(dead, "more", 4, &err), &err);
        fp_chunk_free(dead);
        must_chunk(&a, id, 1, 1);
        u = must_complete(&b, id);
        ck_object(u, 1);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(commit_under_a_lost_lease_is_refused)
{
    EACH_PLACE(i)
    {
        static unsigned char bytes[1000];
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *late;

        must_create(&a, 2000, id);
        late = must_begin(&a, id, 0);
        content_fill(9, 0, bytes, sizeof(bytes));
        ck_status(fp_chunk_write(late, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
        pause_ms(LEASE_MS + 50);
        must_chunk(&b, id, 1, 1);
        must_be_busy(fp_chunk_commit(late, NULL, &err), &err);
        fp_chunk_free(late);
        ck_upload(&a, id, "uploading", 1);
        ck_upload(&b, id, "uploading", 1);
        must_chunk(&a, id, 0, 1);
        ck_upload(&b, id, "uploading", 2);
    }
}
END_TEST

typedef struct sender {
    upload_world *w;
    const char *id;
    uint64_t first, chunks;
} sender;

/* Every second chunk, again and again until it is taken, as a client does that is told to come back. */
static void *send_many(void *arg)
{
    const sender *s = arg;

    for (uint64_t chunk = s->first; chunk < s->chunks; chunk += 4) {
        fp_error err = { 0 };
        fp_status rc = FILEPROC_ERR_BUSY;

        for (int i = 0; rc == FILEPROC_ERR_BUSY && i < 20; i++)
            rc = try_chunk(s->w, s->id, chunk, 1, &err);
        ck_status(rc, FILEPROC_OK, &err);
    }
    return NULL;
}

static fp_status write_chunk_content(fp_chunk *c, fp_error *err)
{
    static unsigned char bytes[1000];

    content_fill(1, 0, bytes, sizeof(bytes));
    return fp_chunk_write(c, bytes, sizeof(bytes), err);
}

/* Between the fence and the store's answer: the process is stopped, or the store is slow. */
static void sleep_too_long(int slot, void *user_data)
{
    if (slot != SLOT_COMMIT)
        return;
    a.on_slot = NULL;
    pause_ms(LEASE_MS + 50);
    must_chunk(&b, user_data, 1, 1);
}

START_TEST(commit_that_outlives_its_lease_is_not_acknowledged)
{
    /* A store in files, which only one process may use, refuses such a record itself. */
    for (int i = 0; i < 2; i++) {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *append;
        fp_chunk *c;

        in_database = i;
        open_two(false);
        must_create(&a, 3000, id);
        a.slot_data = id;
        c = must_begin(&a, id, 0);
        ck_status(write_chunk_content(c, &err), FILEPROC_OK, &err);
        a.on_slot = sleep_too_long;
        must_be_busy(fp_chunk_commit(c, NULL, &err), &err);
        fp_chunk_free(c);
        must_chunk(&a, id, 0, 1); /* which is compared with what is there */
        ck_upload(&a, id, "uploading", 2);
        ck_upload(&b, id, "uploading", 2);
        append = must_append(&a, id, 2000);
        ck_status(write_content(append, 2000, 500, &err), FILEPROC_OK, &err);
        a.on_slot = sleep_too_long;
        must_be_busy(fp_append_commit(append, NULL, &err), &err);
        fp_append_free(append);
        ck_offset(&b, id, 2000); /* there is more, of which nobody knows */
        ck_offset(&a, id, 2000);
        close_two();
        in_database = false;
    }
}
END_TEST

static void *append_all_at_b(void *id)
{
    fp_error err = { 0 };
    fp_append *append = NULL;
    fp_status rc = fp_append_begin(b.ups, id, 0, NULL, &append, &err);

    if (rc == FILEPROC_OK && write_content(append, 0, 700, &err) == FILEPROC_OK)
        (void)!fp_append_commit(append, NULL, &err);
    fp_append_free(append);
    ck_reason(rc, FILEPROC_ERR_CONFLICT, "offset_mismatch", &err);
    return NULL;
}

static pthread_t newcomer;

/* Between the fence and the record. */
static void take_over_at_b(int slot, void *id)
{
    if (slot != SLOT_COMMIT)
        return;
    a.on_slot = NULL;
    ck_assert_int_eq(pthread_create(&newcomer, NULL, append_all_at_b, id), 0);
    pause_ms(LEASE_MS / 20);
}

START_TEST(who_takes_over_in_the_middle_of_a_commit_finds_its_bytes)
{
    for (int i = 0; i < 2; i++) {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *append;

        in_database = i;
        open_two(false);
        must_create(&a, 1500, id);
        a.slot_data = id;
        append = must_append(&a, id, 0);
        ck_status(write_content(append, 0, 500, &err), FILEPROC_OK, &err);
        a.on_slot = take_over_at_b;
        must_end(append);
        pthread_join(newcomer, NULL);
        ck_offset(&a, id, 500);
        ck_offset(&b, id, 500);
        close_two();
        in_database = false;
    }
}
END_TEST

START_TEST(chunks_side_by_side_at_two_engines_all_arrive)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        pthread_t threads[4];
        sender senders[4];
        fp_upload *u;

        must_create(&a, 40000, id);
        for (int n = 0; n < 4; n++) {
            senders[n] = (sender){ n % 2 ? &a : &b, id, (uint64_t)n, 40 };
            ck_assert_int_eq(pthread_create(&threads[n], NULL, send_many, &senders[n]), 0);
        }
        for (int n = 0; n < 4; n++)
            pthread_join(threads[n], NULL);
        ck_upload(&a, id, "uploading", 40);
        ck_upload(&b, id, "uploading", 40);
        u = must_complete(&a, id);
        ck_object(u, 1);
        fp_upload_free(u);
        ck_upload(&b, id, "completed", 40);
    }
}
END_TEST

START_TEST(cancelling_takes_over_at_once)
{
    EACH_PLACE(i)
    {
        static unsigned char bytes[1000];
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *c;

        must_create(&a, 2000, id);
        must_chunk(&a, id, 0, 1);
        c = must_begin(&a, id, 1);
        ck_status(fp_chunk_write(c, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
        ck_status(fp_upload_cancel(b.ups, id, &err), FILEPROC_OK, &err);
        must_be_busy(fp_chunk_commit(c, NULL, &err), &err);
        fp_chunk_free(c);
        ck_status(try_chunk(&a, id, 1, 1, &err), FILEPROC_ERR_CONFLICT, &err);
        ck_assert_str_eq(fp_error_reason(&err), "upload_cancelled");
        ck_upload(&a, id, "cancelled", 0);
        ck_status(fp_upload_cancel(a.ups, id, &err), FILEPROC_OK, &err);
    }
}
END_TEST

START_TEST(cache_that_is_away_stops_writing_and_not_reading)
{
    BOTH_STORES(i)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        must_create(&a, 3000, id);
        must_chunk(&a, id, 0, 1);
        must_chunk(&b, id, 1, 1);
        gated_cache_set_away(true);
        ck_status(try_chunk(&a, id, 2, 1, &err), FILEPROC_ERR_BUSY, &err);
        ck_status(fp_upload_complete(a.ups, id, &u, &err), FILEPROC_ERR_BUSY, &err);
        ck_status(fp_upload_cancel(a.ups, id, &err), FILEPROC_ERR_BUSY, &err);
        ck_upload(&a, id, "uploading", 2);
        ck_upload(&b, id, "uploading", 2);
        gated_cache_set_away(false);
        must_chunk(&a, id, 2, 1);
        fp_upload_free(must_complete(&b, id));
        gated_cache_set_away(true);
        ck_upload(&a, id, "completed", 3);
        ck_status(fp_upload_complete(b.ups, id, &u, &err), FILEPROC_OK, &err);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(chunk_under_way_may_end_while_the_cache_is_away)
{
    static unsigned char bytes[1000];
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_chunk *c;

    open_two(true);
    must_create(&a, 2000, id);
    content_fill(1, 0, bytes, sizeof(bytes));
    c = must_begin(&a, id, 0);
    gated_cache_set_away(true);
    ck_status(fp_chunk_write(c, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
    ck_status(fp_chunk_commit(c, NULL, &err), FILEPROC_OK, &err); /* it was promised for longer */
    fp_chunk_free(c);
    ck_upload(&b, id, "uploading", 1);
    gated_cache_set_away(false);
    pause_ms(LEASE_MS + 50); /* so long the cache says what it was told last */
    ck_upload(&b, id, "uploading", 1);
    c = must_begin(&a, id, 1);
    ck_status(fp_chunk_write(c, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
    gated_cache_set_away(true);
    pause_ms(LEASE_MS + 50);
    ck_status(fp_chunk_commit(c, NULL, &err), FILEPROC_ERR_BUSY, &err); /* too long */
    fp_chunk_free(c);
    gated_cache_set_away(false);
    close_two();
}
END_TEST

START_TEST(place_that_forgets_loses_nothing)
{
    EACH_PLACE(i)
    {
        static unsigned char bytes[1000];
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *c;
        fp_upload *u;

        must_create(&a, 4000, id);
        must_chunk(&a, id, 0, 1);
        forget_leases();
        ck_upload(&b, id, "uploading", 1);
        must_chunk(&b, id, 1, 1);
        forget_leases();
        must_chunk(&a, id, 2, 1);
        c = must_begin(&a, id, 3);
        content_fill(1, 3000, bytes, sizeof(bytes));
        ck_status(fp_chunk_write(c, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
        forget_leases();
        must_be_busy(fp_chunk_commit(c, NULL, &err), &err); /* another could have begun since */
        fp_chunk_free(c);
        must_chunk(&b, id, 3, 1);
        forget_leases();
        u = must_complete(&a, id);
        ck_object(u, 1);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(upload_that_expired_is_gone_for_all)
{
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };

        must_create(&a, 2000, id);
        must_chunk(&a, id, 0, 1);
        must_chunk(&b, id, 1, 1);
        atomic_fetch_add(&a.now_ms, 3600001);
        ck_status(fp_uploads_reap(b.ups, 0, NULL, &err), FILEPROC_OK, &err);
        ck_status(fp_uploads_reap(a.ups, 0, NULL, &err), FILEPROC_OK, &err);
        ck_upload(&a, id, "upload_expired", 0);
        ck_upload(&b, id, "upload_expired", 0);
        ck_status(try_chunk(&a, id, 0, 1, &err), FILEPROC_ERR_NOTFOUND, &err);
    }
}
END_TEST

/* b has in memory when it was to expire before a's chunks moved that. */
START_TEST(bytes_at_one_engine_keep_an_upload_for_all)
{
    idle_ms = 600000;
    EACH_PLACE(i)
    {
        char id[FPI_UUID_SIZE];
        fp_reaped did = FILEPROC_REAPED_INIT;
        fp_error err = { 0 };
        fp_upload *u;

        must_create(&a, 4000, id);
        must_chunk(&b, id, 0, 1);
        for (uint64_t k = 1; k < 3; k++) {
            atomic_fetch_add(&a.now_ms, 500000);
            must_chunk(&a, id, k, 1);
        }
        ck_status(fp_uploads_reap(b.ups, 0, &did, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(did.expired, 0);
        u = must_get(&b, id);
        ck_assert_uint_eq(u->chunks_uploaded, 3);
        ck_assert_int_ge(u->expires_at_ms, a.now_ms + idle_ms);
        fp_upload_free(u);
        atomic_fetch_add(&a.now_ms, 500000);
        must_chunk(&b, id, 3, 1);
        fp_upload_free(must_complete(&b, id));
    }
    idle_ms = 0;
}
END_TEST

static void survive_every_allocation_failure(void)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        open_cache(&f.allocator);
        set_place(&o);
        upload_world_open_with(&a, false, &o, &f.allocator);
        must_create(&a, 2000, id);
        must_chunk(&a, id, 0, 1);
        forget_leases(); /* so that all is to be read again */
        fault_arm(&f);
        rc = fp_upload_get(a.ups, id, &u, &err);
        if (rc == FILEPROC_OK)
            rc = try_chunk(&a, id, 1, 1, &err);
        fault_judge(&f, rc, &err);
        fp_upload_free(u);
        must_chunk(&a, id, 0, 1);
        must_chunk(&a, id, 1, 1);
        fp_upload_free(must_complete(&a, id));
        upload_world_close(&a);
        close_cache();
    }
}

START_TEST(engines_survive_every_allocation_failure)
{
    for (int i = 0; i < 2; i++) {
        in_database = i;
        survive_every_allocation_failure();
        in_database = false;
    }
}
END_TEST

RUN_TESTS("upload_lease", upload_may_alternate_between_engines,
          chunks_at_another_engine_are_on_the_map, completion_in_progress_at_another_engine_is_told,
          session_that_the_reaper_found_completed_shows_its_file,
          chunk_with_other_bytes_is_found_at_the_other_engine,
          one_engine_stays_the_holder_and_reads_nothing_again,
          append_takes_over_at_once_from_another_engine,
          stuck_append_is_ended_when_another_engine_had_the_upload,
          size_that_was_declared_at_one_engine_is_known_at_the_other,
          engine_waits_for_one_that_is_at_work, engine_that_stays_at_work_makes_others_busy,
          silent_writer_loses_the_upload_and_writes_no_more, commit_under_a_lost_lease_is_refused,
          commit_that_outlives_its_lease_is_not_acknowledged,
          who_takes_over_in_the_middle_of_a_commit_finds_its_bytes,
          chunks_side_by_side_at_two_engines_all_arrive, cancelling_takes_over_at_once,
          cache_that_is_away_stops_writing_and_not_reading,
          chunk_under_way_may_end_while_the_cache_is_away, place_that_forgets_loses_nothing,
          upload_that_expired_is_gone_for_all, bytes_at_one_engine_keep_an_upload_for_all,
          engines_survive_every_allocation_failure)
