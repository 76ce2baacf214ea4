/* Owns: the promises of a SHA-256 given at the beginning: no file is made of other bytes, however they came and wherever they lie.
 * Must not know: how completion goes otherwise (test_upload_complete.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

#define SIZE 3500u

static upload_world w;

typedef enum order { FORWARD, BACKWARD, HOLE } order;

static void hash_content(unsigned seed, char hex[65])
{
    unsigned char bytes[SIZE], value[FPI_DIGEST_MAX];
    fpi_digest d;

    content_fill(seed, 0, bytes, sizeof(bytes));
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, bytes, sizeof(bytes));
    fpi_digest_value(&d, value);
    fpi_hex(value, 32, hex);
}

static fp_status create(const char *sha256, uint64_t size, char id[FPI_UUID_SIZE], fp_error *err)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_status rc;

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.size = size;
    r.sha256 = sha256;
    rc = fp_upload_create(w.ups, &r, &u, err);
    if (rc == FILEPROC_OK) {
        memcpy(id, u->id, FPI_UUID_SIZE);
        fp_upload_free(u);
    }
    return rc;
}

/* An upload of content(3) that was said to be content(said), all of which has arrived. */
static void send_all(unsigned said, order how, char id[FPI_UUID_SIZE])
{
    static const uint64_t orders[][4] = {
        [FORWARD] = { 0, 1, 2, 3 }, [BACKWARD] = { 3, 2, 1, 0 }, [HOLE] = { 0, 2, 1, 3 }
    };
    fp_error err = { 0 };
    char hex[65];

    hash_content(said, hex);
    ck_status(create(hex, SIZE, id, &err), FILEPROC_OK, &err);
    for (int i = 0; i < 4; i++)
        must_chunk(&w, id, orders[how][i], 3);
}

/* Every order, on stores that can be read back and that can't. */
#define EACH_WAY(how)                                                                              \
    for (int hide_ = 0; hide_ < 2; hide_++)                                                        \
        for (order how = FORWARD; how <= HOLE; how++)                                              \
    EACH_STORE(&w)

static void maybe_hide(int hide)
{
    if (hide)
        upload_world_hide_staged(&w);
}

START_TEST(right_digest_makes_the_file)
{
    EACH_WAY(how)
    {
        char id[FPI_UUID_SIZE], hex[65], key[64];
        fp_file *f = NULL;
        fp_error err = { 0 };
        fp_upload *u;

        maybe_hide(hide_);
        hash_content(3, hex);
        send_all(3, how, id);
        u = must_complete(&w, id);
        ck_assert_str_eq(u->sha256, hex);
        ck_assert_str_eq(u->expected_sha256, hex);
        upload_object_key(u, key);
        ck_assert(object_is(w.st, key, 3, SIZE));
        ck_status(fp_catalog_get(w.cat, u->file_id, &f, &err), FILEPROC_OK, &err);
        ck_assert_str_eq(f->sha256, hex);
        fp_file_free(f);
        fp_upload_free(u);
    }
}
END_TEST

static void ck_failed(const char *id)
{
    char said[65], came[65];
    fp_error err = { 0 };
    fp_upload *u = NULL;

    hash_content(4, said);
    hash_content(3, came);
    ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID, "sha256_mismatch",
              &err);
    ck_assert_ptr_null(u);
    ck_reason(try_chunk(&w, id, 0, 3, &err), FILEPROC_ERR_INVALID, "sha256_mismatch", &err);
    u = must_get(&w, id);
    ck_assert_str_eq(u->status, "failed");
    ck_assert_str_eq(u->expected_sha256, said);
    ck_assert_str_eq(u->sha256, came);
    ck_assert_ptr_null(u->file_id);
    fp_upload_free(u);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 0);
    ck_assert_uint_eq(object_count(w.st), 0);
    ck_assert_uint_eq(staged_count(w.st), 0);
}

START_TEST(other_bytes_make_no_file_and_all_hear_why)
{
    EACH_WAY(how)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        int told;

        maybe_hide(hide_);
        send_all(4, how, id);
        told = atomic_load(&w.told);
        ck_failed(id);
        ck_assert_int_eq(atomic_load(&w.told), told + 1);
        ck_assert_str_eq(w.last_status, "failed");
        ck_failed(id);
        upload_world_reopen(&w);
        ck_failed(id);
        ck_assert_int_eq(atomic_load(&w.told), told + 1);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        ck_failed(id);
    }
}
END_TEST

START_TEST(one_wrong_byte_at_the_end_is_found)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], hex[65];
        fp_error err = { 0 };
        fp_upload *u = NULL;

        hash_content(3, hex);
        ck_status(create(hex, SIZE, id, &err), FILEPROC_OK, &err);
        must_chunk(&w, id, 3, 5);
        for (uint64_t i = 0; i < 3; i++)
            must_chunk(&w, id, i, 3);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID, "sha256_mismatch",
                  &err);
        ck_assert_uint_eq(object_count(w.st), 0);
    }
}
END_TEST

START_TEST(missing_chunks_come_before_the_digest)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], hex[65];
        fp_error err = { 0 };
        fp_upload *u = NULL;

        hash_content(3, hex);
        ck_status(create(hex, SIZE, id, &err), FILEPROC_OK, &err);
        must_chunk(&w, id, 3, 3);
        ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID,
                  "upload_incomplete", &err);
        ck_upload(&w, id, "uploading", 1);
        for (uint64_t i = 0; i < 3; i++)
            must_chunk(&w, id, i, 3);
        fp_upload_free(must_complete(&w, id));
    }
}
END_TEST

/* What was published in vain is read as an object: also by a process that comes after. */
START_TEST(completion_that_failed_behind_the_publication_is_verified_again)
{
    EACH_WAY(how)
    {
        char id[FPI_UUID_SIZE], hex[65];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        maybe_hide(hide_);
        hash_content(3, hex);
        send_all(3, how, id);
        fresh_database_refuse(w.db, "outbox");
        ck_assert_int_lt(fp_upload_complete(w.ups, id, &u, &err), 0);
        fresh_database_allow(w.db, "outbox");
        upload_world_reopen(&w);
        u = must_complete(&w, id);
        ck_assert_str_eq(u->sha256, hex);
        fp_upload_free(u);
    }
}
END_TEST

/* The failure is only what the database has of it. */
START_TEST(mismatch_that_can_not_be_written_is_found_again)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_status rc;

        send_all(4, HOLE, id);
        must_sql(w.db, "ALTER TABLE uploads RENAME TO away");
        rc = fp_upload_complete(w.ups, id, &u, &err);
        must_sql(w.db, "ALTER TABLE away RENAME TO uploads");
        ck_assert_int_lt(rc, 0);
        ck_assert_str_ne(fp_error_reason(&err), "sha256_mismatch");
        ck_upload(&w, id, "uploading", 4);
        ck_failed(id);
    }
}
END_TEST

static void *complete_it(void *out)
{
    void **answer = out;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_complete(w.ups, *answer, &u, &err), FILEPROC_OK, &err);
    *answer = u;
    return NULL;
}

START_TEST(many_who_complete_get_one_file)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        void *answers[4]; /* the id, and then what became of it */

        send_all(3, BACKWARD, id);
        for (size_t i = 0; i < 4; i++)
            answers[i] = id;
        run_threads(4, complete_it, answers, sizeof(*answers));
        ck_assert_uint_eq(object_count(w.st), 1);
        for (size_t i = 0; i < 4; i++) {
            fp_upload *u = answers[i];

            ck_assert_ptr_nonnull(u->file_id);
            fp_upload_free(u);
        }
    }
}
END_TEST

START_TEST(what_is_no_digest_is_refused)
{
    char right[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char id[FPI_UUID_SIZE], bad[80];
    fp_error err = { 0 };
    fp_upload *u;

    upload_world_open(&w, false, NULL);
    ck_reason(create("", 0, id, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    snprintf(bad, sizeof(bad), "%.63s", right);
    ck_reason(create(bad, 0, id, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    snprintf(bad, sizeof(bad), "%s0", right);
    ck_reason(create(bad, 0, id, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    for (const char *c = "g/:@`G \n\xc3"; *c; c++) {
        snprintf(bad, sizeof(bad), "%s", right);
        bad[40] = *c;
        ck_reason(create(bad, 0, id, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    }
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 0);
    right[0] = 'E'; /* letters of either case */
    ck_status(create(right, 0, id, &err), FILEPROC_OK, &err);
    u = must_complete(&w, id);
    ck_assert_int_eq(u->sha256[0], 'e');
    fp_upload_free(u);
    upload_world_close(&w);
}
END_TEST

START_TEST(verification_survives_every_allocation_failure)
{
    for (int hide = 0; hide < 2; hide++)
        for (unsigned said = 3; said < 5; said++) {
            fault f;

            FAULT_LOOP(&f)
            {
                char id[FPI_UUID_SIZE];
                fp_upload *u = NULL;
                fp_error err = { 0 };
                fp_status rc;

                fault_disarm(&f);
                upload_world_open_with(&w, false, NULL, &f.allocator);
                maybe_hide(hide);
                send_all(said, HOLE, id);
                fault_arm(&f);
                rc = fp_upload_complete(w.ups, id, &u, &err);
                if (said == 4 && rc == FILEPROC_ERR_INVALID)
                    fault_judge(&f, FILEPROC_OK, NULL);
                else
                    fault_judge(&f, rc, &err);
                ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
                ck_assert(!u || said == 3);
                fp_upload_free(u);
                if (said == 4)
                    ck_failed(id);
                else
                    fp_upload_free(must_complete(&w, id));
                upload_world_close(&w);
            }
        }
}
END_TEST

RUN_TESTS("upload_verify", right_digest_makes_the_file, other_bytes_make_no_file_and_all_hear_why,
          one_wrong_byte_at_the_end_is_found, missing_chunks_come_before_the_digest,
          completion_that_failed_behind_the_publication_is_verified_again,
          mismatch_that_can_not_be_written_is_found_again, many_who_complete_get_one_file,
          what_is_no_digest_is_refused, verification_survives_every_allocation_failure)
