/* Owns: the promises of an upload whose bytes its owner has already: completed at once, a file of its own, nobody else's bytes.
 * Must not know: how uploads begin and end otherwise. */
#include <stdio.h>
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

#define SIZE 2500u

static upload_world w;

/* Of content(seed). */
static void digest_of(unsigned seed, size_t size, char hex[2 * FPI_DIGEST_MAX + 1])
{
    unsigned char bytes[SIZE], value[FPI_DIGEST_MAX];
    fpi_digest d;

    content_fill(seed, 0, bytes, size);
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, bytes, size);
    fpi_digest_value(&d, value);
    fpi_hex(value, sizeof(value), hex);
}

static fp_upload_request ask(const char *owner, const char *sha256)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;

    r.filename = "again.bin";
    r.mime_type = "application/octet-stream";
    r.owner = owner;
    r.size = SIZE;
    r.sha256 = sha256;
    r.flags = FILEPROC_UPLOAD_REUSE;
    return r;
}

static fp_upload *must_ask(fp_upload_request r)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    return u;
}

/* Its client sends the bytes, as if there were no reuse. */
static void ck_open(fp_upload *u)
{
    ck_assert_str_eq(u->status, "initiated");
    ck_assert_ptr_null(u->file_id);
    must_all_chunks(&w, u->id, 1);
    fp_upload_free(must_complete(&w, u->id));
    fp_upload_free(u);
}

static void ck_has_content(const char *file_id, unsigned seed)
{
    char key[64];

    snprintf(key, sizeof(key), "files/%s", file_id);
    ck_assert(object_is(w.st, key, seed, SIZE));
}

/* alice has a file with content(1). */
static fp_upload *first(char hex[2 * FPI_DIGEST_MAX + 1])
{
    fp_upload_request r;
    fp_upload *u, *done;

    digest_of(1, SIZE, hex);
    r = ask("alice", hex);
    u = must_ask(r);
    ck_assert_str_eq(u->status, "initiated"); /* there is nothing to take yet */
    must_all_chunks(&w, u->id, 1);
    done = must_complete(&w, u->id);
    fp_upload_free(u);
    return done;
}

START_TEST(upload_of_what_the_owner_has_is_completed_at_once)
{
    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1];
        fp_upload *old = first(hex), *u, *seen;
        fp_error err = { 0 };

        upload_world_reopen(&w);
        u = must_ask(ask("alice", hex));
        ck_assert_str_eq(u->status, "completed");
        ck_assert_str_eq(u->filename, "again.bin");
        ck_assert_str_eq(u->sha256, hex);
        ck_assert_uint_eq(u->chunks_uploaded, 3);
        ck_assert_uint_eq(u->bytes_received, SIZE);
        ck_assert_str_ne(u->file_id, old->file_id);
        ck_has_content(u->file_id, 1);
        upload_world_reopen(&w);
        seen = must_complete(&w, u->id); /* clients may ask for it all the same */
        ck_assert_str_eq(seen->file_id, u->file_id);
        fp_upload_free(seen);
        /* Each lives for itself. */
        ck_status(fp_catalog_delete(w.cat, old->file_id, &err), FILEPROC_OK, &err);
        ck_has_content(u->file_id, 1);
        seen = must_ask(ask("alice", hex));
        ck_assert_str_eq(seen->status, "completed");
        ck_status(fp_catalog_delete(w.cat, u->file_id, &err), FILEPROC_OK, &err);
        ck_has_content(seen->file_id, 1);
        ck_status(fp_catalog_delete(w.cat, seen->file_id, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(object_count(w.st), 0);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_open(must_ask(ask("alice", hex)));
        fp_upload_free(old);
        fp_upload_free(u);
        fp_upload_free(seen);
    }
}
END_TEST

START_TEST(it_has_a_job_as_any_other)
{
    char hex[2 * FPI_DIGEST_MAX + 1];
    fp_upload_request r;
    fp_upload *u;

    upload_world_open(&w, true, NULL);
    upload_world_add_jobs(&w);
    fp_upload_free(first(hex));
    r = ask("alice", hex);
    r.mime_type = "text/plain";
    u = must_ask(r);
    ck_assert_str_eq(u->status, "completed");
    ck_assert_ptr_nonnull(u->job_id);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs"), 1);
    fp_upload_free(u);
    upload_world_close(&w);
}
END_TEST

START_TEST(empty_file_needs_no_bytes_at_all)
{
    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1];
        fp_upload_request r;
        fp_upload *u, *again;

        digest_of(1, 0, hex);
        r = ask("alice", hex);
        r.size = 0;
        u = must_ask(r);
        fp_upload_free(must_complete(&w, u->id));
        again = must_ask(r);
        ck_assert_str_eq(again->status, "completed");
        fp_upload_free(u);
        fp_upload_free(again);
    }
}
END_TEST

START_TEST(nothing_is_taken_from_others_or_without_being_asked)
{
    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1], other[2 * FPI_DIGEST_MAX + 1];
        fp_upload_request r;
        fp_upload *u;

        fp_upload_free(first(hex));
        ck_open(must_ask(ask("bob", hex)));
        ck_open(must_ask(ask(NULL, hex)));
        ck_open(must_ask(ask(NULL, hex))); /* nobody's files are nobody's */
        r = ask("alice", hex);
        r.flags = 0;
        ck_open(must_ask(r));
        ck_open(must_ask(ask("alice", NULL)));
        r = ask("alice", hex);
        r.size = SIZE - 1;
        u = must_ask(r);
        ck_assert_str_eq(u->status, "initiated");
        fp_upload_free(u);
        digest_of(2, SIZE, other);
        u = must_ask(ask("alice", other));
        ck_assert_str_eq(u->status, "initiated");
        fp_upload_free(u);
    }
}
END_TEST

START_TEST(bytes_that_are_gone_or_others_are_not_taken)
{
    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1], key[64];
        fp_upload *old = first(hex);
        fp_error err = { 0 };
        fp_assembly *a;

        upload_object_key(old, key);
        a = must_open(w.st, "damage", FILEPROC_ASSEMBLY_CREATE);
        must_part(a, 2, 0, SIZE);
        ck_status(fp_assembly_publish(a, key, SIZE, 0, &err), FILEPROC_OK, &err);
        fp_assembly_close(a);
        ck_status(fp_storage_discard(w.st, "damage", &err), FILEPROC_OK, &err);
        ck_has_content(old->file_id, 2);
        ck_open(must_ask(ask("alice", hex)));
        upload_world_reopen(&w);
        must_sql(w.db, "DELETE FROM uploads");
        must_sql(w.db,
                 "DELETE FROM files WHERE filename = 'again.bin' AND id <> (SELECT MIN(id) FROM"
                 " files)");
        ck_status(fp_storage_remove(w.st, key, &err), FILEPROC_OK, &err);
        ck_open(must_ask(ask("alice", hex)));
        fp_upload_free(old);
    }
}
END_TEST

START_TEST(what_can_t_be_copied_is_left_to_the_client)
{
    static const int slots[] = { SLOT_WRITE, SLOT_COMMIT, SLOT_PUBLISH };

    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1];

        fp_upload_free(first(hex));
        for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
            fp_upload *u;

            atomic_store(&w.fail[slots[i]], FILEPROC_ERR_IO);
            u = must_ask(ask("alice", hex));
            atomic_store(&w.fail[slots[i]], 0);
            ck_open(u);
        }
    }
}
END_TEST

START_TEST(the_same_key_gets_the_same_file)
{
    EACH_STORE(&w)
    {
        char hex[2 * FPI_DIGEST_MAX + 1];
        fp_upload_request r;
        fp_upload *old = first(hex), *u, *again;

        r = ask("alice", hex);
        r.idempotency_key = "k";
        u = must_ask(r);
        upload_world_reopen(&w);
        again = must_ask(r);
        ck_assert_str_eq(again->status, "completed");
        ck_assert_str_eq(again->id, u->id);
        ck_assert_str_eq(again->file_id, u->file_id);
        ck_assert_uint_eq(again->flags, FILEPROC_UPLOAD_REPLAYED);
        ck_assert_uint_eq(u->flags, 0);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 2);
        fp_upload_free(old);
        fp_upload_free(u);
        fp_upload_free(again);
    }
}
END_TEST

START_TEST(a_copy_counts_for_its_owner_s_limit)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char hex[2 * FPI_DIGEST_MAX + 1];
    fp_upload_request r;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    o.owner_max_bytes = 2 * SIZE;
    upload_world_open(&w, true, &o);
    fp_upload_free(first(hex));
    fp_upload_free(must_ask(ask("alice", hex)));
    r = ask("alice", hex);
    ck_reason(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_QUOTA, "quota_exceeded", &err);
    upload_world_close(&w);
}
END_TEST

/* As a client does who was told to send all. */
static void finish(const char *id)
{
    fp_upload *u = must_get(&w, id);

    if (strcmp(u->status, "completed") != 0)
        must_all_chunks(&w, id, 1);
    fp_upload_free(u);
    fp_upload_free(must_complete(&w, id));
}

START_TEST(reuse_survives_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            char hex[2 * FPI_DIGEST_MAX + 1];
            fp_upload_request r;
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            fp_upload_free(first(hex));
            r = ask("alice", hex);
            fault_arm(&f);
            rc = fp_upload_create(w.ups, &r, &u, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
            if (u && strcmp(u->status, "completed") != 0) /* whatever it had come to */
                finish(u->id);
            fp_upload_free(u);
            u = must_ask(r);
            ck_assert_str_eq(u->status, "completed");
            fp_upload_free(u);
            upload_world_close(&w);
        }
    }
}
END_TEST

RUN_TESTS("upload_reuse", upload_of_what_the_owner_has_is_completed_at_once,
          it_has_a_job_as_any_other, empty_file_needs_no_bytes_at_all,
          nothing_is_taken_from_others_or_without_being_asked,
          bytes_that_are_gone_or_others_are_not_taken, what_can_t_be_copied_is_left_to_the_client,
          the_same_key_gets_the_same_file, a_copy_counts_for_its_owner_s_limit,
          reuse_survives_every_allocation_failure)
