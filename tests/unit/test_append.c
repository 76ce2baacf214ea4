/* Owns: the promises of appends: what is acknowledged is there, what broke off stays, an offset is never beyond what is durable.
 * Must not know: chunks for themselves (test_chunk.c), completion (test_upload_complete.c). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/digest.h"
#include "core/hex.h"
#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static fp_append *must_append(const char *id, uint64_t offset, const fp_append_options *opts)
{
    fp_append *a = NULL;
    fp_error err = { 0 };

    ck_status(fp_append_begin(w.ups, id, offset, opts, &a, &err), FILEPROC_OK, &err);
    return a;
}

static fp_status write_content(fp_append *a, unsigned seed, uint64_t place, size_t size,
                               fp_error *err)
{
    unsigned char *bytes = malloc(size + 1);
    fp_status rc;

    content_fill(seed, place, bytes, size);
    rc = fp_append_write(a, bytes, size, err);
    free(bytes);
    return rc;
}

static void must_write(fp_append *a, uint64_t place, size_t size)
{
    fp_error err = { 0 };

    ck_status(write_content(a, 1, place, size, &err), FILEPROC_OK, &err);
}

static void must_commit(fp_append *a, uint64_t offset)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_append_commit(a, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(u->offset, offset);
    fp_upload_free(u);
    fp_append_free(a);
}

/* A whole append of content(1). */
static void must_add(const char *id, uint64_t offset, size_t size)
{
    fp_append *a = must_append(id, offset, NULL);

    must_write(a, offset, size);
    must_commit(a, offset + size);
}

static void ck_offset(const char *id, uint64_t offset)
{
    fp_upload *u = must_get(&w, id);

    ck_assert_uint_eq(u->offset, offset);
    fp_upload_free(u);
}

static void ck_refused(const char *id, uint64_t offset, const fp_append_options *opts,
                       fp_status code, const char *reason)
{
    fp_append *a = NULL;
    fp_error err = { 0 };

    ck_reason(fp_append_begin(w.ups, id, offset, opts, &a, &err), code, reason, &err);
    ck_assert_ptr_null(a);
}

/* The object that the upload has become has content(1), and its digest is right or not known. */
static void ck_completes(const char *id, uint64_t size, bool hashed)
{
    fp_upload *u = must_complete(&w, id);
    char key[64], hex[2 * FPI_DIGEST_MAX + 1];
    unsigned char value[FPI_DIGEST_MAX], *bytes = malloc(size + 1);
    fpi_digest d;

    upload_object_key(u, key);
    ck_assert(object_is(w.st, key, 1, size));
    content_fill(1, 0, bytes, size);
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, bytes, size);
    fpi_digest_value(&d, value);
    fpi_hex(value, 32, hex);
    ck_assert_int_eq(u->sha256 != NULL, hashed);
    if (hashed)
        ck_assert_str_eq(u->sha256, hex);
    ck_assert_uint_eq(u->offset, size);
    free(bytes);
    fp_upload_free(u);
}

static void create_unknown(char id[FPI_UUID_SIZE])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.size_unknown = 1;
    r.note = "key dmFsdWU=";
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(u->size_unknown, 1);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

START_TEST(appends_of_any_size_make_the_file_and_its_digest)
{
    EACH_STORE(&w)
    {
        static const size_t sizes[] = { 1, 999, 1, 1500, 7, 2000, 493 };
        char id[FPI_UUID_SIZE];
        uint64_t at = 0;

        must_create(&w, 5001, id);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            must_add(id, at, sizes[i]);
            at += sizes[i];
            if (i % 2)
                upload_world_reopen(&w);
            ck_offset(id, at);
            ck_upload(&w, id, "uploading", at / 1000 + (at == 5001));
        }
        ck_completes(id, 5001, true);
    }
}
END_TEST

START_TEST(append_that_has_all_bytes_survives_a_restart)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_append *a;

        must_create(&w, 2500, id);
        o.length = 2500;
        a = must_append(id, 0, &o);
        must_write(a, 0, 2500);
        must_commit(a, 2500);
        upload_world_reopen(&w);
        ck_upload(&w, id, "uploading", 3);
        ck_offset(id, 2500);
        ck_completes(id, 2500, true);
    }
}
END_TEST

START_TEST(append_that_broke_off_keeps_what_came)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_append *a;

        must_create(&w, 2500, id);
        o.length = 2500;
        a = must_append(id, 0, &o);
        must_write(a, 0, 1234);
        ck_offset(id, 0);
        must_commit(a, 1234);
        ck_offset(id, 1234);
        a = must_append(id, 1234, NULL);
        must_commit(a, 1234); /* of nothing */
        upload_world_reopen(&w);
        ck_offset(id, 1234);
        must_add(id, 1234, 1266);
        ck_completes(id, 2500, true);
    }
}
END_TEST

START_TEST(append_that_is_dropped_never_was)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_append *a;

        must_create(&w, 2500, id);
        must_add(id, 0, 100);
        a = must_append(id, 100, NULL);
        must_write(a, 100, 2000);
        fp_append_free(a);
        ck_offset(id, 100);
        must_add(id, 100, 2400);
        ck_completes(id, 2500, true);
    }
}
END_TEST

START_TEST(long_append_becomes_durable_on_the_way)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.chunk_size = 1000;
    o.append_step = 1500; /* so at the end of the second chunk */
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        char id[FPI_UUID_SIZE];
        fp_append *a;
        int told;

        upload_world_open(&w, on_disk, &o);
        must_create(&w, 7000, id);
        told = atomic_load(&w.told);
        a = must_append(id, 0, NULL);
        must_write(a, 0, 1999);
        ck_offset(id, 0);
        must_write(a, 1999, 1);
        ck_offset(id, 2000);
        ck_assert_int_eq(atomic_load(&w.told), told + 1);
        must_write(a, 2000, 4321);
        ck_offset(id, 6000);
        fp_append_free(a);
        upload_world_reopen(&w);
        ck_offset(id, 6000);
        must_add(id, 6000, 1000);
        ck_completes(id, 7000, true);
        upload_world_close(&w);
    }
}
END_TEST

START_TEST(other_offset_is_a_conflict_and_changes_nothing)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_append *a;

        must_create(&w, 2500, id);
        must_add(id, 0, 700);
        a = must_append(id, 700, NULL);
        must_write(a, 700, 100);
        ck_refused(id, 0, NULL, FILEPROC_ERR_CONFLICT, "offset_mismatch");
        ck_refused(id, 699, NULL, FILEPROC_ERR_CONFLICT, "offset_mismatch");
        ck_refused(id, 701, NULL, FILEPROC_ERR_CONFLICT, "offset_mismatch");
        ck_refused(id, UINT64_MAX, NULL, FILEPROC_ERR_CONFLICT, "offset_mismatch");
        must_write(a, 800, 100); /* the one at work was not disturbed */
        must_commit(a, 900);
    }
}
END_TEST

START_TEST(bytes_beyond_the_end_are_refused)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;

        must_create(&w, 2500, id);
        o.length = 2501;
        ck_refused(id, 0, &o, FILEPROC_ERR_INVALID, "length_exceeded");
        o.length = UINT64_MAX;
        ck_refused(id, 0, &o, FILEPROC_ERR_INVALID, "length_exceeded");
        o.length = 100;
        a = must_append(id, 0, &o);
        ck_reason(write_content(a, 1, 0, 101, &err), FILEPROC_ERR_INVALID, "length_exceeded", &err);
        must_write(a, 0, 100);
        ck_reason(fp_append_write(a, "x", 1, &err), FILEPROC_ERR_INVALID, "length_exceeded", &err);
        must_commit(a, 100);
        a = must_append(id, 100, NULL);
        must_write(a, 100, 2400);
        ck_reason(fp_append_write(a, "x", 1, &err), FILEPROC_ERR_INVALID, "length_exceeded", &err);
        must_commit(a, 2500);
        ck_completes(id, 2500, true);
        ck_refused(id, 2500, NULL, FILEPROC_ERR_CONFLICT, "upload_completed");
    }
}
END_TEST

START_TEST(digest_decides_about_just_these_bytes)
{
    fp_uploads_options settings = FILEPROC_UPLOADS_OPTIONS_INIT;

    settings.chunk_size = 1000;
    settings.append_step = 1000;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        unsigned char bytes[2200], value[FPI_DIGEST_MAX];
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fpi_digest d;
        fp_append *a;

        upload_world_open(&w, on_disk, &settings);
        must_create(&w, 2500, id);
        must_add(id, 0, 300);
        content_fill(1, 300, bytes, sizeof(bytes));
        fpi_digest_init(&d, FPI_DIGEST_SHA1);
        fpi_digest_update(&d, bytes, sizeof(bytes));
        fpi_digest_value(&d, value);
        o.digest_algorithm = "sha";
        o.digest = value;
        o.digest_size = 20;
        for (int wrong = 1; wrong >= 0; wrong--) {
            value[0] ^= (unsigned char)wrong;
            a = must_append(id, 300, &o);
            value[0] ^= (unsigned char)wrong;
            must_write(a, 300, sizeof(bytes));
            ck_offset(id, 300);
            if (!wrong) {
                must_commit(a, 2500);
                continue;
            }
            ck_reason(fp_append_commit(a, NULL, &err), FILEPROC_ERR_INVALID, "digest_mismatch",
                      &err);
            fp_append_free(a);
            upload_world_reopen(&w);
            ck_offset(id, 300);
        }
        ck_completes(id, 2500, true);
        upload_world_close(&w);
    }
}
END_TEST

START_TEST(digest_that_cannot_be_checked_is_refused)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_append *a = NULL;

        must_create(&w, 10, id);
        o.digest = "";
        o.digest_algorithm = "sha-512";
        ck_refused(id, 0, &o, FILEPROC_ERR_INVALID, "digest_unsupported");
        o.digest_algorithm = "sha";
        ck_assert_int_eq(fp_append_begin(w.ups, id, 0, &o, &a, NULL), FILEPROC_ERR_INVALID);
    }
}
END_TEST

START_TEST(newcomer_takes_over_at_once)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *old, *idle, *young;

        must_create(&w, 2500, id);
        idle = must_append(id, 0, NULL);
        old = must_append(id, 0, NULL);
        must_write(old, 0, 500);
        young = must_append(id, 0, NULL);
        ck_reason(fp_append_write(old, "x", 1, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
                  &err);
        must_write(young, 0, 100);
        ck_reason(fp_append_write(idle, "x", 1, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
                  &err);
        ck_assert_int_lt(fp_append_commit(old, NULL, NULL), 0);
        fp_append_free(old);
        fp_append_free(idle);
        must_write(young, 100, 100);
        must_commit(young, 200);
        must_add(id, 200, 2300);
        ck_completes(id, 2500, true);
    }
}
END_TEST

/* Chunks 1 and 3 of five are there; appends fill what is between, and pass over what is not. */
static void begin_with_chunks(char id[FPI_UUID_SIZE])
{
    must_create(&w, 4500, id);
    must_chunk(&w, id, 1, 1);
    must_chunk(&w, id, 3, 1);
    ck_offset(id, 0);
}

START_TEST(upload_begun_in_chunks_is_finished_by_appending)
{
    for (int hidden = 0; hidden < 2; hidden++)
        EACH_STORE(&w)
        {
            char id[FPI_UUID_SIZE];
            fp_append *a;

            if (hidden)
                upload_world_hide_staged(&w);
            begin_with_chunks(id);
            a = must_append(id, 0, NULL);
            must_write(a, 0, 600);
            must_commit(a, 600);
            upload_world_reopen(&w);
            a = must_append(id, 600, NULL);
            must_write(a, 600, 400);
            must_commit(a, 2000); /* the gap is closed */
            a = must_append(id, 2000, NULL);
            must_write(a, 2000, 2500);
            must_commit(a, 4500);
            ck_completes(id, 4500, false);
        }
}
END_TEST

START_TEST(append_over_all_gaps_at_once)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_append *a;

        begin_with_chunks(id);
        a = must_append(id, 0, NULL);
        must_write(a, 0, 4500);
        must_commit(a, 4500);
        ck_completes(id, 4500, false);
    }
}
END_TEST

START_TEST(other_bytes_than_those_of_a_chunk_are_a_conflict)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;

        begin_with_chunks(id);
        a = must_append(id, 0, NULL);
        must_write(a, 0, 1000);
        ck_offset(id, 2000);
        ck_reason(write_content(a, 2, 1000, 500, &err), FILEPROC_ERR_CONFLICT, "chunk_conflict",
                  &err);
        fp_append_free(a);
        ck_offset(id, 2000);
    }
}
END_TEST

START_TEST(digest_over_more_than_one_gap_is_refused)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        unsigned char bytes[2000], value[FPI_DIGEST_MAX];
        char id[FPI_UUID_SIZE];
        fpi_digest d;
        fp_append *a;

        begin_with_chunks(id);
        content_fill(1, 0, bytes, sizeof(bytes));
        fpi_digest_init(&d, FPI_DIGEST_SHA256);
        fpi_digest_update(&d, bytes, sizeof(bytes));
        fpi_digest_value(&d, value);
        o.digest_algorithm = "sha-256";
        o.digest = value;
        o.digest_size = 32;
        a = must_append(id, 0, &o);
        must_write(a, 0, 2000);
        ck_assert_int_eq(write_content(a, 1, 2000, 1, NULL), FILEPROC_ERR_INVALID);
        fp_append_free(a);
        ck_offset(id, 0);
        a = must_append(id, 0, &o);
        must_write(a, 0, 2000);
        must_commit(a, 2000);
    }
}
END_TEST

START_TEST(upload_begun_by_appending_is_finished_in_chunks)
{
    for (int hidden = 0; hidden < 2; hidden++)
        EACH_STORE(&w)
        {
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };

            must_create(&w, 4500, id);
            if (hidden)
                upload_world_hide_staged(&w);
            must_add(id, 0, 1700);
            ck_upload(&w, id, "uploading", 1);
            if (!hidden)
                ck_reason(try_chunk(&w, id, 1, 2, &err), FILEPROC_ERR_CONFLICT, "chunk_conflict",
                          &err);
            must_all_chunks(&w, id, 1);
            must_all_chunks(&w, id, 1);
            ck_upload(&w, id, "uploading", 5);
            ck_completes(id, 4500, true);
        }
}
END_TEST

START_TEST(size_can_be_declared_late)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_upload *u = NULL;

        create_unknown(id);
        ck_assert_int_eq(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID);
        must_add(id, 0, 1500);
        upload_world_reopen(&w);
        u = must_get(&w, id);
        ck_assert_uint_eq(u->size_unknown, 1);
        ck_assert_uint_eq(u->offset, 1500);
        ck_assert_uint_eq(u->chunks_uploaded, 1);
        ck_assert_str_eq(u->note, "key dmFsdWU=");
        fp_upload_free(u);
        must_add(id, 1500, 900);
        ck_reason(fp_upload_set_size(w.ups, id, 2399, &err), FILEPROC_ERR_INVALID, "length_invalid",
                  &err);
        ck_status(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_OK, &err);
        ck_status(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_OK, &err);
        ck_reason(fp_upload_set_size(w.ups, id, 2501, &err), FILEPROC_ERR_INVALID, "length_invalid",
                  &err);
        upload_world_reopen(&w);
        u = must_get(&w, id);
        ck_assert_uint_eq(u->size_unknown, 0);
        ck_assert_uint_eq(u->size, 2500);
        ck_assert_uint_eq(u->total_chunks, 3);
        fp_upload_free(u);
        must_add(id, 2400, 100);
        ck_completes(id, 2500, true);
    }
}
END_TEST

START_TEST(size_declared_at_what_came_completes)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };

        create_unknown(id);
        must_add(id, 0, 1500);
        ck_status(fp_upload_set_size(w.ups, id, 1500, &err), FILEPROC_OK, &err);
        ck_upload(&w, id, "uploading", 2);
        ck_completes(id, 1500, true);
        create_unknown(id);
        ck_status(fp_upload_set_size(w.ups, id, 0, &err), FILEPROC_OK, &err);
        ck_completes(id, 0, true);
    }
}
END_TEST

START_TEST(append_under_way_has_no_place_once_the_size_is_declared)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;

        create_unknown(id);
        must_add(id, 0, 500);
        a = must_append(id, 500, NULL);
        must_write(a, 500, 1500);
        ck_status(fp_upload_set_size(w.ups, id, 700, &err), FILEPROC_OK, &err);
        ck_reason(fp_append_commit(a, NULL, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded", &err);
        fp_append_free(a);
        must_add(id, 500, 200);
        ck_completes(id, 700, true);
    }
}
END_TEST

typedef struct declaration {
    char id[FPI_UUID_SIZE];
    pthread_t thread;
    bool begun;
    fp_status rc;
    fp_error err;
} declaration;

static void *declare(void *user_data)
{
    declaration *d = user_data;

    d->rc = fp_upload_set_size(w.ups, d->id, 700, &d->err);
    return NULL;
}

/* The append was found to have its place, and its bytes are about to become durable. */
static void declare_meanwhile(int slot, void *user_data)
{
    declaration *d = user_data;

    if (slot != SLOT_COMMIT || d->begun)
        return;
    d->begun = true;
    ck_assert_int_eq(pthread_create(&d->thread, NULL, declare, d), 0);
    nanosleep(&(struct timespec){ 0, 50 * 1000000 }, NULL);
}

START_TEST(size_is_never_declared_below_what_is_just_becoming_durable)
{
    EACH_STORE(&w)
    {
        declaration d = { .begun = false };
        fp_error err = { 0 };
        fp_append *a;

        create_unknown(d.id);
        must_add(d.id, 0, 500);
        a = must_append(d.id, 500, NULL);
        must_write(a, 500, 1500);
        w.slot_data = &d;
        w.on_slot = declare_meanwhile;
        must_commit(a, 2000);
        w.on_slot = NULL;
        ck_assert(d.begun);
        ck_assert_int_eq(pthread_join(d.thread, NULL), 0);
        ck_reason(d.rc, FILEPROC_ERR_INVALID, "length_invalid", &d.err);
        must_add(d.id, 2000, 100);
        ck_status(fp_upload_set_size(w.ups, d.id, 2100, &err), FILEPROC_OK, &err);
        ck_completes(d.id, 2100, true);
    }
}
END_TEST

START_TEST(upload_of_unknown_size_ends_where_files_end)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_append *a;

    o.chunk_size = 1000;
    o.max_file_size = 3000;
    upload_world_open(&w, false, &o);
    create_unknown(id);
    a = must_append(id, 0, NULL);
    ck_reason(write_content(a, 1, 0, 3001, &err), FILEPROC_ERR_QUOTA, "size_too_large", &err);
    must_write(a, 0, 3000);
    must_commit(a, 3000);
    ck_reason(fp_upload_set_size(w.ups, id, 3001, &err), FILEPROC_ERR_QUOTA, "size_too_large",
              &err);
    upload_world_close(&w);
}
END_TEST

START_TEST(append_ends_with_its_upload)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_append *a;

        must_create(&w, 2500, id);
        a = must_append(id, 0, NULL);
        must_write(a, 0, 500);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        ck_reason(fp_append_commit(a, NULL, &err), FILEPROC_ERR_CONFLICT, "upload_cancelled", &err);
        fp_append_free(a);
        ck_refused(id, 0, NULL, FILEPROC_ERR_CONFLICT, "upload_cancelled");
        ck_reason(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_ERR_CONFLICT,
                  "upload_cancelled", &err);
        must_create(&w, 2500, id);
        a = must_append(id, 0, NULL);
        must_write(a, 0, 500);
        atomic_fetch_add(&w.now_ms, 100 * 3600 * 1000);
        ck_reason(fp_append_write(a, "x", 1, &err), FILEPROC_ERR_NOTFOUND, "upload_expired", &err);
        fp_append_free(a);
        ck_refused(id, 0, NULL, FILEPROC_ERR_NOTFOUND, "upload_expired");
    }
}
END_TEST

START_TEST(disk_that_fails_takes_only_what_was_not_durable)
{
    EACH_STORE(&w)
    {
        static const int slots[] = { SLOT_WRITE, SLOT_COMMIT };
        char id[FPI_UUID_SIZE];

        must_create(&w, 2500, id);
        must_add(id, 0, 100);
        for (size_t i = 0; i < 2; i++) {
            fp_append *a = must_append(id, 100, NULL);
            fp_status rc;

            atomic_store(&w.fail[slots[i]], FILEPROC_ERR_QUOTA);
            rc = write_content(a, 1, 100, 100, NULL);
            if (rc == FILEPROC_OK)
                rc = fp_append_commit(a, NULL, NULL);
            ck_assert_int_eq(rc, FILEPROC_ERR_QUOTA);
            fp_append_free(a);
            atomic_store(&w.fail[slots[i]], 0);
            ck_offset(id, 100);
        }
        must_add(id, 100, 2400);
        ck_completes(id, 2500, true);
    }
}
END_TEST

/* ---- side by side ---- */

typedef struct sender {
    const char *id;
    unsigned seed;
    bool chunks; /* else it appends */
} sender;

/* Whoever is overtaken looks where the upload is, and goes on there. */
static void append_some(const sender *s)
{
    unsigned state = s->seed;
    uint64_t at = 0;

    while (at < 50000) {
        fp_upload *u = must_get(&w, s->id);
        fp_append *a = NULL;
        size_t size;
        fp_status rc;

        at = u->offset;
        fp_upload_free(u);
        state = state * 1103515245u + 12345u;
        size = (state >> 16) % 3000;
        if (size > 50000 - at)
            size = (size_t)(50000 - at);
        rc = fp_append_begin(w.ups, s->id, at, NULL, &a, NULL);
        if (rc == FILEPROC_OK)
            rc = write_content(a, 1, at, size, NULL);
        if (rc == FILEPROC_OK)
            rc = fp_append_commit(a, NULL, NULL);
        ck_assert(rc == FILEPROC_OK || rc == FILEPROC_ERR_CONFLICT);
        fp_append_free(a);
    }
}

static void *send_some(void *arg)
{
    const sender *s = arg;

    if (!s->chunks)
        append_some(s);
    for (uint64_t i = 0; s->chunks && i < 50; i += 3) {
        fp_status rc = try_chunk(&w, s->id, i, 1, NULL);

        ck_assert(rc == FILEPROC_OK || rc == FILEPROC_ERR_CONFLICT);
    }
    return NULL;
}

START_TEST(appends_and_chunks_side_by_side_make_one_file)
{
    EACH_STORE(&w)
    {
        sender senders[4];
        char id[FPI_UUID_SIZE], key[64];
        fp_upload *u;

        must_create(&w, 50000, id);
        for (unsigned i = 0; i < 4; i++)
            senders[i] = (sender){ id, i, i == 3 };
        run_threads(4, send_some, senders, sizeof(*senders));
        ck_upload(&w, id, "uploading", 50);
        u = must_complete(&w, id);
        upload_object_key(u, key);
        ck_assert(object_is(w.st, key, 1, 50000));
        fp_upload_free(u);
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
            fp_append *a = NULL;
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            must_create(&w, 2500, id);
            must_chunk(&w, id, 1, 1);
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_append_begin(w.ups, id, 0, NULL, &a, &err);
            if (rc < 0)
                ck_assert_ptr_null(a);
            if (rc == FILEPROC_OK)
                rc = write_content(a, 1, 0, 2300, &err);
            if (rc == FILEPROC_OK)
                rc = fp_append_commit(a, &u, &err);
            fault_judge(&f, rc, &err);
            fp_append_free(a);
            fp_upload_free(u);
            u = must_get(&w, id);
            if (rc == FILEPROC_OK)
                ck_assert_uint_eq(u->offset, 2300);
            else
                ck_assert(u->offset == 0 || u->offset == 2000);
            must_add(id, u->offset, (size_t)(2500 - u->offset));
            fp_upload_free(u);
            ck_completes(id, 2500, false);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(set_size_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char id[FPI_UUID_SIZE];
            fp_error err = { 0 };
            fp_upload *u;
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            create_unknown(id);
            must_add(id, 0, 100);
            upload_world_reopen(&w);
            fault_arm(&f);
            rc = fp_upload_set_size(w.ups, id, 2500, &err);
            fault_judge(&f, rc, &err);
            u = must_get(&w, id);
            if (rc == FILEPROC_OK)
                ck_assert_uint_eq(u->size, 2500);
            fp_upload_free(u);
            ck_status(fp_upload_set_size(w.ups, id, 2500, &err), FILEPROC_OK, &err);
            must_add(id, 100, 2400);
            ck_completes(id, 2500, true);
            upload_world_close(&w);
        }
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    EACH_STORE(&w)
    {
        fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
        char id[FPI_UUID_SIZE];
        fp_append *a = NULL;

        must_create(&w, 10, id);
        ck_assert_int_eq(fp_append_begin(NULL, id, 0, NULL, &a, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_append_begin(w.ups, NULL, 0, NULL, &a, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_append_begin(w.ups, id, 0, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
        o.struct_size = 1;
        ck_assert_int_eq(fp_append_begin(w.ups, id, 0, &o, &a, NULL), FILEPROC_ERR_INVALID);
        ck_refused("no id", 0, NULL, FILEPROC_ERR_NOTFOUND, "upload_not_found");
        ck_assert_int_eq(fp_append_write(NULL, "", 0, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_append_commit(NULL, NULL, NULL), FILEPROC_ERR_INVALID);
        fp_append_free(NULL);
        a = must_append(id, 0, NULL);
        ck_assert_int_eq(fp_append_write(a, NULL, 1, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_append_write(a, NULL, 0, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_append_commit(a, NULL, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_append_commit(a, NULL, NULL), FILEPROC_ERR_INVALID);
        fp_append_free(a);
    }
}
END_TEST

/* 30 bytes of content(1), with a digest that is told behind them. */
static fp_status append_later(const char *id, const char *algorithm, const void *digest,
                              size_t size, fp_error *err)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    fp_append *a;
    fp_status rc = FILEPROC_OK;

    o.digest_later = 1;
    a = must_append(id, 0, &o);
    must_write(a, 0, 30);
    if (algorithm)
        rc = fp_append_expect(a, algorithm, digest, size, err);
    if (rc == FILEPROC_OK)
        rc = fp_append_commit(a, NULL, err);
    fp_append_free(a);
    return rc;
}

START_TEST(a_digest_may_be_told_behind_the_last_byte)
{
    static const char *const names[] = { "sha-256", "md5", "sha", "crc32c" };

    EACH_STORE(&w)
    for (size_t i = 0; i < 4; i++) {
        unsigned char bytes[30], value[FPI_DIGEST_MAX];
        fpi_digest_algorithm number;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fpi_digest d;

        must_create(&w, 30, id);
        content_fill(1, 0, bytes, 30);
        ck_status(fpi_digest_by_name(names[i], &number, &err), FILEPROC_OK, &err);
        fpi_digest_init(&d, number);
        fpi_digest_update(&d, bytes, 30);
        fpi_digest_value(&d, value);
        ck_status(append_later(id, NULL, NULL, 0, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(append_later(id, names[i], value, 3, &err), FILEPROC_ERR_INVALID, &err);
        ck_reason(append_later(id, "sha-0", value, 20, &err), FILEPROC_ERR_INVALID,
                  "digest_unsupported", &err);
        value[0] ^= 1;
        ck_reason(append_later(id, names[i], value, fpi_digest_size(number), &err),
                  FILEPROC_ERR_INVALID, "digest_mismatch", &err);
        ck_offset(id, 0);
        value[0] ^= 1;
        ck_status(append_later(id, names[i], value, fpi_digest_size(number), &err), FILEPROC_OK,
                  &err);
        ck_offset(id, 30);
    }
}
END_TEST

START_TEST(a_digest_is_told_once_and_only_when_it_was_announced)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_append *a;

    upload_world_open(&w, false, NULL);
    must_create(&w, 30, id);
    a = must_append(id, 0, NULL);
    ck_status(fp_append_expect(a, "crc32c", "abcd", 4, &err), FILEPROC_ERR_INVALID, &err);
    fp_append_free(a);
    o.digest_later = 1;
    a = must_append(id, 0, &o);
    ck_status(fp_append_expect(a, "crc32c", "abcd", 4, &err), FILEPROC_OK, &err);
    ck_status(fp_append_expect(a, "crc32c", "abcd", 4, &err), FILEPROC_ERR_INVALID, &err);
    fp_append_free(a);
    o.digest_algorithm = "crc32c";
    ck_status(fp_append_begin(w.ups, id, 0, &o, &a, &err), FILEPROC_ERR_INVALID, &err);
    upload_world_close(&w);
}
END_TEST

RUN_TESTS("append", a_digest_may_be_told_behind_the_last_byte,
          a_digest_is_told_once_and_only_when_it_was_announced,
          appends_of_any_size_make_the_file_and_its_digest,
          append_that_has_all_bytes_survives_a_restart, append_that_broke_off_keeps_what_came,
          append_that_is_dropped_never_was, long_append_becomes_durable_on_the_way,
          other_offset_is_a_conflict_and_changes_nothing, bytes_beyond_the_end_are_refused,
          digest_decides_about_just_these_bytes, digest_that_cannot_be_checked_is_refused,
          newcomer_takes_over_at_once, upload_begun_in_chunks_is_finished_by_appending,
          append_over_all_gaps_at_once, other_bytes_than_those_of_a_chunk_are_a_conflict,
          digest_over_more_than_one_gap_is_refused, upload_begun_by_appending_is_finished_in_chunks,
          size_can_be_declared_late, size_declared_at_what_came_completes,
          append_under_way_has_no_place_once_the_size_is_declared,
          size_is_never_declared_below_what_is_just_becoming_durable,
          upload_of_unknown_size_ends_where_files_end, append_ends_with_its_upload,
          appends_and_chunks_side_by_side_make_one_file,
          disk_that_fails_takes_only_what_was_not_durable,
          begin_write_and_commit_survive_every_allocation_failure,
          set_size_survives_every_allocation_failure, wrong_arguments_are_refused)
