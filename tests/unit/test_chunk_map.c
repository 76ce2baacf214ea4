/* Owns: the promises of the map of an upload: which chunks are durable and which are missing, page by page.
 * Must not know: how chunks arrive (test_chunk.c). */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

static fp_chunk_map *must_map(upload_world *world, const char *id, uint64_t from, uint32_t limit)
{
    fp_chunk_map *m = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_map(world->ups, id, from, limit, &m, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(m->struct_size, sizeof(*m));
    return m;
}

/* Marks what the ranges name, which must be ascending, apart from each other, and inside the page. */
static void mark(const fp_chunk_map *m, const fp_chunk_range *ranges, size_t count, char letter,
                 char *seen)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_le(ranges[i].first, ranges[i].last);
        ck_assert_uint_ge(ranges[i].first, m->first);
        ck_assert_uint_lt(ranges[i].last, m->next);
        if (i)
            ck_assert_uint_gt(ranges[i].first, ranges[i - 1].last + 1);
        for (uint64_t at = ranges[i].first; at <= ranges[i].last; at++) {
            ck_assert_int_eq(seen[at], '?');
            seen[at] = letter;
        }
    }
}

/* All pages together are this: D durable, m missing. */
static void ck_map(upload_world *world, const char *id, const char *expected, uint32_t limit)
{
    size_t total = strlen(expected);
    char *seen = malloc(total + 1);
    uint64_t at = 0, durable = 0;

    ck_assert_ptr_nonnull(seen);
    memset(seen, '?', total);
    seen[total] = 0;
    for (size_t i = 0; i < total; i++)
        durable += expected[i] == 'D';
    do {
        fp_chunk_map *m = must_map(world, id, at, limit);

        ck_assert_uint_eq(m->first, at);
        ck_assert_uint_eq(m->total_chunks, total);
        ck_assert_uint_eq(m->chunks_uploaded, durable);
        ck_assert_uint_eq(m->chunk_size, 1000);
        ck_assert_uint_le(m->durable_count + m->missing_count, limit);
        mark(m, m->durable, m->durable_count, 'D', seen);
        mark(m, m->missing, m->missing_count, 'm', seen);
        at = m->next;
        fp_chunk_map_free(m);
    } while (at < total);
    ck_assert_str_eq(seen, expected);
    free(seen);
}

START_TEST(map_tells_what_is_there_and_what_is_not)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 19500, id);
        ck_map(&w, id, "mmmmmmmmmmmmmmmmmmmm", 10);
        must_chunk(&w, id, 3, 1);
        must_chunk(&w, id, 19, 1);
        must_chunk(&w, id, 4, 1);
        must_chunk(&w, id, 0, 1);
        must_chunk(&w, id, 3, 1);
        for (uint32_t limit = 1; limit < 8; limit++)
            ck_map(&w, id, "DmmDDmmmmmmmmmmmmmmD", limit);
        upload_world_reopen(&w);
        ck_map(&w, id, "DmmDDmmmmmmmmmmmmmmD", 10);
        must_all_chunks(&w, id, 1);
        ck_map(&w, id, "DDDDDDDDDDDDDDDDDDDD", 10);
    }
}
END_TEST

START_TEST(page_begins_anywhere)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk_map *m;

        must_create(&w, 5000, id);
        must_chunk(&w, id, 1, 1);
        must_chunk(&w, id, 2, 1);
        m = must_map(&w, id, 2, 2);
        ck_assert_uint_eq(m->durable_count, 1);
        ck_assert_uint_eq(m->durable[0].first, 2);
        ck_assert_uint_eq(m->durable[0].last, 2);
        ck_assert_uint_eq(m->missing[0].first, 3);
        ck_assert_uint_eq(m->missing[0].last, 4);
        ck_assert_uint_eq(m->next, 5);
        fp_chunk_map_free(m);
        for (uint64_t from = 5; from; from = from == 5 ? UINT64_MAX : 0) {
            m = must_map(&w, id, from, 1);
            ck_assert_uint_eq(m->durable_count + m->missing_count, 0);
            ck_assert_uint_eq(m->next, 5);
            fp_chunk_map_free(m);
        }
    }
}
END_TEST

START_TEST(completed_upload_has_all_chunks_also_after_a_restart)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], empty[FPI_UUID_SIZE];

        must_create(&w, 2500, id);
        must_all_chunks(&w, id, 1);
        fp_upload_free(must_complete(&w, id));
        ck_map(&w, id, "DDD", 1);
        upload_world_reopen(&w);
        ck_map(&w, id, "DDD", 1);
        must_create(&w, 0, empty);
        ck_map(&w, empty, "", 1);
    }
}
END_TEST

/* The largest upload that there can be; every chunk of its middle is another range. */
START_TEST(million_chunks_come_in_small_pages)
{
    enum { CHUNKS = 1 << 20 };
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    char id[FPI_UUID_SIZE];
    fp_chunk_map *m;

    o.chunk_size = 2;
    upload_world_open(&w, false, &o);
    must_create(&w, 2 * (uint64_t)CHUNKS, id);
    for (uint64_t i = 1000; i < 1100; i += 2)
        must_chunk(&w, id, i, 1);
    must_chunk(&w, id, CHUNKS - 1, 1);
    m = must_map(&w, id, 0, FILEPROC_CHUNK_RANGES_MAX);
    ck_assert_uint_eq(m->total_chunks, CHUNKS);
    ck_assert_uint_eq(m->durable_count, 51);
    ck_assert_uint_eq(m->missing_count, 51);
    ck_assert_uint_eq(m->missing[0].last, 999);
    ck_assert_uint_eq(m->missing[50].first, 1099);
    ck_assert_uint_eq(m->missing[50].last, CHUNKS - 2);
    ck_assert_uint_eq(m->durable[50].last, CHUNKS - 1);
    fp_chunk_map_free(m);
    upload_world_close(&w);
}
END_TEST

START_TEST(upload_that_is_gone_has_no_map)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk_map *m = NULL;
        fp_error err = { 0 };

        ck_reason(fp_upload_map(w.ups, "0198c000-0000-7000-8000-000000000001", 0, 1, &m, &err),
                  FILEPROC_ERR_NOTFOUND, "upload_not_found", &err);
        must_create(&w, 2500, id);
        ck_status(fp_upload_cancel(w.ups, id, &err), FILEPROC_OK, &err);
        ck_reason(fp_upload_map(w.ups, id, 0, 1, &m, &err), FILEPROC_ERR_CONFLICT,
                  "upload_cancelled", &err);
        must_create(&w, 2500, id);
        atomic_fetch_add(&w.now_ms, 3600000);
        ck_reason(fp_upload_map(w.ups, id, 0, 1, &m, &err), FILEPROC_ERR_NOTFOUND, "upload_expired",
                  &err);
        ck_assert_ptr_null(m);
    }
}
END_TEST

START_TEST(map_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk_map *m = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        upload_world_open_with(&w, true, NULL, &f.allocator);
        must_create(&w, 2500, id);
        must_chunk(&w, id, 1, 1);
        upload_world_reopen(&w);
        fault_arm(&f);
        rc = fp_upload_map(w.ups, id, 0, 5, &m, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(m);
        fp_chunk_map_free(m);
        ck_map(&w, id, "mDm", 5);
        upload_world_close(&w);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk_map *m = NULL;
        fp_error err = { 0 };

        must_create(&w, 1, id);
        ck_status(fp_upload_map(NULL, id, 0, 1, &m, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(fp_upload_map(w.ups, NULL, 0, 1, &m, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(fp_upload_map(w.ups, id, 0, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(fp_upload_map(w.ups, id, 0, 0, &m, &err), FILEPROC_ERR_INVALID, &err);
        ck_status(fp_upload_map(w.ups, id, 0, FILEPROC_CHUNK_RANGES_MAX + 1, &m, NULL),
                  FILEPROC_ERR_INVALID, &err);
        fp_chunk_map_free(NULL);
    }
}
END_TEST

RUN_TESTS("chunk_map", map_tells_what_is_there_and_what_is_not, page_begins_anywhere,
          completed_upload_has_all_chunks_also_after_a_restart, million_chunks_come_in_small_pages,
          upload_that_is_gone_has_no_map, map_survives_every_allocation_failure,
          wrong_arguments_are_refused)
