/* Owns: the promises of idempotency keys: the same request is answered once more and done once, another one is refused.
 * Must not know: how a request carries its key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static fp_upload_request request_with(const char *key)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;

    r.filename = "name.bin";
    r.mime_type = "image/png";
    r.owner = "alice";
    r.metadata = "{\"a\":1}";
    r.size = 2500;
    r.idempotency_key = key;
    return r;
}

static fp_upload *must_create_as(const fp_upload_request *r, bool replayed)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_create(w.ups, r, &u, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(u->flags & FILEPROC_UPLOAD_REPLAYED, replayed ? FILEPROC_UPLOAD_REPLAYED : 0);
    return u;
}

/* Makes an upload under the key, and writes its id to id. */
static void create_under(const char *key, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = request_with(key);
    fp_upload *u = must_create_as(&r, false);

    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

static void ck_as_first(const fp_upload *first, const fp_upload *again)
{
    ck_assert_str_eq(again->id, first->id);
    ck_assert_str_eq(again->status, "initiated");
    ck_assert_str_eq(again->filename, first->filename);
    ck_assert_str_eq(again->metadata, first->metadata);
    ck_assert_int_eq(again->created_at_ms, first->created_at_ms);
    ck_assert_int_eq(again->updated_at_ms, first->updated_at_ms);
    ck_assert_int_eq(again->expires_at_ms, first->expires_at_ms);
    ck_assert_uint_eq(again->total_chunks, first->total_chunks);
    ck_assert_uint_eq(again->chunks_uploaded, 0);
    ck_assert_uint_eq(again->bytes_received, 0);
    ck_assert_uint_eq(again->offset, 0);
    ck_assert_ptr_null(again->file_id);
    ck_assert_ptr_null(again->sha256);
    ck_assert_ptr_null(again->storage_url);
}

START_TEST(same_request_makes_one_upload)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request_with("k1");
        fp_upload *first = must_create_as(&r, false), *again;
        int told = atomic_load(&w.told);

        atomic_fetch_add(&w.now_ms, 5000);
        for (int i = 0; i < 3; i++) {
            again = must_create_as(&r, true);
            ck_as_first(first, again);
            fp_upload_free(again);
            if (i == 0)
                upload_world_reopen(&w);
            else
                must_all_chunks(&w, first->id, 1);
        }
        ck_assert_int_eq(atomic_load(&w.told), told + 3); /* of chunks alone */
        fp_upload_free(must_complete(&w, first->id));
        again = must_create_as(&r, true);
        ck_as_first(first, again);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 1);
        fp_upload_free(first);
        fp_upload_free(again);
    }
}
END_TEST

static void ck_reused(fp_upload_request r)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_reason(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_INVALID, "idempotency_reused",
              &err);
    ck_assert_ptr_null(u);
}

START_TEST(another_request_under_the_key_is_refused)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request_with("k1"), other = r;
        char id[FPI_UUID_SIZE], second[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        create_under("k1", id);
        other.filename = "other.bin";
        ck_reused(other);
        other = r;
        other.mime_type = "image/jpeg";
        ck_reused(other);
        other = r;
        other.size++;
        ck_reused(other);
        other = r;
        other.metadata = NULL;
        ck_reused(other);
        other = r;
        other.sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        ck_reused(other);
        other = r;
        other.note = "another";
        ck_reused(other);
        other = r;
        other.size = 0;
        other.size_unknown = 1;
        ck_reused(other);
        ck_reason(fp_upload_complete_keyed(w.ups, id, "k1", &u, &err), FILEPROC_ERR_INVALID,
                  "idempotency_reused", &err);
        create_under("k2", second);
        ck_assert_str_ne(id, second);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 2);
    }
}
END_TEST

START_TEST(each_owner_has_keys_of_his_own)
{
    static const char *const owners[] = { "alice", "bob", NULL };

    EACH_STORE(&w)
    {
        for (size_t i = 0; i < 3; i++) {
            fp_upload_request r = request_with("k1");

            r.owner = owners[i];
            r.filename = owners[i] ? owners[i] : "none";
            fp_upload_free(must_create_as(&r, false));
            fp_upload_free(must_create_as(&r, true));
        }
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 3);
    }
}
END_TEST

/* What was allowed once has its answer; what was refused may be allowed now. */
START_TEST(refusals_are_not_kept_and_answers_are)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_upload_request r = request_with("k1"), large = request_with("k2");
    fp_upload *u = NULL;
    fp_error err = { 0 };

    o.max_file_size = 3000;
    upload_world_open(&w, true, &o);
    large.size = 3001;
    fp_upload_free(must_create_as(&r, false));
    ck_reason(fp_upload_create(w.ups, &large, &u, &err), FILEPROC_ERR_QUOTA, "size_too_large",
              &err);
    w.options.max_file_size = 4000;
    w.options.allowed_types = "image/png";
    upload_world_reopen(&w);
    fp_upload_free(must_create_as(&large, false));
    w.options.allowed_types = "text/plain";
    upload_world_reopen(&w);
    fp_upload_free(must_create_as(&r, true));
    fp_upload_free(must_create_as(&large, true));
    upload_world_close(&w);
}
END_TEST

static void *create_it(void *out)
{
    fp_upload_request r = request_with("k1");
    fp_error err = { 0 };

    ck_status(fp_upload_create(w.ups, &r, out, &err), FILEPROC_OK, &err);
    return NULL;
}

START_TEST(many_at_once_make_one_upload)
{
    EACH_STORE(&w)
    {
        fp_upload *answers[8] = { NULL };
        int fresh = 0;

        run_threads(8, create_it, answers, sizeof(*answers));
        for (int i = 0; i < 8; i++) {
            fresh += !(answers[i]->flags & FILEPROC_UPLOAD_REPLAYED);
            ck_assert_str_eq(answers[i]->id, answers[0]->id);
        }
        for (int i = 0; i < 8; i++)
            fp_upload_free(answers[i]);
        ck_assert_int_eq(fresh, 1);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 1);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM upload_keys"), 1);
    }
}
END_TEST

START_TEST(upload_that_could_not_be_made_leaves_no_key)
{
    static const char *const tables[] = { "uploads", "upload_keys" };

    for (size_t i = 0; i < 2; i++)
        EACH_STORE(&w)
        {
            fp_upload_request r = request_with("k1");
            fp_upload *u = NULL;
            fp_error err = { 0 };

            fresh_database_refuse(w.db, tables[i]);
            ck_assert_int_lt(fp_upload_create(w.ups, &r, &u, &err), 0);
            fresh_database_allow(w.db, tables[i]);
            ck_assert_ptr_null(u);
            ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 0);
            ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM upload_keys"), 0);
            fp_upload_free(must_create_as(&r, false));
        }
}
END_TEST

START_TEST(key_is_forgotten_with_its_upload)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request_with("k1");
        char id[FPI_UUID_SIZE], again[FPI_UUID_SIZE];
        fp_upload *u;
        fp_error err = { 0 };

        create_under("k1", id);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        u = must_create_as(&r, true); /* whoever goes on with it hears what became of it */
        ck_assert_str_eq(u->id, id);
        fp_upload_free(u);
        atomic_fetch_add(&w.now_ms, INT64_C(8) * 24 * 3600 * 1000);
        ck_status(fp_uploads_reap(w.ups, 0, NULL, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM upload_keys"), 0);
        create_under("k1", again);
        ck_assert_str_ne(id, again);
    }
}
END_TEST

/* ---- completion ---- */

static fp_upload *must_complete_under(const char *id, const char *key, bool replayed)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_complete_keyed(w.ups, id, key, &u, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(u->flags & FILEPROC_UPLOAD_REPLAYED, replayed ? FILEPROC_UPLOAD_REPLAYED : 0);
    return u;
}

START_TEST(completion_is_answered_again_under_its_key)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], other[FPI_UUID_SIZE];
        fp_upload *first, *again, *u = NULL;
        fp_error err = { 0 };

        create_under(NULL, id);
        create_under(NULL, other);
        must_all_chunks(&w, id, 1);
        must_all_chunks(&w, other, 1);
        first = must_complete_under(id, "c1", false);
        for (int i = 0; i < 2; i++) {
            again = must_complete_under(id, "c1", true);
            ck_assert_str_eq(again->file_id, first->file_id);
            ck_assert_str_eq(again->sha256, first->sha256);
            ck_assert_int_eq(again->updated_at_ms, first->updated_at_ms);
            fp_upload_free(again);
            upload_world_reopen(&w);
        }
        ck_reason(fp_upload_complete_keyed(w.ups, other, "c1", &u, &err), FILEPROC_ERR_INVALID,
                  "idempotency_reused", &err);
        ck_upload(&w, other, "uploading", 3);
        ck_reason(
            fp_upload_complete_keyed(w.ups, "0198c000-0000-7000-8000-000000000001", "c2", &u, &err),
            FILEPROC_ERR_NOTFOUND, "upload_not_found", &err);
        fp_upload_free(must_complete_under(other, "c2", false));
        fp_upload_free(must_complete_under(other, NULL, false));
        fp_upload_free(first);
    }
}
END_TEST

START_TEST(completion_that_failed_is_tried_again_under_its_key)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_upload *u = NULL;
        fp_error err = { 0 };

        create_under(NULL, id);
        ck_reason(fp_upload_complete_keyed(w.ups, id, "c1", &u, &err), FILEPROC_ERR_INVALID,
                  "upload_incomplete", &err);
        must_all_chunks(&w, id, 1);
        fresh_database_refuse(w.db, "outbox");
        ck_assert_int_lt(fp_upload_complete_keyed(w.ups, id, "c1", &u, &err), 0);
        fresh_database_allow(w.db, "outbox");
        upload_world_reopen(&w);
        fp_upload_free(must_complete_under(id, "c1", false));
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    }
}
END_TEST

static int in_progress;

/* From inside the publication. */
static void complete_meanwhile(int slot, void *user_data)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    if (slot != SLOT_PUBLISH || in_progress)
        return;
    in_progress = 1;
    ck_reason(fp_upload_complete_keyed(w.ups, user_data, "c1", &u, &err), FILEPROC_ERR_CONFLICT,
              "request_in_progress", &err);
}

START_TEST(completion_in_progress_is_told)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        create_under(NULL, id);
        must_all_chunks(&w, id, 1);
        in_progress = 0;
        w.slot_data = id;
        w.on_slot = complete_meanwhile;
        fp_upload_free(must_complete_under(id, "c1", false));
        w.on_slot = NULL;
        ck_assert_int_eq(in_progress, 1);
        fp_upload_free(must_complete_under(id, "c1", true));
    }
}
END_TEST

START_TEST(what_is_no_key_is_refused)
{
    EACH_STORE(&w)
    {
        fp_upload_request r = request_with("");
        fp_upload *u = NULL;
        fp_error err = { 0 };
        char id[FPI_UUID_SIZE], key[257];

        ck_reason(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_INVALID, "parameter_invalid",
                  &err);
        memset(key, 'k', 256);
        key[256] = 0;
        r.idempotency_key = key;
        ck_reason(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_ERR_INVALID, "parameter_invalid",
                  &err);
        key[255] = 0;
        create_under(key, id);
        ck_reason(fp_upload_complete_keyed(w.ups, id, "", &u, &err), FILEPROC_ERR_INVALID,
                  "parameter_invalid", &err);
    }
}
END_TEST

START_TEST(keys_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_upload_request r = request_with("k1");
        fp_upload *u = NULL, *again = NULL, *done = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        upload_world_open_with(&w, false, NULL, &f.allocator);
        fault_arm(&f);
        rc = fp_upload_create(w.ups, &r, &u, &err);
        if (rc == FILEPROC_OK)
            rc = fp_upload_create(w.ups, &r, &again, &err);
        if (rc < 0)
            fault_judge(&f, rc, &err);
        fault_disarm(&f);
        if (rc == FILEPROC_OK) {
            must_all_chunks(&w, u->id, 1);
            fault_arm(&f);
            rc = fp_upload_complete_keyed(w.ups, u->id, "c1", &done, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(done != NULL, rc == FILEPROC_OK);
        }
        fp_upload_free(done);
        fp_upload_free(again);
        fp_upload_free(u);
        u = NULL;
        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        fp_upload_free(u);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM uploads"), 1);
        upload_world_close(&w);
    }
}
END_TEST

RUN_TESTS("idempotency", same_request_makes_one_upload, another_request_under_the_key_is_refused,
          each_owner_has_keys_of_his_own, refusals_are_not_kept_and_answers_are,
          many_at_once_make_one_upload, upload_that_could_not_be_made_leaves_no_key,
          key_is_forgotten_with_its_upload, completion_is_answered_again_under_its_key,
          completion_that_failed_is_tried_again_under_its_key, completion_in_progress_is_told,
          what_is_no_key_is_refused, keys_survive_every_allocation_failure)
