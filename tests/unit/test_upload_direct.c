/* Owns: the promises of parts that clients send straight to the store: what gets an address, what is taken, what it becomes.
 * Must not know: how a store keeps them (test_storage_s3.c). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

#define PART 1000u
#define SIZE 2500u
#define DAY_S 86400u

static upload_world w;

static void open_world(bool on_disk, const fp_allocator *allocator)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.max_file_size = 5000;
    upload_world_open_with(&w, on_disk, &o, allocator);
    w.direct.part_size = PART;
}

/* An upload whose size nobody said. */
static void must_create_unknown(char id[FPI_UUID_SIZE])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.size_unknown = 1;
    ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

static fp_status presign(const char *id, uint32_t number, char out[64], fp_error *err)
{
    fp_buf url = FILEPROC_BUF_INIT;
    fp_status rc = fp_upload_presign(w.ups, id, number, DAY_S, &url, err);

    snprintf(out, 64, "%s", rc == FILEPROC_OK ? url.data : "");
    fp_buf_dispose(&url);
    return rc;
}

/* Parts 1 to 3 of SIZE bytes, the last one short. */
static void put_all(unsigned seed, fp_direct_part parts[3])
{
    for (uint32_t i = 0; i < 3; i++)
        parts[i] = (fp_direct_part){
            .number = i + 1, .etag = direct_store_put(&w.direct, i + 1, i < 2 ? PART : 500, seed)
        };
    for (uint32_t i = 0; i < 3; i++) /* which sending others may have moved */
        parts[i].etag = w.direct.parts[i].etag;
}

static fp_status adopt(const char *id, const fp_direct_part *parts, size_t count, fp_error *err)
{
    return fp_upload_adopt(w.ups, id, parts, count, NULL, err);
}

static void must_be_file(const char *id, uint64_t size, unsigned seed)
{
    fp_upload *u = must_complete(&w, id);
    unsigned char bytes[5000], expected[5000];
    char key[64];
    size_t got = 0;
    fp_error err = { 0 };

    ck_assert_str_eq(u->status, "completed");
    ck_assert_uint_eq(u->size, size);
    upload_object_key(u, key);
    ck_status(fp_storage_read(w.st, key, 0, bytes, sizeof(bytes), &got, &err), FILEPROC_OK, &err);
    content_fill(seed, 0, expected, sizeof(expected));
    ck_assert_uint_eq(got, size);
    ck_assert_int_eq(memcmp(bytes, expected, got), 0);
    fp_upload_free(u);
}

START_TEST(only_parts_that_the_upload_can_have_get_an_address)
{
    char id[FPI_UUID_SIZE], unknown[FPI_UUID_SIZE], url[64];
    uint64_t size = 0;
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create(&w, SIZE, id);
    must_create_unknown(unknown);
    ck_status(fp_upload_part_size(w.ups, id, &size, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(size, PART);
    ck_status(presign(id, 3, url, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(url, "direct:2000?3600"); /* not longer than the upload */
    ck_reason(presign(id, 0, url, &err), FILEPROC_ERR_INVALID, "chunk_index_invalid", &err);
    ck_reason(presign(id, 4, url, &err), FILEPROC_ERR_INVALID, "chunk_index_invalid", &err);
    ck_status(presign(unknown, 5, url, &err), FILEPROC_OK, &err);
    ck_reason(presign(unknown, 6, url, &err), FILEPROC_ERR_QUOTA, "size_too_large", &err);
    ck_reason(presign(unknown, 10001, url, &err), FILEPROC_ERR_INVALID, "chunk_index_invalid",
              &err);
    ck_reason(presign("x", 1, url, &err), FILEPROC_ERR_NOTFOUND, "upload_not_found", &err);
    ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
    ck_reason(presign(id, 1, url, &err), FILEPROC_ERR_CONFLICT, "upload_cancelled", &err);
    atomic_fetch_add(&w.now_ms, 3600000);
    ck_reason(presign(unknown, 1, url, &err), FILEPROC_ERR_NOTFOUND, "upload_expired", &err);
    upload_world_close(&w);
}
END_TEST

static fp_status count_parts(void *user_data, const fp_direct_part *part, fp_error *err)
{
    uint32_t *seen = user_data;

    (void)err;
    ck_assert_uint_eq(part->number, ++*seen);
    ck_assert_str_eq(part->etag, w.direct.parts[part->number - 1].etag);
    ck_assert_uint_eq(part->size, w.direct.parts[part->number - 1].size);
    return FILEPROC_OK;
}

START_TEST(a_store_that_signs_nothing_says_so)
{
    char id[FPI_UUID_SIZE], url[64];
    const fp_direct_part part = { .number = 1, .etag = "x" };
    uint32_t seen = 0;
    uint64_t size = 0;
    fp_error err = { 0 };

    open_world(false, NULL);
    w.direct.part_size = 0;
    must_create(&w, SIZE, id);
    ck_status(fp_upload_part_size(w.ups, id, &size, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(presign(id, 1, url, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_upload_written(w.ups, id, count_parts, &seen, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(adopt(id, &part, 1, &err), FILEPROC_ERR_NOTSUP, &err);
    must_all_chunks(&w, id, 3);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(parts_at_the_store_are_told_before_they_are_taken)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    uint32_t seen = 0;
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    put_all(3, parts);
    ck_status(fp_upload_written(w.ups, id, count_parts, &seen, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(seen, 3);
    ck_upload(&w, id, "initiated", 0);
    upload_world_close(&w);
}
END_TEST

/* Whether its size was said or not; sent by one client, or by one who was told to begin anew. */
START_TEST(parts_become_the_file)
{
    for (int known = 0; known < 2; known++)
        for (int disk = 0; disk < 2; disk++) {
            char id[FPI_UUID_SIZE];
            fp_direct_part parts[3];
            fp_upload *u = NULL;
            fp_error err = { 0 };

            open_world(disk, NULL);
            if (known)
                must_create(&w, SIZE, id);
            else
                must_create_unknown(id);
            put_all(2, parts);
            put_all(3, parts);
            ck_status(fp_upload_adopt(w.ups, id, parts, 3, &u, &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(u->bytes_received, SIZE);
            ck_assert_uint_eq(u->size, SIZE);
            ck_assert_uint_eq(u->size_unknown, 0);
            ck_assert_uint_eq(w.last_chunks, 3);
            fp_upload_free(u);
            ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
            upload_world_reopen(&w);
            w.direct.count = disk ? 0 : 3; /* the store may have put them together already */
            ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
            must_be_file(id, SIZE, 3);
            ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_CONFLICT, "upload_completed", &err);
            must_be_file(id, SIZE, 3);
            upload_world_close(&w);
        }
}
END_TEST

START_TEST(one_short_part_is_a_file)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part part = { .number = 1 };
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    part.etag = direct_store_put(&w.direct, 1, 7, 3);
    ck_status(adopt(id, &part, 1, &err), FILEPROC_OK, &err);
    must_be_file(id, 7, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(etags_count_with_quotes_and_without)
{
    char id[FPI_UUID_SIZE], bare[48];
    fp_direct_part part = { .number = 1, .etag = bare };
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    snprintf(bare, sizeof(bare), "%s", direct_store_put(&w.direct, 1, 7, 3) + 1);
    bare[strlen(bare) - 1] = '\0';
    part.etag = "\"\"";
    ck_reason(adopt(id, &part, 1, &err), FILEPROC_ERR_INVALID, "upload_incomplete", &err);
    part.etag = bare;
    ck_status(adopt(id, &part, 1, &err), FILEPROC_OK, &err);
    must_be_file(id, 7, 3);
    upload_world_close(&w);
}
END_TEST

/* Which leaves it as it was, so that what is right can follow. */
START_TEST(what_the_store_has_not_is_refused)
{
    static const struct {
        uint32_t number;
        size_t size;
        const char *reason;
    } bad[] = {
        { 1, PART - 1, "chunk_length_invalid" },
        { 2, PART + 1, "chunk_length_invalid" },
        { 3, PART + 1, "chunk_length_invalid" },
    };
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3], turned[2];
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    put_all(3, parts);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        direct_store_put(&w.direct, bad[i].number, bad[i].size, 3);
        ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_INVALID, bad[i].reason, &err);
        put_all(3, parts);
    }
    direct_store_put(&w.direct, 2, PART, 4);
    parts[1].etag = "\"2-3-1000\"";
    ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_INVALID, "upload_incomplete", &err);
    put_all(3, parts);
    turned[0] = parts[1];
    turned[1] = parts[0];
    ck_reason(adopt(id, turned, 2, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    turned[0] = turned[1];
    ck_reason(adopt(id, turned, 2, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    turned[0].etag = NULL;
    ck_reason(adopt(id, turned, 1, &err), FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    ck_upload(&w, id, "initiated", 0);
    ck_status(adopt(id, NULL, 0, &err), FILEPROC_OK, &err);
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(a_size_that_was_said_holds)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create(&w, SIZE - 1, id);
    put_all(3, parts);
    ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_INVALID, "chunk_length_invalid", &err);
    must_create(&w, 2 * PART, id);
    ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_INVALID, "chunk_index_invalid", &err);
    must_create(&w, 3 * PART, id);
    ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_INVALID, "chunk_length_invalid", &err);
    upload_world_close(&w);
}
END_TEST

START_TEST(no_file_is_larger_than_one_may_be)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[6];
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    for (uint32_t i = 0; i < 6; i++)
        parts[i] = (fp_direct_part){ .number = i + 1,
                                     .etag = direct_store_put(&w.direct, i + 1, PART, 3) };
    ck_reason(adopt(id, parts, 6, &err), FILEPROC_ERR_QUOTA, "size_too_large", &err);
    direct_store_drop_last(&w.direct);
    ck_status(adopt(id, parts, 5, &err), FILEPROC_OK, &err);
    must_be_file(id, 5 * PART, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(a_list_that_ends_early_ends_no_upload)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create_unknown(id);
    put_all(3, parts);
    ck_reason(adopt(id, parts, 2, &err), FILEPROC_ERR_INVALID, "upload_incomplete", &err);
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err); /* it is as it was */
    upload_world_close(&w);
}
END_TEST

/* Before a byte comes: what an address was given for is set aside. */
START_TEST(no_owner_gets_more_than_is_left)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    char ids[2][FPI_UUID_SIZE], url[64];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    o.owner_max_bytes = 2400;
    upload_world_open(&w, false, &o);
    w.direct.part_size = PART;
    r.filename = "a";
    r.mime_type = "text/plain";
    r.owner = "somebody";
    r.size_unknown = 1;
    for (int i = 0; i < 2; i++) {
        fp_upload *u = NULL;

        ck_status(fp_upload_create(w.ups, &r, &u, &err), FILEPROC_OK, &err);
        memcpy(ids[i], u->id, FPI_UUID_SIZE);
        fp_upload_free(u);
    }
    ck_status(presign(ids[0], 2, url, &err), FILEPROC_OK, &err);
    ck_status(presign(ids[1], 1, url, &err), FILEPROC_OK, &err);
    ck_reason(presign(ids[0], 3, url, &err), FILEPROC_ERR_QUOTA, "quota_exceeded", &err);
    put_all(3, parts);
    ck_reason(adopt(ids[0], parts, 3, &err), FILEPROC_ERR_QUOTA, "quota_exceeded", &err);
    direct_store_drop_last(&w.direct);
    ck_status(adopt(ids[0], parts, 2, &err), FILEPROC_OK, &err);
    must_be_file(ids[0], 2 * PART, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(asking_for_addresses_is_a_sign_of_life)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char id[FPI_UUID_SIZE], url[64];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    o.idle_timeout_ms = 10000;
    upload_world_open(&w, false, &o);
    w.direct.part_size = PART;
    must_create_unknown(id);
    for (uint32_t i = 1; i <= 3; i++) {
        atomic_fetch_add(&w.now_ms, 9000);
        ck_status(presign(id, i, url, &err), FILEPROC_OK, &err);
        ck_assert_ptr_nonnull(strstr(url, "?10")); /* seconds */
    }
    put_all(3, parts);
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(parts_fill_the_gaps_that_chunks_leave)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create(&w, SIZE, id);
    must_chunk(&w, id, 1, 3);
    put_all(3, parts);
    parts[1].etag = "\"whatever\"";
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
    ck_upload(&w, id, "uploading", 3);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(chunks_may_follow_parts)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    fp_upload *u = NULL;
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create(&w, SIZE, id);
    put_all(3, parts);
    parts[1] = parts[2];
    ck_status(adopt(id, parts, 2, &err), FILEPROC_OK, &err);
    ck_upload(&w, id, "uploading", 2);
    ck_reason(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_INVALID, "upload_incomplete",
              &err);
    must_chunk(&w, id, 1, 3);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(a_part_of_which_some_bytes_came_another_way_is_refused)
{
    char id[FPI_UUID_SIZE];
    unsigned char byte;
    fp_direct_part parts[3];
    fp_append *append = NULL;
    fp_error err = { 0 };

    open_world(false, NULL);
    must_create(&w, SIZE, id);
    content_fill(3, 0, &byte, 1);
    ck_status(fp_append_begin(w.ups, id, 0, NULL, &append, &err), FILEPROC_OK, &err);
    ck_status(fp_append_write(append, &byte, 1, &err), FILEPROC_OK, &err);
    ck_status(fp_append_commit(append, NULL, &err), FILEPROC_OK, &err);
    fp_append_free(append);
    put_all(3, parts);
    ck_reason(adopt(id, parts, 3, &err), FILEPROC_ERR_CONFLICT, "chunk_conflict", &err);
    ck_status(adopt(id, parts + 1, 2, &err), FILEPROC_OK, &err);
    must_chunk(&w, id, 0, 3);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

static void take_long(void *user_data)
{
    (void)user_data;
    usleep(20000);
}

typedef struct rival {
    const char *id;
    const fp_direct_part *parts;
} rival;

static void *adopt_too(void *user_data)
{
    const rival *r = user_data;
    fp_error err = { 0 };

    ck_status(adopt(r->id, r->parts, 3, &err), FILEPROC_OK, &err);
    return NULL;
}

/* As when an answer did not come in time and the request is sent again. */
START_TEST(two_may_take_the_same_parts_at_once)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    rival r = { id, parts };
    pthread_t threads[3];

    open_world(false, NULL);
    must_create_unknown(id);
    put_all(3, parts);
    w.direct.on_adopt = take_long;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, adopt_too, &r), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(a_failure_leaves_all_for_the_next_try)
{
    char id[FPI_UUID_SIZE];
    fp_direct_part parts[3];
    fp_error err = { 0 };

    open_world(true, NULL);
    must_create_unknown(id);
    put_all(3, parts);
    w.direct.fail = FILEPROC_ERR_IO;
    ck_status(adopt(id, parts, 3, &err), FILEPROC_ERR_IO, &err);
    ck_upload(&w, id, "initiated", 0);
    w.direct.fail = FILEPROC_OK;
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
    atomic_store(&w.fail[SLOT_PUBLISH], FILEPROC_ERR_IO);
    {
        fp_upload *u = NULL;

        ck_status(fp_upload_complete(w.ups, id, &u, &err), FILEPROC_ERR_IO, &err);
    }
    atomic_store(&w.fail[SLOT_PUBLISH], 0);
    upload_world_reopen(&w);
    ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
    must_be_file(id, SIZE, 3);
    upload_world_close(&w);
}
END_TEST

START_TEST(taking_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char id[FPI_UUID_SIZE], url[64];
        fp_direct_part parts[3];
        fp_upload *u = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        open_world(false, &f.allocator);
        must_create_unknown(id);
        put_all(3, parts);
        fault_arm(&f);
        rc = presign(id, 1, url, &err);
        if (rc == FILEPROC_OK)
            rc = fp_upload_adopt(w.ups, id, parts, 3, &u, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
        fp_upload_free(u);
        ck_status(adopt(id, parts, 3, &err), FILEPROC_OK, &err);
        must_be_file(id, SIZE, 3);
        upload_world_close(&w);
    }
}
END_TEST

RUN_TESTS("upload_direct", only_parts_that_the_upload_can_have_get_an_address,
          a_store_that_signs_nothing_says_so, parts_at_the_store_are_told_before_they_are_taken,
          parts_become_the_file, one_short_part_is_a_file, etags_count_with_quotes_and_without,
          what_the_store_has_not_is_refused, a_size_that_was_said_holds,
          no_file_is_larger_than_one_may_be, a_list_that_ends_early_ends_no_upload,
          no_owner_gets_more_than_is_left, asking_for_addresses_is_a_sign_of_life,
          parts_fill_the_gaps_that_chunks_leave, chunks_may_follow_parts,
          a_part_of_which_some_bytes_came_another_way_is_refused,
          two_may_take_the_same_parts_at_once, a_failure_leaves_all_for_the_next_try,
          taking_survives_every_allocation_failure)
