/* Owns: the promises of a chunk on its way in: what is acknowledged is there, what is not never was; repeats, takeovers, digests.
 * Must not know: completion (test_upload_complete.c), the reaper (test_upload_reap.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/hex.h"
#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static fp_status write_content(fp_chunk *c, unsigned seed, uint64_t place, size_t size,
                               fp_error *err)
{
    unsigned char *bytes = malloc(size + 1);
    fp_status rc;

    content_fill(seed, place, bytes, size);
    rc = fp_chunk_write(c, bytes, size, err);
    free(bytes);
    return rc;
}

static void must_write(fp_chunk *c, unsigned seed, uint64_t place, size_t size)
{
    fp_error err = { 0 };

    ck_status(write_content(c, seed, place, size, &err), FILEPROC_OK, &err);
}

static void must_commit(fp_chunk *c)
{
    fp_error err = { 0 };

    ck_status(fp_chunk_commit(c, NULL, &err), FILEPROC_OK, &err);
    fp_chunk_free(c);
}

/* The object that the upload has become has content(seed) all through, and the digest that was found without reading it again
 * is right, or not known when `hashed` says so. */
static void ck_completes(const char *id, unsigned seed, uint64_t size, bool hashed)
{
    fp_upload *u = must_complete(&w, id);
    char key[64], hex[2 * FPI_DIGEST_MAX + 1];
    unsigned char value[FPI_DIGEST_MAX], *bytes = malloc(size + 1);
    fpi_digest d;

    upload_object_key(u, key);
    ck_assert(object_is(w.st, key, seed, size));
    if (hashed) {
        content_fill(seed, 0, bytes, size);
        fpi_digest_init(&d, FPI_DIGEST_SHA256);
        fpi_digest_update(&d, bytes, size);
        fpi_digest_value(&d, value);
        fpi_hex(value, 32, hex);
        ck_assert_ptr_nonnull(u->sha256);
        ck_assert_str_eq(u->sha256, hex);
    } else {
        ck_assert_ptr_null(u->sha256);
    }
    free(bytes);
    fp_upload_free(u);
}

START_TEST(chunks_in_any_order_make_the_file)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 4001, id);
        must_chunk(&w, id, 4, 1);
        must_chunk(&w, id, 2, 1);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 3, 1);
        must_chunk(&w, id, 1, 1);
        ck_upload(&w, id, "uploading", 5);
        ck_completes(id, 1, 4001, false);
    }
}
END_TEST

START_TEST(chunks_in_order_give_the_digest_of_the_whole)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 4001, id);
        must_all_chunks(&w, id, 1);
        ck_completes(id, 1, 4001, true);
    }
}
END_TEST

START_TEST(commit_shows_the_upload_and_tells_of_it)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_chunk *c;
        int told;

        must_create(&w, 1500, id);
        told = atomic_load(&w.told);
        atomic_fetch_add(&w.now_ms, 5000);
        c = must_begin(&w, id, 1);
        ck_assert_uint_eq(fp_chunk_length(c), 500);
        must_write(c, 1, 1000, 500);
        ck_upload(&w, id, "initiated", 0);
        ck_assert_int_eq(atomic_load(&w.told), told);
        ck_status(fp_chunk_commit(c, &u, &err), FILEPROC_OK, &err);
        fp_chunk_free(c);
        ck_assert_str_eq(u->status, "uploading");
        ck_assert_uint_eq(u->chunks_uploaded, 1);
        ck_assert_uint_eq(u->bytes_received, 500);
        ck_assert_int_eq(u->updated_at_ms, u->created_at_ms + 5000);
        fp_upload_free(u);
        ck_assert_int_eq(atomic_load(&w.told), told + 1);
        ck_assert_str_eq(w.last_status, "uploading");
        ck_assert_uint_eq(w.last_chunks, 1);
    }
}
END_TEST

START_TEST(same_chunk_again_changes_nothing)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        uint64_t written;
        int commits, told;

        must_create(&w, 1500, id);
        must_chunk(&w, id, 0, 1);
        written = atomic_load(&w.written);
        commits = atomic_load(&w.calls[SLOT_COMMIT]);
        told = atomic_load(&w.told);
        must_chunk(&w, id, 0, 1);
        upload_world_reopen(&w);
        must_chunk(&w, id, 0, 1);
        ck_assert_uint_eq(atomic_load(&w.written), written);
        ck_assert_int_eq(atomic_load(&w.calls[SLOT_COMMIT]), commits);
        ck_assert_int_eq(atomic_load(&w.told), told);
        ck_upload(&w, id, "uploading", 1);
        must_chunk(&w, id, 1, 1);
        ck_completes(id, 1, 1500, true);
    }
}
END_TEST

START_TEST(same_chunk_with_other_bytes_is_a_conflict)
{
    EACH_STORE(&w)
    {
        static const size_t places[] = { 0, 1, 511, 999 };
        char id[FPI_UUID_SIZE];

        must_create(&w, 1500, id);
        must_chunk(&w, id, 0, 1);
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
            unsigned char bytes[1000];
            fp_error err = { 0 };
            fp_chunk *c = must_begin(&w, id, 0);

            content_fill(1, 0, bytes, sizeof(bytes));
            bytes[places[i]] ^= 1;
            ck_reason(fp_chunk_write(c, bytes, sizeof(bytes), &err), FILEPROC_ERR_CONFLICT,
                      "chunk_conflict", &err);
            ck_assert_int_lt(fp_chunk_commit(c, NULL, NULL), 0);
            fp_chunk_free(c);
        }
        must_chunk(&w, id, 1, 1);
        ck_completes(id, 1, 1500, true);
    }
}
END_TEST

/* Sends chunk index with one byte changed; where it is noticed doesn't matter. */
static void must_conflict(const char *id, uint64_t index, size_t size, size_t place)
{
    unsigned char bytes[1000];
    fp_error err = { 0 };
    fp_chunk *c = must_begin(&w, id, index);
    fp_status rc;

    content_fill(1, index * 1000, bytes, size);
    bytes[place] ^= 1;
    rc = fp_chunk_write(c, bytes, size, &err);
    if (rc == FILEPROC_OK)
        rc = fp_chunk_commit(c, NULL, &err);
    ck_reason(rc, FILEPROC_ERR_CONFLICT, "chunk_conflict", &err);
    fp_chunk_free(c);
}

START_TEST(chunks_that_cannot_be_read_back_are_compared_by_their_digests)
{
    static const uint64_t orders[][4] = { { 0, 1, 2, 3 }, { 3, 1, 0, 2 }, { 0, 2, 1, 3 } };

    EACH_STORE(&w)
    {
        upload_world_hide_staged(&w);
        for (size_t o = 0; o < 3; o++) {
            char id[FPI_UUID_SIZE];

            must_create(&w, 3500, id);
            for (size_t i = 0; i < 4; i++)
                must_chunk(&w, id, orders[o][i], 1);
            for (int again = 0; again < 2; again++) {
                int commits = atomic_load(&w.calls[SLOT_COMMIT]);

                for (uint64_t i = 0; i < 4; i++) {
                    must_chunk(&w, id, i, 1);
                    must_conflict(id, i, i == 3 ? 500 : 1000, i == 3 ? 499 : i);
                }
                ck_assert_int_eq(atomic_load(&w.calls[SLOT_COMMIT]), commits);
                upload_world_reopen(&w);
            }
            ck_completes(id, 1, 3500, o == 0);
        }
    }
}
END_TEST

START_TEST(wrong_lengths_are_refused_and_leave_nothing)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *c;

        must_create(&w, 1500, id);
        for (int durable = 0; durable < 2; durable++) {
            c = must_begin(&w, id, 0);
            must_write(c, 1, 0, 999);
            ck_reason(fp_chunk_commit(c, NULL, &err), FILEPROC_ERR_INVALID, "chunk_length_invalid",
                      &err);
            ck_status(fp_chunk_commit(c, NULL, &err), FILEPROC_ERR_INVALID, &err);
            fp_chunk_free(c);
            c = must_begin(&w, id, 0);
            must_write(c, 1, 0, 1000);
            ck_reason(fp_chunk_write(c, "x", 1, &err), FILEPROC_ERR_INVALID, "chunk_length_invalid",
                      &err);
            ck_status(fp_chunk_commit(c, NULL, &err), FILEPROC_ERR_INVALID, &err);
            fp_chunk_free(c);
            ck_upload(&w, id, durable ? "uploading" : "initiated", durable ? 1 : 0);
            must_chunk(&w, id, 0, 1);
        }
        c = must_begin(&w, id, 1); /* the last one is shorter */
        ck_reason(write_content(c, 1, 1000, 501, &err), FILEPROC_ERR_INVALID,
                  "chunk_length_invalid", &err);
        fp_chunk_free(c);
    }
}
END_TEST

START_TEST(chunks_that_no_upload_has_are_refused)
{
    static const uint64_t wrong[] = { 2, 3, UINT64_MAX, UINT64_MAX / 1000 };

    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], empty[FPI_UUID_SIZE];
        fp_chunk *c = NULL;
        fp_error err = { 0 };

        must_create(&w, 1500, id);
        must_create(&w, 0, empty);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
            ck_reason(fp_chunk_begin(w.ups, id, wrong[i], NULL, &c, &err), FILEPROC_ERR_INVALID,
                      "chunk_index_invalid", &err);
        ck_reason(fp_chunk_begin(w.ups, empty, 0, NULL, &c, &err), FILEPROC_ERR_INVALID,
                  "chunk_index_invalid", &err);
        ck_reason(fp_chunk_begin(w.ups, "0198c000-0000-7000-8000-000000000001", 0, NULL, &c, &err),
                  FILEPROC_ERR_NOTFOUND, "upload_not_found", &err);
        ck_reason(fp_chunk_begin(w.ups, "../x", 0, NULL, &c, &err), FILEPROC_ERR_NOTFOUND,
                  "upload_not_found", &err);
        ck_assert_ptr_null(c);
    }
}
END_TEST

START_TEST(newcomer_takes_over_at_once)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *old, *second, *third;

        must_create(&w, 1000, id);
        old = must_begin(&w, id, 0);
        must_write(old, 9, 0, 700);
        second = must_begin(&w, id, 0);
        must_write(second, 8, 0, 1000);
        ck_reason(write_content(old, 9, 700, 300, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
                  &err);
        third = must_begin(&w, id, 0);
        ck_reason(fp_chunk_commit(second, NULL, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
                  &err);
        must_write(third, 1, 0, 1000);
        fp_chunk_free(second);
        fp_chunk_free(old);
        must_commit(third);
        ck_completes(id, 1, 1000, true);
    }
}
END_TEST

static void *compare_beside(void *arg)
{
    must_chunk(&w, arg, 0, 1);
    return NULL;
}

static pthread_t newcomer_thread;

/* While the old one stores its chunk the newcomer comes, and has to wait. */
static void bring_newcomer(int slot, void *user_data)
{
    if (slot != SLOT_COMMIT)
        return;
    w.on_slot = NULL;
    ck_assert_int_eq(pthread_create(&newcomer_thread, NULL, compare_beside, user_data), 0);
    usleep(20000);
}

START_TEST(takeover_of_a_chunk_that_is_being_stored_compares)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *old;

        must_create(&w, 1000, id);
        w.slot_data = id;
        old = must_begin(&w, id, 0);
        must_write(old, 1, 0, 1000);
        w.on_slot = bring_newcomer;
        must_commit(old);
        pthread_join(newcomer_thread, NULL);
        ck_assert_int_eq(atomic_load(&w.calls[SLOT_COMMIT]), 1);
        ck_upload(&w, id, "uploading", 1);
        ck_completes(id, 1, 1000, true);
    }
}
END_TEST

static fp_status digest_chunk(const char *id, const char *algorithm, const void *digest,
                              size_t size, fp_error *err)
{
    fp_chunk_options o = FILEPROC_CHUNK_OPTIONS_INIT;
    fp_chunk *c = NULL;
    fp_status rc;

    o.digest_algorithm = algorithm;
    o.digest = digest;
    o.digest_size = size;
    rc = fp_chunk_begin(w.ups, id, 0, &o, &c, err);
    if (rc == FILEPROC_OK)
        rc = write_content(c, 1, 0, 1000, err);
    if (rc == FILEPROC_OK)
        rc = fp_chunk_commit(c, NULL, err);
    fp_chunk_free(c);
    return rc;
}

START_TEST(digest_decides_whether_a_chunk_counts)
{
    static const char *const names[] = { "sha-256", "md5", "sha", "crc32c", "SHA-256" };

    EACH_STORE(&w)
    {
        unsigned char bytes[1000], value[FPI_DIGEST_MAX];
        char id[FPI_UUID_SIZE];

        content_fill(1, 0, bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            fpi_digest_algorithm algorithm;
            fp_error err = { 0 };
            fpi_digest d;

            must_create(&w, 1000, id);
            ck_status(fpi_digest_by_name(names[i], &algorithm, &err), FILEPROC_OK, &err);
            fpi_digest_init(&d, algorithm);
            fpi_digest_update(&d, bytes, sizeof(bytes));
            fpi_digest_value(&d, value);
            value[2] ^= 4;
            ck_reason(digest_chunk(id, names[i], value, fpi_digest_size(algorithm), &err),
                      FILEPROC_ERR_INVALID, "digest_mismatch", &err);
            ck_upload(&w, id, "initiated", 0);
            value[2] ^= 4;
            ck_status(digest_chunk(id, names[i], value, fpi_digest_size(algorithm), &err),
                      FILEPROC_OK, &err);
            ck_status(digest_chunk(id, names[i], value, fpi_digest_size(algorithm), &err),
                      FILEPROC_OK, &err);
            value[0] ^= 1; /* of what is durable, too */
            ck_reason(digest_chunk(id, names[i], value, fpi_digest_size(algorithm), &err),
                      FILEPROC_ERR_INVALID, "digest_mismatch", &err);
            ck_completes(id, 1, 1000, true);
        }
    }
}
END_TEST

START_TEST(digest_that_cannot_be_checked_is_refused)
{
    EACH_STORE(&w)
    {
        static const unsigned char value[FPI_DIGEST_MAX];
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };

        must_create(&w, 1000, id);
        ck_reason(digest_chunk(id, "sha-512", value, 32, &err), FILEPROC_ERR_INVALID,
                  "digest_unsupported", &err);
        ck_status(digest_chunk(id, "sha-256", value, 31, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(digest_chunk(id, "sha-256", NULL, 32, &err), FILEPROC_ERR_INVALID, &err);
    }
}
END_TEST

START_TEST(digest_state_survives_a_restart)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 3333, id);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 1, 1);
        upload_world_reopen(&w);
        must_chunk(&w, id, 2, 1);
        upload_world_reopen(&w);
        must_chunk(&w, id, 3, 1);
        upload_world_reopen(&w);
        ck_completes(id, 1, 3333, true);
    }
}
END_TEST

/* The file driver makes it the object at once, and keeps no record of it. */
START_TEST(chunk_that_is_the_whole_file_survives_a_restart)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };

        must_create(&w, 1000, id);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 0, 1);
        upload_world_reopen(&w);
        ck_upload(&w, id, "uploading", 1);
        ck_reason(try_chunk(&w, id, 0, 2, &err), FILEPROC_ERR_CONFLICT, "chunk_conflict", &err);
        must_chunk(&w, id, 0, 1);
        upload_world_reopen(&w);
        ck_completes(id, 1, 1000, true);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_assert_uint_eq(object_count(w.st), 1);
    }
}
END_TEST

START_TEST(takeover_does_not_spoil_the_digest)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *old, *newcomer;

        must_create(&w, 2000, id);
        old = must_begin(&w, id, 0);
        must_write(old, 9, 0, 500);
        newcomer = must_begin(&w, id, 0);
        must_write(newcomer, 1, 0, 1000);
        must_commit(newcomer);
        fp_chunk_free(old);
        must_chunk(&w, id, 1, 1);
        ck_completes(id, 1, 2000, true);
    }
}
END_TEST

START_TEST(chunk_that_is_dropped_never_was)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c;

        must_create(&w, 2000, id);
        c = must_begin(&w, id, 0);
        must_write(c, 9, 0, 1000);
        fp_chunk_free(c);
        upload_world_reopen(&w);
        ck_upload(&w, id, "initiated", 0);
        must_all_chunks(&w, id, 1);
        ck_completes(id, 1, 2000, true);
    }
}
END_TEST

START_TEST(acknowledged_chunks_survive_a_restart)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c;

        must_create(&w, 5000, id);
        must_chunk(&w, id, 3, 1);
        must_chunk(&w, id, 1, 1);
        c = must_begin(&w, id, 0);
        must_write(c, 9, 0, 1000);
        fp_chunk_free(c);
        upload_world_reopen(&w);
        ck_upload(&w, id, "uploading", 2);
        must_chunk(&w, id, 1, 1);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 2, 1);
        must_chunk(&w, id, 4, 1);
        ck_completes(id, 1, 5000, false);
    }
}
END_TEST

START_TEST(full_disk_is_told_and_nothing_is_lost)
{
    static const int slots[] = { SLOT_WRITE, SLOT_COMMIT };

    EACH_STORE(&w)
    {
        for (size_t i = 0; i < 2; i++) {
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };

            must_create(&w, 2000, id);
            must_chunk(&w, id, 0, 1);
            atomic_store(&w.fail[slots[i]], FILEPROC_ERR_QUOTA);
            ck_reason(try_chunk(&w, id, 1, 1, &err), FILEPROC_ERR_QUOTA, "storage_full", &err);
            ck_upload(&w, id, "uploading", 1);
            atomic_store(&w.fail[slots[i]], 0);
            must_chunk(&w, id, 1, 1);
            ck_completes(id, 1, 2000, true);
        }
    }
}
END_TEST

START_TEST(disk_that_failed_once_is_asked_anew)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *beside, *c = NULL;
        fp_error err = { 0 };

        must_create(&w, 3000, id);
        must_chunk(&w, id, 0, 1);
        beside = must_begin(&w, id, 2);
        atomic_store(&w.fail[SLOT_COMMIT], FILEPROC_ERR_IO);
        ck_status(try_chunk(&w, id, 1, 1, &err), FILEPROC_ERR_IO, &err);
        atomic_store(&w.fail[SLOT_COMMIT], 0);
        /* What the disk has is known when all who write have ended. */
        ck_status(fp_chunk_begin(w.ups, id, 1, NULL, &c, &err), FILEPROC_ERR_IO, &err);
        ck_assert_uint_eq(err.flags & FILEPROC_ERROR_RETRYABLE, FILEPROC_ERROR_RETRYABLE);
        ck_upload(&w, id, "uploading", 1);
        fp_chunk_free(beside);
        must_chunk(&w, id, 1, 1);
        must_chunk(&w, id, 2, 1);
        ck_completes(id, 1, 3000, true);
    }
}
END_TEST

START_TEST(chunk_in_flight_ends_with_its_upload)
{
    EACH_STORE(&w)
    {
        static const struct {
            bool cancel;
            fp_status code;
            const char *reason;
        } ends[] = { { true, FILEPROC_ERR_CONFLICT, "upload_cancelled" },
                     { false, FILEPROC_ERR_NOTFOUND, "upload_expired" } };

        for (size_t i = 0; i < 2; i++) {
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };
            fp_chunk *writing, *committing, *late = NULL;

            must_create(&w, 3000, id);
            must_chunk(&w, id, 2, 1);
            writing = must_begin(&w, id, 0);
            must_write(writing, 1, 0, 10);
            committing = must_begin(&w, id, 1);
            must_write(committing, 1, 1000, 1000);
            if (ends[i].cancel) {
                ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
            } else {
                atomic_fetch_add(&w.now_ms, 3600000);
                ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            }
            ck_reason(fp_chunk_commit(committing, NULL, &err), ends[i].code, ends[i].reason, &err);
            ck_reason(fp_chunk_write(writing, "x", 1, &err), ends[i].code, ends[i].reason, &err);
            ck_reason(fp_chunk_begin(w.ups, id, 1, NULL, &late, &err), ends[i].code, ends[i].reason,
                      &err);
            fp_chunk_free(writing);
            fp_chunk_free(committing);
            ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(staged_count(w.st), 0);
        }
    }
}
END_TEST

START_TEST(compared_chunk_outlives_completion)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_chunk *again, *other;

        must_create(&w, 2000, id);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 1, 1);
        again = must_begin(&w, id, 0);
        other = must_begin(&w, id, 0);
        must_write(again, 1, 0, 500);
        ck_completes(id, 1, 2000, true);
        ck_reason(write_content(again, 1, 500, 500, &err), FILEPROC_ERR_CONFLICT,
                  "upload_completed", &err);
        ck_reason(fp_chunk_commit(other, NULL, &err), FILEPROC_ERR_INVALID, "chunk_length_invalid",
                  &err);
        ck_assert_uint_eq(staged_count(w.st), 1); /* the record stays while somebody has it open */
        fp_chunk_free(again);
        fp_chunk_free(other);
        ck_assert_uint_eq(staged_count(w.st), 0);
    }
}
END_TEST

/* ---- side by side ---- */

typedef struct sender {
    const char *ids[8];
    uint64_t first, step, chunks;
} sender;

static void *send_some(void *arg)
{
    sender *s = arg;

    for (uint64_t i = s->first; i < s->chunks; i += s->step)
        for (size_t k = 0; k < 8; k++) {
            fp_error err = { 0 };
            fp_status rc;

            while ((rc = try_chunk(&w, s->ids[k], i, (unsigned)k, &err)) < 0 &&
                   strcmp(fp_error_reason(&err), "chunk_superseded") == 0)
                ;
            ck_status(rc, FILEPROC_OK, &err);
        }
    return NULL;
}

START_TEST(many_senders_of_many_uploads_get_along)
{
    EACH_STORE(&w)
    {
        char ids[8][FPI_UUID_SIZE];
        sender senders[4];

        for (size_t k = 0; k < 8; k++)
            must_create(&w, 19500, ids[k]);
        for (size_t i = 0; i < 4; i++) {
            senders[i] =
                (sender){ .first = i % 3, .step = 3, .chunks = 20 }; /* two send the same */
            for (size_t k = 0; k < 8; k++)
                senders[i].ids[k] = ids[k];
        }
        senders[3].first = 0;
        senders[3].step = 1;
        run_threads(4, send_some, senders, sizeof(*senders));
        for (size_t k = 0; k < 8; k++) {
            fp_upload *u;
            char key[64];

            ck_upload(&w, ids[k], "uploading", 20);
            u = must_complete(&w, ids[k]);
            upload_object_key(u, key);
            ck_assert(object_is(w.st, key, (unsigned)k, 19500));
            fp_upload_free(u);
        }
    }
}
END_TEST

START_TEST(begin_write_and_commit_survive_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char id[FPI_UUID_SIZE];
            fp_upload *u = NULL;
            fp_chunk *c = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            must_create(&w, 1500, id);
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_chunk_begin(w.ups, id, 0, NULL, &c, &err);
            if (rc < 0)
                ck_assert_ptr_null(c);
            if (rc == FILEPROC_OK)
                rc = write_content(c, 1, 0, 1000, &err);
            if (rc == FILEPROC_OK)
                rc = fp_chunk_commit(c, &u, &err);
            fault_judge(&f, rc, &err);
            fp_chunk_free(c);
            ck_upload(&w, id, rc == FILEPROC_OK ? "uploading" : "initiated", rc == FILEPROC_OK);
            must_all_chunks(&w, id, 1);
            ck_completes(id, 1, 1500, true);
            fp_upload_free(u);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c = NULL;
        fp_chunk_options o = FILEPROC_CHUNK_OPTIONS_INIT;

        must_create(&w, 10, id);
        ck_assert_int_eq(fp_chunk_begin(NULL, id, 0, NULL, &c, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_chunk_begin(w.ups, NULL, 0, NULL, &c, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_chunk_begin(w.ups, id, 0, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
        o.struct_size = 1;
        ck_assert_int_eq(fp_chunk_begin(w.ups, id, 0, &o, &c, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_chunk_write(NULL, "", 0, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_chunk_commit(NULL, NULL, NULL), FILEPROC_ERR_INVALID);
        ck_assert_uint_eq(fp_chunk_length(NULL), 0);
        fp_chunk_free(NULL);
        c = must_begin(&w, id, 0);
        ck_assert_int_eq(fp_chunk_write(c, NULL, 1, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_chunk_write(c, NULL, 0, NULL), FILEPROC_OK);
        fp_chunk_free(c);
    }
}
END_TEST

RUN_TESTS("chunk", chunks_in_any_order_make_the_file, chunks_in_order_give_the_digest_of_the_whole,
          commit_shows_the_upload_and_tells_of_it, same_chunk_again_changes_nothing,
          same_chunk_with_other_bytes_is_a_conflict,
          chunks_that_cannot_be_read_back_are_compared_by_their_digests,
          wrong_lengths_are_refused_and_leave_nothing, chunks_that_no_upload_has_are_refused,
          newcomer_takes_over_at_once, takeover_of_a_chunk_that_is_being_stored_compares,
          digest_decides_whether_a_chunk_counts, digest_that_cannot_be_checked_is_refused,
          digest_state_survives_a_restart, chunk_that_is_the_whole_file_survives_a_restart,
          takeover_does_not_spoil_the_digest, chunk_that_is_dropped_never_was,
          acknowledged_chunks_survive_a_restart, full_disk_is_told_and_nothing_is_lost,
          disk_that_failed_once_is_asked_anew, chunk_in_flight_ends_with_its_upload,
          compared_chunk_outlives_completion, many_senders_of_many_uploads_get_along,
          begin_write_and_commit_survive_every_allocation_failure, wrong_arguments_are_refused)
