/* Owns: the promises of uploads that are made of others: one file of all bytes in their order, partial uploads are never files, and
 * what a crash leaves is gone on with.
 * Must not know: how a client speaks of them. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "storage/storage_private.h"
#include "upload/upload_reap.h"
#include "upload_world.h"

#define COUNT 3
#define TOTAL 6400u

static upload_world w;
static const uint64_t sizes[COUNT] = { 1500, 2900, 2000 };

static fp_upload_request request(const char *owner)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.owner = owner;
    return r;
}

static void must_partial(uint64_t size, const char *owner, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = request(owner);
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.size = size;
    r.flags = FILEPROC_UPLOAD_PARTIAL;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(u->flags, FILEPROC_UPLOAD_PARTIAL);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

/* size bytes of content(7) from `place` on, at the offset of the partial upload. */
static void must_fill(const char *id, uint64_t offset, uint64_t place, size_t size)
{
    unsigned char *bytes = malloc(size);
    fp_append *a = NULL;
    fp_error err = { 0 };

    content_fill(7, place, bytes, size);
    ck_status(fp_append_begin(w.ups, id, offset, NULL, &a, &err), FILEPROC_OK, &err);
    ck_status(fp_append_write(a, bytes, size, &err), FILEPROC_OK, &err);
    ck_status(fp_append_commit(a, NULL, &err), FILEPROC_OK, &err);
    fp_append_free(a);
    free(bytes);
}

static void must_partials(char ids[COUNT][FPI_UUID_SIZE])
{
    uint64_t place = 0;

    for (int i = 0; i < COUNT; i++) {
        must_partial(sizes[i], NULL, ids[i]);
        must_fill(ids[i], 0, place, 700); /* each of two parts at least */
        must_fill(ids[i], 700, place + 700, (size_t)sizes[i] - 700);
        place += sizes[i];
    }
}

static fp_status concat(const fp_upload_request *r, char (*ids)[FPI_UUID_SIZE], size_t count,
                        char id[FPI_UUID_SIZE], fp_error *err)
{
    const char *list[16];
    fp_upload *u = NULL;
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        list[i] = ids[i];
    rc = fp_upload_concat(w.ups, r, list, count, &u, err);
    if (rc == FILEPROC_OK) {
        ck_assert_uint_eq(u->flags, FILEPROC_UPLOAD_FINAL);
        memcpy(id, u->id, FPI_UUID_SIZE);
    } else {
        ck_assert_ptr_null(u);
    }
    fp_upload_free(u);
    return rc;
}

static void must_concat(char (*ids)[FPI_UUID_SIZE], size_t count, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = request("somebody");
    fp_error err = { 0 };

    ck_status(concat(&r, ids, count, id, &err), FILEPROC_OK, &err);
}

static void ck_file(const char *id, uint64_t size)
{
    fp_upload *u = must_complete(&w, id);
    char key[64];

    ck_assert_uint_eq(u->size, size);
    upload_object_key(u, key);
    ck_assert(object_is(w.st, key, 7, size));
    fp_upload_free(u);
}

static void ck_incomplete(const char *id)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID, "upload_incomplete",
              &err);
}

static int64_t files(void)
{
    return sql_number(w.db, "SELECT COUNT(*) FROM files");
}

START_TEST(pieces_become_one_file_and_are_none_themselves)
{
    EACH_STORE(&w)
    {
        char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
        uint64_t written;

        must_partials(ids);
        ck_assert_int_eq(files(), 0);
        must_concat(ids, COUNT, id);
        written = atomic_load(&w.written);
        ck_file(id, TOTAL);
        if (w.on_disk) /* inside the storage */
            ck_assert_uint_eq(atomic_load(&w.written), written);
        ck_file(id, TOTAL); /* the same answer again */
        ck_assert_int_eq(files(), 1);
        for (int i = 0; i < COUNT; i++)
            ck_upload(&w, ids[i], "cancelled", 0);
        ck_assert_uint_eq(object_count(w.st), 1);
        ck_assert_uint_eq(staged_count(w.st), 0);
    }
}
END_TEST

/* Behind a network there is a decorator that has every slot, whatever the driver has. */
START_TEST(where_the_store_copies_nothing_a_crash_costs_one_step)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    o.append_step = 1000;
    upload_world_open(&w, false, &o);
    ck_status(fpi_storage_retry_wrap(w.ctx, w.st->drv, w.st->self, 1, &w.st->self, &err),
              FILEPROC_OK, &err);
    w.st->drv = &fpi_storage_retry_driver;
    must_partials(ids);
    must_concat(ids, COUNT, id);
    atomic_store(&w.calls[SLOT_COMMIT], 0);
    ck_file(id, TOTAL);
    ck_assert_int_eq(atomic_load(&w.calls[SLOT_COMMIT]),
                     7); /* to each whole 1000, and to the end of each piece */
    upload_world_close(&w);
}
END_TEST

START_TEST(what_is_not_there_yet_is_waited_for)
{
    for (int how = 0; how < 3; how++)
        EACH_STORE(&w)
        {
            char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
            fp_error err = { 0 };
            fp_upload *u;

            must_partial(1000, NULL, ids[0]);
            must_partial(2000, NULL, ids[1]);
            must_fill(ids[1], 0, 1000, 2000);
            must_concat(ids, 2, id);
            ck_incomplete(id);
            u = must_get(&w, id);
            ck_assert_uint_eq(u->size, 3000);
            fp_upload_free(u);
            ck_status(fp_upload_complete_waiting(w.ups, ids[1], &err), FILEPROC_OK, &err);
            must_fill(ids[0], 0, 0, 999);
            ck_incomplete(id);
            must_fill(ids[0], 999, 999, 1);
            if (how == 0)
                ck_status(fp_upload_complete_waiting(w.ups, ids[0], &err), FILEPROC_OK, &err);
            if (how == 1) /* nobody came to say so */
                ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            if (how < 2)
                ck_assert_int_eq(files(), 1);
            ck_file(id, 3000);
        }
}
END_TEST

START_TEST(the_size_is_told_as_soon_as_it_is_known)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request(NULL);
        char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_upload *u = NULL;

        must_partial(1000, NULL, ids[0]);
        r.flags = FILEPROC_UPLOAD_PARTIAL;
        r.size_unknown = 1;
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        memcpy(ids[1], u->id, FPI_UUID_SIZE);
        fp_upload_free(u);
        must_concat(ids, 2, id);
        u = must_get(&w, id);
        ck_assert_uint_eq(u->size_unknown, 1);
        fp_upload_free(u);
        ck_incomplete(id);
        ck_status(fp_upload_set_size(w.ups, ids[1], 500, &err), FILEPROC_OK, &err);
        ck_incomplete(id);
        u = must_get(&w, id);
        ck_assert(u->size_unknown == 0 && u->size == 1500);
        fp_upload_free(u);
        must_fill(ids[0], 0, 0, 1000);
        must_fill(ids[1], 0, 1000, 500);
        ck_file(id, 1500);
    }
}
END_TEST

START_TEST(one_piece_may_stand_in_several_places)
{
    EACH_STORE(&w)
    {
        char ids[2][FPI_UUID_SIZE], first[FPI_UUID_SIZE], second[FPI_UUID_SIZE];
        fp_error err = { 0 };
        unsigned char bytes[200];
        char key[64];
        size_t got = 0;
        fp_upload *u;

        must_partial(100, NULL, ids[0]);
        must_fill(ids[0], 0, 0, 100);
        memcpy(ids[1], ids[0], FPI_UUID_SIZE);
        must_concat(ids, 2, first);
        must_concat(ids, 1, second);
        u = must_complete(&w, first);
        upload_object_key(u, key);
        ck_status(fp_storage_read(w.st, key, 0, bytes, 200, &got, &err), FILEPROC_OK, &err);
        ck_assert(got == 200 && memcmp(bytes, bytes + 100, 100) == 0);
        fp_upload_free(u);
        ck_upload(&w, ids[0], "uploading", 1); /* another one waits for it */
        ck_file(second, 100);
        ck_upload(&w, ids[0], "cancelled", 0);
        ck_assert_int_eq(files(), 2);
    }
}
END_TEST

START_TEST(nothing_at_all_makes_an_empty_file)
{
    EACH_STORE(&w)
    {
        char ids[1][FPI_UUID_SIZE], id[FPI_UUID_SIZE];

        must_partial(0, NULL, ids[0]);
        must_concat(ids, 1, id);
        ck_file(id, 0);
    }
}
END_TEST

static void ck_refused(const char *owner, const char *one, fp_status code, const char *reason)
{
    fp_upload_request r = request(owner);
    char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    must_partial(10, owner, ids[0]);
    memset(ids[1], 0, FPI_UUID_SIZE);
    memcpy(ids[1], one, strlen(one));
    ck_reason(concat(&r, ids, 2, id, &err), code, reason, &err);
}

START_TEST(only_partial_uploads_of_the_same_owner_are_put_together)
{
    char plain[FPI_UUID_SIZE], theirs[FPI_UUID_SIZE], gone[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    const char *none[1] = { NULL };
    fp_upload_request r = request(NULL);
    fp_error err = { 0 };
    fp_upload *u = NULL;

    upload_world_open(&w, false, NULL);
    must_create(&w, 10, plain);
    must_partial(10, "her", theirs);
    must_partial(10, NULL, gone);
    ck_status(fp_upload_cancel(w.ups, gone, &err), FILEPROC_OK, &err);
    ck_refused(NULL, plain, FILEPROC_ERR_INVALID, "concat_invalid");
    ck_refused(NULL, theirs, FILEPROC_ERR_NOTFOUND, "upload_not_found");
    ck_refused("him", theirs, FILEPROC_ERR_NOTFOUND, "upload_not_found");
    ck_refused(NULL, gone, FILEPROC_ERR_CONFLICT, "upload_cancelled");
    ck_refused(NULL, "nonsense", FILEPROC_ERR_NOTFOUND, "upload_not_found");
    ck_refused(NULL, "01900000-0000-7000-8000-000000000000", FILEPROC_ERR_NOTFOUND,
               "upload_not_found");
    ck_reason(fp_upload_concat(w.ups, &r, none, 0, &u, &err), FILEPROC_ERR_INVALID,
              "concat_invalid", &err);
    ck_status(fp_upload_concat(w.ups, &r, none, 1, &u, &err), FILEPROC_ERR_INVALID, &err);
    r.size = 1;
    ck_status(fp_upload_concat(w.ups, &r, none, 1, &u, &err), FILEPROC_ERR_INVALID, &err);
    r.size = 0;
    r.flags = FILEPROC_UPLOAD_FINAL;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_INVALID, &err);
    r.flags = 0;
    w.now_ms += 7200000;
    ck_reason(concat(&r, &theirs, 1, id, &err), FILEPROC_ERR_NOTFOUND, "upload_expired", &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads WHERE role = 'final'"), 0);
    upload_world_close(&w);
}
END_TEST

START_TEST(nobody_sends_bytes_to_it_and_pieces_are_not_completed)
{
    char ids[1][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_append *a = NULL;
    fp_chunk *c = NULL;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    upload_world_open(&w, false, NULL);
    must_partial(10, NULL, ids[0]);
    must_fill(ids[0], 0, 0, 10);
    must_concat(ids, 1, id);
    for (int round = 0; round < 2; round++) {
        ck_reason(fp_append_begin(w.ups, id, 0, NULL, &a, &err), FILEPROC_ERR_CONFLICT,
                  "upload_final", &err);
        ck_reason(fp_chunk_begin(w.ups, id, 0, NULL, &c, &err), FILEPROC_ERR_CONFLICT,
                  "upload_final", &err);
        ck_reason(fp_upload_set_size(w.ups, id, 10, &err), FILEPROC_ERR_CONFLICT, "upload_final",
                  &err);
        if (round == 0) {
            ck_reason(fp_upload_complete(w.ups, ids[0], &u, &err), FILEPROC_ERR_CONFLICT,
                      "upload_partial", &err);
            ck_file(id, 10);
        }
    }
    upload_world_close(&w);
}
END_TEST

START_TEST(all_types_are_checked_of_the_file_not_of_its_pieces)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_upload_request r = request(NULL);
    char ids[1][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    o.allowed_types = "text/plain";
    o.chunk_size = 1000;
    upload_world_open(&w, false, &o);
    must_partial(10, NULL, ids[0]);
    ck_reason(concat(&r, ids, 1, id, &err), FILEPROC_ERR_INVALID, "type_not_allowed", &err);
    r.mime_type = "text/plain";
    ck_status(concat(&r, ids, 1, id, &err), FILEPROC_OK, &err);
    upload_world_close(&w);
}
END_TEST

START_TEST(pieces_that_are_together_too_large_are_refused)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_upload_request r = request(NULL);
    char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    o.allowed_types = "*";
    o.max_file_size = 1999;
    upload_world_open(&w, false, &o);
    must_partial(1000, NULL, ids[0]);
    must_partial(1000, NULL, ids[1]);
    ck_reason(concat(&r, ids, 2, id, &err), FILEPROC_ERR_QUOTA, "size_too_large", &err);
    upload_world_close(&w);
}
END_TEST

START_TEST(pieces_and_the_whole_count_once_against_the_owners_limit)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request("her");
        char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        w.options.owner_max_bytes = 3000;
        w.options.owner_max_uploads = 2;
        upload_world_reopen(&w);
        must_partial(1000, "her", ids[0]);
        must_partial(2000, "her", ids[1]);
        r.size = 1;
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_QUOTA, &err);
        r.size = 0;
        ck_status(concat(&r, ids, 2, id, &err), FILEPROC_OK, &err);
        must_fill(ids[0], 0, 0, 1000);
        must_fill(ids[1], 0, 1000, 2000);
        ck_file(id, 3000);
        r.size = 1;
        ck_reason(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_QUOTA, "quota_exceeded",
                  &err);
        r.size = 0; /* nothing of the pieces is left */
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(a_piece_that_is_lost_fails_the_whole)
{
    EACH_STORE(&w)
    {
        char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        must_partial(10, NULL, ids[0]);
        must_partial(10, NULL, ids[1]);
        must_fill(ids[1], 0, 0, 10);
        must_concat(ids, 2, id);
        ck_status(fp_upload_cancel(w.ups, ids[0], &err), FILEPROC_OK, &err);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_NOTFOUND, "upload_expired",
                  &err);
        for (int again = 0; again < 2; again++) {
            ck_upload(&w, id, "failed", 0);
            ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_NOTFOUND,
                      "upload_expired", &err);
            upload_world_reopen(&w);
        }
        ck_upload(&w, ids[1], "uploading", 1);
    }
}
END_TEST

/* The slot that fails, and when. */
static int fail_slot, fail_in;

static void fail_later(int slot, void *user_data)
{
    (void)user_data;
    if (slot == fail_slot && --fail_in == 0)
        w.fail[slot] = FILEPROC_ERR_IO;
}

START_TEST(what_a_failure_or_a_crash_leaves_is_gone_on_with)
{
    static const int slots[] = { SLOT_WRITE, SLOT_COMMIT, SLOT_PUBLISH };

    for (int n = 1; n <= 4; n++)
        for (size_t i = 0; i < 3; i++)
            EACH_STORE(&w)
            {
                char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
                fp_error err = { 0 };
                fp_upload *u = NULL;

                must_partials(ids);
                must_concat(ids, COUNT, id);
                fail_slot = slots[i];
                fail_in = n;
                w.on_slot = fail_later;
                (void)!fp_upload_complete(w.ups, id, &u, &err);
                fp_upload_free(u);
                w.on_slot = NULL;
                w.fail[fail_slot] = 0;
                if (w.on_disk)
                    upload_world_reopen(&w);
                ck_file(id, TOTAL);
                ck_assert_int_eq(files(), 1);
            }
}
END_TEST

START_TEST(a_digest_that_was_said_is_that_of_the_whole)
{
    for (int good = 0; good < 2; good++)
        EACH_STORE(&w)
        {
            fp_upload_request r = request(NULL);
            char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE], hex[65];
            unsigned char bytes[TOTAL], value[FPI_DIGEST_MAX];
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fpi_digest d;

            content_fill(good ? 7 : 8, 0, bytes, sizeof(bytes));
            fpi_digest_init(&d, FPI_DIGEST_SHA256);
            fpi_digest_update(&d, bytes, sizeof(bytes));
            fpi_digest_value(&d, value);
            fpi_hex(value, 32, hex);
            r.sha256 = hex;
            must_partials(ids);
            ck_status(concat(&r, ids, COUNT, id, &err), FILEPROC_OK, &err);
            if (good)
                ck_file(id, TOTAL);
            else
                ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID,
                          "sha256_mismatch", &err);
        }
}
END_TEST

START_TEST(the_same_request_again_is_the_same_upload_while_that_is_any_good)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request("her");
        char ids[2][FPI_UUID_SIZE], first[FPI_UUID_SIZE], again[FPI_UUID_SIZE];
        const char *list[2] = { ids[0], ids[1] };
        fp_upload *u = NULL;
        fp_error err = { 0 };

        must_partial(100, "her", ids[0]);
        must_partial(100, NULL, ids[1]);
        must_fill(ids[0], 0, 0, 100);
        ck_status(concat(&r, ids, 2, first, &err), FILEPROC_OK, &err);
        ck_status(fp_upload_cancel(w.ups, first, &err), FILEPROC_OK, &err);
        ck_status(concat(&r, ids, 2, again, &err), FILEPROC_OK, &err);
        ck_assert_str_ne(first, again);
        must_fill(ids[1], 0, 100, 100);
        for (int round = 0; round < 2; round++) {
            ck_status(fp_upload_concat(w.ups, &r, list, 2, &u, &err), FILEPROC_OK, &err);
            ck_assert_str_eq(u->id, again);
            ck_assert_uint_eq(u->flags, FILEPROC_UPLOAD_FINAL | FILEPROC_UPLOAD_REPLAYED);
            fp_upload_free(u);
            u = NULL;
            ck_file(again, 200); /* in the second round the pieces are gone */
        }
        r.filename = "other.bin"; /* another request */
        ck_reason(fp_upload_concat(w.ups, &r, list, 2, &u, &err), FILEPROC_ERR_CONFLICT,
                  "upload_cancelled", &err);
    }
}
END_TEST

START_TEST(the_same_request_with_a_key_makes_one)
{
    fp_upload_request r = request(NULL);
    char ids[COUNT][FPI_UUID_SIZE], first[FPI_UUID_SIZE];
    const char *list[COUNT] = { ids[0], ids[1], ids[2] };
    fp_error err = { 0 };
    fp_upload *u = NULL;

    upload_world_open(&w, false, NULL);
    must_partials(ids);
    r.idempotency_key = "key";
    ck_status(concat(&r, ids, COUNT, first, &err), FILEPROC_OK, &err);
    ck_file(first, TOTAL);
    ck_status(fp_upload_concat(w.ups, &r, list, COUNT, &u, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(u->id, first);
    ck_assert_uint_eq(u->flags, FILEPROC_UPLOAD_FINAL | FILEPROC_UPLOAD_REPLAYED);
    fp_upload_free(u);
    u = NULL;
    ck_reason(fp_upload_concat(w.ups, &r, list, 2, &u, &err), FILEPROC_ERR_INVALID,
              "idempotency_reused", &err);
    upload_world_close(&w);
}
END_TEST

static void *complete_thread(void *id)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_OK, &err);
    fp_upload_free(u);
    return NULL;
}

START_TEST(many_who_complete_get_one_file)
{
    EACH_STORE(&w)
    {
        char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
        pthread_t threads[4];

        must_partials(ids);
        must_concat(ids, COUNT, id);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, complete_thread, id), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        ck_file(id, TOTAL);
        ck_assert_int_eq(files(), 1);
    }
}
END_TEST

typedef struct early {
    char ids[COUNT][FPI_UUID_SIZE];
    atomic_int begun;
    atomic_bool done;
} early;

/* One creates it, and the others ask for what waits for its pieces, as do the last bytes of these. */
static void *create_or_complete(void *arg)
{
    early *e = *(early **)arg;
    bool creates = atomic_fetch_add(&e->begun, 1) == 0;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    if (creates) {
        must_concat(e->ids, COUNT, id);
        ck_file(id, TOTAL);
        atomic_store(&e->done, true);
    }
    while (!atomic_load(&e->done))
        ck_status(fp_upload_complete_waiting(w.ups, e->ids[0], &err), FILEPROC_OK, &err);
    return NULL;
}

/* More than the reaper looks at in one go stand before the one that can be completed. */
START_TEST(the_reaper_reaches_those_behind_many_that_wait)
{
    char ids[2][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    upload_world_open(&w, false, NULL);
    must_partial(1000, NULL, ids[0]);
    must_partial(2000, NULL, ids[1]);
    for (int i = 0; i <= 2 * (int)FPI_REAP_BATCH; i++) {
        fp_upload_request r = request("somebody");
        char key[16];

        snprintf(key, sizeof(key), "%d", i);
        r.idempotency_key = key;
        ck_status(concat(&r, ids, 1, id, &err), FILEPROC_OK, &err);
    }
    must_concat(ids + 1, 1, id);
    must_fill(ids[1], 0, 0, 2000);
    ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(files(), 1);
    ck_file(id, 2000);
    upload_world_close(&w);
}
END_TEST

START_TEST(whoever_finds_it_before_its_creator_has_it_works_on_the_same)
{
    upload_world_open(&w, true, NULL);
    for (int i = 1; i <= 100; i++) {
        early e;
        early *args[3] = { &e, &e, &e };

        atomic_init(&e.begun, 0);
        atomic_init(&e.done, false);
        must_partials(e.ids);
        run_threads(3, create_or_complete, args, sizeof(*args));
        ck_assert_int_eq(atomic_load(&w.calls[SLOT_PUBLISH]), i);
    }
    upload_world_close(&w);
}
END_TEST

START_TEST(putting_together_survives_every_allocation_failure)
{
    for (int disk = 0; disk < 2; disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char ids[COUNT][FPI_UUID_SIZE], id[FPI_UUID_SIZE];
            const char *list[COUNT] = { ids[0], ids[1], ids[2] };
            fp_upload_request r = request(NULL);
            fp_upload *u = NULL, *done = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, disk != 0, NULL, &f.allocator);
            must_partials(ids);
            fault_arm(&f);
            rc = fp_upload_concat(w.ups, &r, list, COUNT, &u, &err);
            if (rc == FILEPROC_OK)
                rc = fp_upload_complete(w.ups, u->id, &done, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(done != NULL, rc == FILEPROC_OK);
            if (!u)
                ck_status(fp_upload_concat(w.ups, &r, list, COUNT, &u, &err), FILEPROC_OK, &err);
            memcpy(id, u->id, FPI_UUID_SIZE);
            ck_file(id, TOTAL);
            ck_assert_int_eq(files(), 1);
            fp_upload_free(u);
            fp_upload_free(done);
            upload_world_close(&w);
        }
    }
}
END_TEST

RUN_TESTS("upload_join", pieces_become_one_file_and_are_none_themselves,
          where_the_store_copies_nothing_a_crash_costs_one_step,
          what_is_not_there_yet_is_waited_for, the_size_is_told_as_soon_as_it_is_known,
          one_piece_may_stand_in_several_places, nothing_at_all_makes_an_empty_file,
          only_partial_uploads_of_the_same_owner_are_put_together,
          nobody_sends_bytes_to_it_and_pieces_are_not_completed,
          all_types_are_checked_of_the_file_not_of_its_pieces,
          pieces_that_are_together_too_large_are_refused,
          pieces_and_the_whole_count_once_against_the_owners_limit,
          a_piece_that_is_lost_fails_the_whole, what_a_failure_or_a_crash_leaves_is_gone_on_with,
          a_digest_that_was_said_is_that_of_the_whole, the_same_request_with_a_key_makes_one,
          the_same_request_again_is_the_same_upload_while_that_is_any_good,
          many_who_complete_get_one_file,
          whoever_finds_it_before_its_creator_has_it_works_on_the_same,
          the_reaper_reaches_those_behind_many_that_wait,
          putting_together_survives_every_allocation_failure)
