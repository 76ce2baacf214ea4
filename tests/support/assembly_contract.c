/* Owns: the promises on staged objects and their parts.
 * Must not know: any driver. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage_contract.h"
#include "storage_steps.h"

#define CREATE FILEPROC_ASSEMBLY_CREATE

static const storage_contract *drivers;

START_TEST(parts_in_any_order_become_one_object)
{
    static const size_t order[] = { 3, 0, 4, 2, 1 };
    const size_t part = 100003, size = 5 * 100003 - 77;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "upload-1", CREATE);
    for (size_t i = 0; i < 5; i++)
        must_part(a, 9, order[i] * part, order[i] == 4 ? part - 77 : part);
    ck_assert_uint_eq(fp_assembly_part_count(a), 5);
    must_parts_be(a, 9);
    ck_assert(!object_exists(w.st, "files/x"));
    ck_status(fp_assembly_publish(a, "files/x", size, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "files/x", 9, size));
    fp_assembly_close(a);
    storage_world_restart(&w);
    ck_assert(object_is(w.st, "files/x", 9, size));
    storage_world_close(&w);
}
END_TEST

START_TEST(small_writes_make_one_part)
{
    fp_part_info info = FILEPROC_PART_INFO_INIT;
    unsigned char bytes[1000];
    fp_part *part = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    size_t at = 0;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_part_begin(a, 0, 400000, &part, &err), FILEPROC_OK, &err);
    for (size_t n = 0; at + n < 400000; at += n, n = (n * 7 + 1) % 1000) {
        content_fill(2, at, bytes, n);
        ck_status(fp_part_write(part, bytes, n, &err), FILEPROC_OK, &err);
    }
    ck_status(fp_part_write(part, NULL, 0, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(part, bytes, 400001 - at, &err), FILEPROC_ERR_INVALID,
              &err); /* one too many */
    w.now_ms = 1234567890123;
    ck_status(fp_part_commit(part, NULL, 0, &err), FILEPROC_OK,
              &err); /* fewer than announced are fine */
    fp_part_free(part);
    ck_status(fp_assembly_part_at(a, 0, &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.offset, 0);
    ck_assert_uint_eq(info.length, at);
    ck_assert_int_eq(info.committed_ms, 1234567890123);
    ck_assert_uint_eq(info.note_size, 0);
    must_parts_be(a, 2);
    must_part(a, 2, at, 10); /* the rest of the range is free again */
    ck_status(fp_assembly_publish(a, "k", at + 10, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 2, at + 10));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(committed_parts_survive_closing)
{
    char note[FILEPROC_PART_NOTE_MAX];
    fp_part *part = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    for (unsigned i = 0; i < 300; i++) {
        unsigned char byte = content_at(4, i);

        memset(note, (int)i, sizeof(note));
        w.now_ms = 5000 + i;
        ck_status(fp_part_begin(a, i, 1, &part, &err), FILEPROC_OK, &err);
        ck_status(fp_part_write(part, &byte, 1, &err), FILEPROC_OK, &err);
        ck_status(fp_part_commit(part, note, i % (FILEPROC_PART_NOTE_MAX + 1), &err), FILEPROC_OK,
                  &err);
        fp_part_free(part);
    }
    fp_assembly_close(a);
    storage_world_restart(&w);
    a = must_open(w.st, "u", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 300);
    for (unsigned i = 0; i < 300; i++) {
        fp_part_info info = FILEPROC_PART_INFO_INIT;

        ck_status(fp_assembly_part_at(a, i, &info, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(info.offset, i);
        ck_assert_uint_eq(info.length, 1);
        ck_assert_int_eq(info.committed_ms, 5000 + i);
        ck_assert_uint_eq(info.note_size, i % (FILEPROC_PART_NOTE_MAX + 1));
        for (size_t n = 0; n < info.note_size; n++)
            ck_assert_uint_eq(info.note[n], i % 256);
    }
    must_parts_be(a, 4);
    ck_status(fp_assembly_publish(a, "k", 300, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 4, 300));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

/* Writes a part of these bytes and lets it go without a commit. */
static void drop_part(fp_assembly *a, uint64_t offset, size_t size)
{
    char *bytes = calloc(1, size);
    fp_part *part = NULL;
    fp_error err = { 0 };

    ck_status(fp_part_begin(a, offset, size, &part, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(part, bytes, size, &err), FILEPROC_OK, &err);
    fp_part_free(part);
    free(bytes);
}

static fp_assembly *must_open_for(fp_storage *st, const char *key, uint64_t size)
{
    fp_assembly *a = must_open(st, "u", CREATE);
    fp_error err = { 0 };

    ck_status(fp_assembly_set_target(a, key, size, &err), FILEPROC_OK, &err);
    return a;
}

START_TEST(a_target_loses_no_part)
{
    static const size_t sizes[][2] = { { 1, 0 }, { 70000, 0 }, { 70000, 1 } };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t size = sizes[i][0] + sizes[i][1], parts = sizes[i][1] ? 2 : 1;
        fp_error err = { 0 };
        fp_assembly *a;
        storage_world w;

        storage_world_open(&w, &drivers[_i]);
        a = must_open_for(w.st, "folder/k", size);
        must_part(a, 3, 0, sizes[i][0]);
        fp_assembly_close(a);
        storage_world_restart(&w);
        a = must_open_for(w.st, "folder/k", size);
        ck_assert_uint_eq(fp_assembly_part_count(a), 1);
        if (parts == 2)
            must_part(a, 3, sizes[i][0], sizes[i][1]);
        fp_assembly_close(a);
        storage_world_restart(&w);
        a = must_open_for(w.st, "folder/k", size);
        ck_assert_uint_eq(fp_assembly_part_count(a), parts);
        for (int again = 0; again < 2; again++)
            ck_status(fp_assembly_publish(a, "folder/k", size, 0, &err), FILEPROC_OK, &err);
        fp_assembly_close(a);
        ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
        ck_assert(object_is(w.st, "folder/k", 3, size));
        ck_assert_uint_eq(staged_count(w.st), 0);
        storage_world_close(&w);
    }
}
END_TEST

/* The object may be there before the publication, so both are removed. */
START_TEST(a_target_that_is_given_up_leaves_nothing)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open_for(w.st, "k", 1000);
    must_part(a, 3, 0, 1000);
    fp_assembly_close(a);
    ck_status(fp_storage_remove(w.st, "k", &err), FILEPROC_OK, &err);
    ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(staged_count(w.st), 0);
    ck_assert_uint_eq(object_count(w.st), 0);
    a = must_open_for(w.st, "k", 1000);
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    must_part(a, 4, 0, 1000);
    ck_status(fp_assembly_publish(a, "k", 1000, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 4, 1000));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(an_uncommitted_part_is_as_if_never_written)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    char byte;
    size_t got;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 1, 0, 1000);
    drop_part(a, 1000, 100000);
    ck_assert_uint_eq(fp_assembly_part_count(a), 1);
    ck_status(fp_assembly_read(a, 1000, &byte, 1, &got, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(got, 0);
    fp_assembly_close(a);
    storage_world_restart(&w);
    a = must_open(w.st, "u", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 1);
    must_part(a, 1, 1000, 500);
    ck_status(fp_assembly_publish(a, "k", 1500, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 1500)); /* and nothing behind it */
    fp_assembly_close(a);
    storage_world_restart(&w);
    ck_assert(object_is(w.st, "k", 1, 1500));
    storage_world_close(&w);
}
END_TEST

START_TEST(a_newcomer_takes_the_range_over)
{
    unsigned char bytes[1000];
    fp_part *old = NULL, *other = NULL, *fresh = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    content_fill(1, 0, bytes, sizeof(bytes));
    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_part_begin(a, 0, 1000, &old, &err), FILEPROC_OK, &err);
    ck_status(fp_part_begin(a, 1000, 1000, &other, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(old, "wrong", 5, &err), FILEPROC_OK, &err);
    ck_status(fp_part_begin(a, 0, 1000, &fresh, &err), FILEPROC_OK, &err);
    ck_reason(fp_part_write(old, "wrong", 5, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
              &err);
    ck_reason(fp_part_commit(old, NULL, 0, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded", &err);
    ck_status(fp_part_write(fresh, bytes, 1000, &err), FILEPROC_OK, &err);
    ck_status(fp_part_commit(fresh, NULL, 0, &err), FILEPROC_OK, &err);
    content_fill(1, 1000, bytes, sizeof(bytes));
    ck_status(fp_part_write(other, bytes, 1000, &err), FILEPROC_OK, &err);
    ck_status(fp_part_commit(other, NULL, 0, &err), FILEPROC_OK, &err);
    fp_part_free(fresh);
    fp_part_free(old);
    fp_part_free(other);
    must_parts_be(a, 1);
    ck_status(fp_assembly_publish(a, "k", 2000, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 2000));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(committed_bytes_are_never_written_again)
{
    static const uint64_t ranges[][2] = { { 100, 100 },  { 0, 101 },    { 199, 1 },
                                          { 199, 1000 }, { 0, 1000 },   { 150, 1 },
                                          { 0, 300 },    { 101, 1000 }, { 100, 1 } };
    fp_part *part = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 1, 100, 100);
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < sizeof(ranges) / sizeof(*ranges); n++)
            ck_reason(fp_part_begin(a, ranges[n][0], ranges[n][1], &part, &err),
                      FILEPROC_ERR_CONFLICT, "conflict", &err);
        ck_assert_ptr_null(part);
        fp_assembly_close(a);
        storage_world_restart(&w);
        a = must_open(w.st, "u", 0);
    }
    must_part(a, 1, 0, 100);
    must_part(a, 1, 200, 1);
    must_parts_be(a, 1);
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(publication_needs_every_byte)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    ck_reason(fp_assembly_publish(a, "k", 1, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    must_part(a, 1, 0, 100);
    must_part(a, 1, 200, 100);
    ck_reason(fp_assembly_publish(a, "k", 300, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_assembly_publish(a, "k", 200, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_assembly_publish(a, "k", 100, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_assembly_publish(a, "k", 0, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    must_part(a, 1, 100, 100);
    ck_reason(fp_assembly_publish(a, "k", 299, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_assembly_publish(a, "k", 301, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_assert(!object_exists(w.st, "k"));
    must_parts_be(a, 1);
    ck_status(fp_assembly_publish(a, "k", 300, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 300));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(publishing_again_gives_the_same_answer)
{
    static const uint64_t wanted[] = { 0, 777 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < 2; i++) {
        const uint32_t flags[] = { 0, FILEPROC_STORAGE_EXCLUSIVE };
        const char *key = i ? "a/full" : "a/empty";
        fp_error err = { 0 };
        fp_assembly *a = must_open(w.st, key + 2, CREATE);

        if (wanted[i])
            must_part(a, 1, 0, wanted[i]);
        for (int round = 0; round < 3; round++) {
            for (int f = 0; f < 2; f++)
                ck_status(fp_assembly_publish(a, key, wanted[i], flags[f], &err), FILEPROC_OK,
                          &err);
            ck_assert(object_is(w.st, key, 1, wanted[i]));
            fp_assembly_close(a);
            storage_world_restart(&w);
            a = must_open(w.st, key + 2, round == 1 ? CREATE : 0);
            ck_assert_uint_eq(fp_assembly_part_count(a), wanted[i] ? 1 : 0);
        }
        fp_assembly_close(a);
        ck_status(fp_storage_discard(w.st, key + 2, &err), FILEPROC_OK, &err);
        ck_assert(object_is(w.st, key, 1, wanted[i]));
    }
    ck_assert_uint_eq(object_count(w.st), 2);
    ck_assert_uint_eq(staged_count(w.st), 0);
    storage_world_close(&w);
}
END_TEST

START_TEST(publishing_again_needs_the_same_object)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 1, 0, 100);
    must_put(w.st, "other", 1, 99);
    ck_status(fp_assembly_publish(a, "k", 100, 0, &err), FILEPROC_OK, &err);
    ck_reason(fp_assembly_publish(a, "k2", 100, 0, &err), FILEPROC_ERR_NOTFOUND, "object_not_found",
              &err);
    ck_reason(fp_assembly_publish(a, "other", 100, 0, &err), FILEPROC_ERR_NOTFOUND,
              "object_not_found", &err);
    ck_reason(fp_assembly_publish(a, "k", 99, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_status(fp_storage_remove(w.st, "k", &err), FILEPROC_OK, &err);
    ck_reason(fp_assembly_publish(a, "k", 100, 0, &err), FILEPROC_ERR_NOTFOUND, "object_not_found",
              &err);
    fp_assembly_close(a);
    ck_assert(object_is(w.st, "other", 1, 99));
    ck_assert_uint_eq(object_count(w.st), 1);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_published_object_never_changes)
{
    fp_part *late = NULL, *part = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    size_t got;
    char byte;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_part_begin(a, 50, 100, &late, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(late, "x", 1, &err), FILEPROC_OK, &err);
    must_part(a, 1, 0, 100); /* takes over from the late one */
    must_part(a, 1, 100, 20);
    ck_status(fp_part_begin(a, 120, 100, &part, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(part, "x", 1, &err), FILEPROC_OK, &err);
    ck_status(fp_assembly_publish(a, "k", 120, 0, &err), FILEPROC_OK, &err);
    ck_reason(fp_part_write(late, "x", 1, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_part_write(part, "x", 1, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(fp_part_commit(part, NULL, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    fp_part_free(late);
    fp_part_free(part);
    part = NULL;
    for (int i = 0; i < 2; i++) {
        ck_reason(fp_part_begin(a, 120, 10, &part, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
        ck_reason(fp_assembly_read(a, 0, &byte, 1, &got, &err), FILEPROC_ERR_NOTFOUND,
                  "object_not_found", &err);
        ck_assert_ptr_null(part);
        fp_assembly_close(a);
        storage_world_restart(&w);
        a = must_open(w.st, "u", CREATE);
    }
    ck_assert(object_is(w.st, "k", 1, 120));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(exclusive_publication_keeps_what_is_staged)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "taken", 1, 10);
    must_put(w.st, "folder/taken", 1, 10);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 2, 0, 10);
    ck_reason(fp_assembly_publish(a, "taken", 10, FILEPROC_STORAGE_EXCLUSIVE, &err),
              FILEPROC_ERR_EXISTS, "exists", &err);
    if (!drivers[_i].flat) {
        ck_reason(fp_assembly_publish(a, "folder", 10, 0, &err), FILEPROC_ERR_CONFLICT, "conflict",
                  &err);
        ck_reason(fp_assembly_publish(a, "taken/x", 10, 0, &err), FILEPROC_ERR_CONFLICT, "conflict",
                  &err);
    }
    ck_assert(object_is(w.st, "taken", 1, 10));
    must_parts_be(a, 2);
    must_part(a, 2, 10, 5); /* still open for more */
    ck_status(fp_assembly_publish(a, "taken", 15, 0, &err), FILEPROC_OK, &err); /* replaces */
    ck_assert(object_is(w.st, "taken", 2, 15));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(an_empty_exclusive_object_respects_the_old_one)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "taken", 1, 10);
    must_put(w.st, "empty", 1, 0);
    a = must_open(w.st, "u", CREATE);
    ck_reason(fp_assembly_publish(a, "taken", 0, FILEPROC_STORAGE_EXCLUSIVE, &err),
              FILEPROC_ERR_EXISTS, "exists", &err);
    ck_reason(fp_assembly_publish(a, "empty", 0, FILEPROC_STORAGE_EXCLUSIVE, &err),
              FILEPROC_ERR_EXISTS, "exists", &err);
    ck_assert(object_is(w.st, "taken", 1, 10));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(discard_removes_what_is_staged_and_nothing_else)
{
    fp_assembly *a = NULL;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 1, 0, 100);
    fp_assembly_close(a);
    a = must_open(w.st, "u2", CREATE);
    must_part(a, 1, 0, 100);
    fp_assembly_close(a);
    must_put(w.st, "u", 1, 10);
    for (int i = 0; i < 2; i++)
        ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
    a = NULL;
    ck_reason(fp_assembly_open(w.st, "u", 0, &a, &err), FILEPROC_ERR_NOTFOUND, "object_not_found",
              &err);
    ck_assert_ptr_null(a);
    ck_assert_uint_eq(staged_count(w.st), 1);
    ck_assert(object_is(w.st, "u", 1, 10));
    a = must_open(w.st, "u", CREATE); /* the id can be used again */
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    must_part(a, 3, 0, 5);
    must_parts_be(a, 3);
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(opening_alone_leaves_no_trace)
{
    fp_assembly *a = NULL;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    ck_reason(fp_assembly_open(w.st, "u", 0, &a, &err), FILEPROC_ERR_NOTFOUND, "object_not_found",
              &err);
    a = must_open(w.st, "u", CREATE);
    ck_assert_uint_eq(staged_count(w.st), 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    fp_assembly_close(a);
    a = NULL;
    ck_reason(fp_assembly_open(w.st, "u", 0, &a, &err), FILEPROC_ERR_NOTFOUND, "object_not_found",
              &err);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_transient_assembly_is_published_or_gone)
{
    const uint32_t flags = CREATE | FILEPROC_ASSEMBLY_TRANSIENT;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "t", flags);
    must_part(a, 1, 0, 100);
    must_part(a, 1, 100, 100);
    must_parts_be(a, 1);
    fp_assembly_close(a);
    ck_assert_uint_eq(staged_count(w.st), 0);
    a = must_open(w.st, "t", flags);
    must_part(a, 2, 70000, 100);
    must_part(a, 2, 0, 70000);
    drop_part(a, 70100, 50);
    for (int i = 0; i < 2; i++)
        ck_status(fp_assembly_publish(a, "a/k", 70100, FILEPROC_STORAGE_EXCLUSIVE, &err),
                  FILEPROC_OK, &err);
    fp_assembly_close(a);
    ck_assert_uint_eq(staged_count(w.st), 0);
    storage_world_restart(&w);
    ck_assert(object_is(w.st, "a/k", 2, 70100));
    storage_world_close(&w);
}
END_TEST

START_TEST(staged_ids_are_listed_in_byte_order)
{
    static const char *const ids[] = { "-",   "...",    ".data",   "0",  "a", "a-b",
                                       "a.b", "a.data", "a.parts", "a0", "b" };
    const size_t count = sizeof(ids) / sizeof(*ids);
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < count; i++) {
        const char *id = ids[i * 7 % count];
        fp_assembly *a = must_open(w.st, id, CREATE);

        must_part(a, 1, 0, 5000);
        if (i % 3 == 0) /* published ones stay until they are discarded */
            ck_status(fp_assembly_publish(a, id, 5000, 0, &err), FILEPROC_OK, &err);
        fp_assembly_close(a);
    }
    for (size_t limit = 1; limit <= count + 1; limit++) {
        fp_storage_list_page *page = NULL;
        char cursor[256] = "";
        size_t next = 0;

        do {
            ck_status(fp_storage_list_staged(w.st, cursor[0] ? cursor : NULL, limit, &page, &err),
                      FILEPROC_OK, &err);
            for (size_t i = 0; i < page->count; i++) {
                ck_assert_uint_lt(next, count);
                ck_assert_str_eq(page->names[i], ids[next++]);
                ck_assert_int_gt(page->modified_ms[i], 0);
            }
            snprintf(cursor, sizeof(cursor), "%s", page->next ? page->next : "");
            fp_storage_list_free(page);
        } while (cursor[0]);
        ck_assert_uint_eq(next, count);
    }
    storage_world_close(&w);
}
END_TEST

#define WRITERS 8
#define ROUNDS 24
#define PIECE 10007

typedef struct writer {
    fp_assembly *a;
    unsigned number;
} writer;

static void *write_parts(void *arg)
{
    const writer *me = arg;

    for (unsigned i = 0; i < ROUNDS; i++)
        must_part(me->a, 6, ((uint64_t)i * WRITERS + me->number) * PIECE, PIECE);
    return NULL;
}

START_TEST(many_writers_share_one_assembly)
{
    writer writers[WRITERS];
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    a = must_open(w.st, "u", CREATE);
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = (writer){ a, i };
    run_threads(WRITERS, write_parts, writers, sizeof(*writers));
    ck_assert_uint_eq(fp_assembly_part_count(a), WRITERS * ROUNDS);
    fp_assembly_close(a);
    storage_world_restart(&w);
    a = must_open(w.st, "u", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), WRITERS * ROUNDS);
    must_parts_be(a, 6);
    ck_status(fp_assembly_publish(a, "k", WRITERS * ROUNDS * PIECE, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 6, WRITERS * ROUNDS * PIECE));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

typedef struct rival {
    fp_assembly *a;
    unsigned seed;
    atomic_uint *winner;
    atomic_int *published;
} rival;

static fp_status slow_part(const rival *me, uint64_t offset, fp_error *err)
{
    unsigned char bytes[700];
    fp_part *part = NULL;
    fp_status rc = fp_part_begin(me->a, offset, 7000, &part, err);

    for (uint64_t at = 0; rc == FILEPROC_OK && at < 7000; at += sizeof(bytes)) {
        content_fill(me->seed, offset + at, bytes, sizeof(bytes));
        rc = fp_part_write(part, bytes, sizeof(bytes), err);
    }
    if (rc == FILEPROC_OK)
        rc = fp_part_commit(part, NULL, 0, err);
    fp_part_free(part);
    return rc;
}

/* Fights with the others for the same ranges; for each one wins, and somebody publishes. */
static void *fight_for_ranges(void *arg)
{
    const rival *me = arg;

    for (unsigned i = 0; i < 40; i++) {
        fp_error err = { 0 };
        fp_status rc = slow_part(me, i * UINT64_C(7000), &err);

        if (rc == FILEPROC_OK)
            ck_assert_uint_eq(atomic_exchange(&me->winner[i], me->seed), 0);
        else
            ck_status(rc, FILEPROC_ERR_CONFLICT, &err);
        if (fp_assembly_publish(me->a, "k", 40 * 7000, 0, &err) == FILEPROC_OK)
            atomic_fetch_add(me->published, 1);
    }
    return NULL;
}

START_TEST(rivals_never_mix_their_bytes)
{
    for (int round = 0; round < 5; round++) {
        atomic_uint winner[40] = { 0 };
        unsigned char *bytes = malloc(40 * 7000);
        atomic_int published = 0;
        fp_error err = { 0 };
        rival rivals[6];
        fp_assembly *a;
        storage_world w;
        size_t got;

        storage_world_open(&w, &drivers[_i]);
        a = must_open(w.st, "u", CREATE);
        for (unsigned i = 0; i < 6; i++)
            rivals[i] = (rival){ a, i + 1, winner, &published };
        run_threads(6, fight_for_ranges, rivals, sizeof(*rivals));
        for (unsigned i = 0; i < 40; i++) /* a range may be free when all were superseded */
            if (!winner[i])
                must_part(a, winner[i] = 7, i * UINT64_C(7000), 7000);
        ck_status(fp_assembly_publish(a, "k", 40 * 7000, 0, &err), FILEPROC_OK, &err);
        ck_status(fp_storage_read(w.st, "k", 0, bytes, 40 * 7000, &got, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(got, 40 * 7000);
        for (size_t i = 0; i < got; i++)
            ck_assert_uint_eq(bytes[i], content_at(winner[i / 7000], i));
        fp_assembly_close(a);
        free(bytes);
        storage_world_close(&w);
    }
}
END_TEST

typedef struct reader {
    fp_assembly *a;
    unsigned number;
} reader;

static void *publish_or_read(void *arg)
{
    const reader *me = arg;
    unsigned char bytes[5000];
    fp_status rc = FILEPROC_OK;
    fp_error err = { 0 };
    size_t got;

    if (me->number == 0) {
        ck_status(fp_assembly_publish(me->a, "k", 5000, 0, &err), FILEPROC_OK, &err);
        return NULL;
    }
    while (rc == FILEPROC_OK) {
        rc = fp_assembly_read(me->a, 0, bytes, sizeof(bytes), &got, &err);
        for (size_t i = 0; rc == FILEPROC_OK && i < 5000; i++)
            ck_assert_uint_eq(bytes[i], content_at(1, i));
    }
    ck_status(rc, FILEPROC_ERR_NOTFOUND, &err);
    return NULL;
}

START_TEST(readers_may_come_while_it_is_published)
{
    for (int round = 0; round < 20; round++) {
        reader readers[4];
        fp_assembly *a;
        storage_world w;

        storage_world_open(&w, &drivers[_i]);
        a = must_open(w.st, "u", CREATE);
        must_part(a, 1, 0, 5000);
        for (unsigned i = 0; i < 4; i++)
            readers[i] = (reader){ a, i };
        run_threads(4, publish_or_read, readers, sizeof(*readers));
        fp_assembly_close(a);
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(wrong_calls_on_assemblies_are_refused)
{
    static const char *const ids[] = { "", ".", "..", "a/b", "a b", NULL };
    const fp_adoption adoption = FILEPROC_ADOPTION_INIT;
    fp_part_info info = FILEPROC_PART_INFO_INIT;
    char note[FILEPROC_PART_NOTE_MAX + 1] = { 0 };
    fp_assembly *a = NULL;
    fp_part *part = NULL;
    fp_error err = { 0 };
    storage_world w;
    size_t got;
    char byte;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        ck_reason(fp_assembly_open(w.st, ids[i], CREATE, &a, &err), FILEPROC_ERR_INVALID,
                  "key_invalid", &err);
        ck_reason(fp_storage_discard(w.st, ids[i], &err), FILEPROC_ERR_INVALID, "key_invalid",
                  &err);
    }
    ck_status(fp_assembly_open(NULL, "u", CREATE, &a, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_open(w.st, "u", CREATE, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_open(w.st, "u", 4, &a, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_open(w.st, "u", FILEPROC_ASSEMBLY_TRANSIENT, &a, &err),
              FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_discard(NULL, "u", &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_ptr_null(a);
    fp_assembly_close(NULL);
    fp_part_free(NULL);
    ck_assert_uint_eq(fp_assembly_part_count(NULL), 0);

    a = must_open(w.st, "u", CREATE);
    ck_status(fp_assembly_part_at(a, 0, &info, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(NULL, 0, 1, &part, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(a, 0, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(a, 0, 0, &part, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(a, UINT64_MAX, 2, &part, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(a, 2, UINT64_MAX, &part, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_begin(a, INT64_MAX, 1, &part, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_ptr_null(part);
    ck_assert_uint_eq(staged_count(w.st), 0);
    ck_status(fp_part_begin(a, 0, 10, &part, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(NULL, "x", 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_write(part, NULL, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_write(part, "12345678901", 11, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_commit(part, NULL, 0, &err), FILEPROC_ERR_INVALID, &err); /* no bytes */
    ck_status(fp_part_write(part, "1234567890", 10, &err), FILEPROC_OK, &err);
    ck_status(fp_part_commit(NULL, NULL, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_commit(part, NULL, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_commit(part, note, sizeof(note), &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_commit(part, note, sizeof(note) - 1, &err), FILEPROC_OK, &err);
    ck_status(fp_part_commit(part, NULL, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_part_write(part, "x", 1, &err), FILEPROC_ERR_INVALID, &err);
    fp_part_free(part);
    ck_status(fp_assembly_part_at(NULL, 0, &info, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_part_at(a, 0, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_part_at(a, 1, &info, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_read(NULL, 0, &byte, 1, &got, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_read(a, 0, NULL, 1, &got, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_read(a, 0, &byte, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_publish(NULL, "k", 10, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_reason(fp_assembly_publish(a, "..", 10, 0, &err), FILEPROC_ERR_INVALID, "key_invalid", &err);
    ck_status(fp_assembly_publish(a, "k", 10, 2, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_publish(a, "k", UINT64_MAX, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_uint_eq(fp_assembly_part_size(NULL), 0);
    ck_status(fp_assembly_adopt(NULL, &adoption, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_adopt(a, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_adopt(a, &adoption, &err), FILEPROC_ERR_INVALID, &err); /* no bytes */
    ck_status(fp_assembly_written(NULL, NULL, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list_staged(NULL, NULL, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list_staged(w.st, NULL, 0, NULL, &err), FILEPROC_ERR_INVALID, &err);
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

void assembly_contract_add(Suite *suite, const storage_contract *list, int count)
{
    const TTest *const tests[] = {
        parts_in_any_order_become_one_object,
        small_writes_make_one_part,
        committed_parts_survive_closing,
        a_target_loses_no_part,
        a_target_that_is_given_up_leaves_nothing,
        an_uncommitted_part_is_as_if_never_written,
        a_newcomer_takes_the_range_over,
        committed_bytes_are_never_written_again,
        publication_needs_every_byte,
        publishing_again_gives_the_same_answer,
        publishing_again_needs_the_same_object,
        a_published_object_never_changes,
        exclusive_publication_keeps_what_is_staged,
        an_empty_exclusive_object_respects_the_old_one,
        discard_removes_what_is_staged_and_nothing_else,
        opening_alone_leaves_no_trace,
        a_transient_assembly_is_published_or_gone,
        staged_ids_are_listed_in_byte_order,
        many_writers_share_one_assembly,
        rivals_never_mix_their_bytes,
        readers_may_come_while_it_is_published,
        wrong_calls_on_assemblies_are_refused,
    };
    TCase *tcase = tcase_create("assembly contract");

    drivers = list;
    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(tcase, tests[i], 0, count);
    suite_add_tcase(suite, tcase);
}
