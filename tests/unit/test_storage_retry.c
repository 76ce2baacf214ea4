/* Owns: the tests of storage/storage_retry.c, around a driver in memory that fails when it is told to.
 * Must not know: networks. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fault.h"
#include "runner.h"
#include "storage/storage_private.h"
#include "storage_steps.h"

#define CREATE FILEPROC_ASSEMBLY_CREATE

/* The next `failures` calls fail, like this; when `late`, after they have done what they were to do. */
static int failures, calls;
static bool late;
static fp_error failure;

static bool fails(fp_error *err)
{
    calls++;
    if (failures == 0)
        return false;
    failures--;
    if (err)
        *err = failure;
    return true;
}

static fp_status flaky_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                            fp_error *err)
{
    return fails(err) ? failure.code : fpi_storage_mem_driver.stat(self, key, info, flags, err);
}

/* Fails behind the second name. */
typedef struct cut {
    fp_storage_list_fn fn;
    void *user_data;
    int left;
} cut;

static fp_status tell_until_cut(void *user_data, const char *name, uint64_t size,
                                int64_t modified_ms, fp_error *err)
{
    cut *c = user_data;

    if (c->left-- == 0 && fails(err))
        return failure.code;
    return c->fn(c->user_data, name, size, modified_ms, err);
}

static fp_status flaky_list(void *self, const char *prefix, const char *after, size_t limit,
                            fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err)
{
    cut c = { fn, user_data, 2 };

    return fpi_storage_mem_driver.list(self, prefix, after, limit, tell_until_cut, &c, flags, err);
}

typedef struct part_cut {
    fp_status (*on_part)(void *user_data, const fp_part_info *part, fp_error *err);
    void *user_data;
    int left;
} part_cut;

static fp_status part_until_cut(void *user_data, const fp_part_info *part, fp_error *err)
{
    part_cut *c = user_data;

    if (c->left-- == 0 && fails(err))
        return failure.code;
    return c->on_part(c->user_data, part, err);
}

static fp_status flaky_assembly_open(void *self, const char *id, uint32_t flags,
                                     fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                          fp_error *err),
                                     void *user_data, void **assembly, fp_error *err)
{
    part_cut c = { on_part, user_data, 2 };

    return fpi_storage_mem_driver.assembly_open(self, id, flags, part_until_cut, &c, assembly, err);
}

static fp_status flaky_publish(void *self, void *assembly, const char *key, uint64_t size,
                               uint32_t flags, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (late)
        rc = fpi_storage_mem_driver.assembly_publish(self, assembly, key, size, flags, err);
    if (fails(err))
        return failure.code;
    return late ? rc
                : fpi_storage_mem_driver.assembly_publish(self, assembly, key, size, flags, err);
}

static fp_status flaky_copy(void *self, void *assembly, void *part, uint64_t offset,
                            void *from_assembly, uint64_t from_offset, uint64_t length,
                            fp_error *err)
{
    unsigned char bytes[64];
    size_t got = 0;

    if (fails(err))
        return failure.code;
    ck_assert_uint_le(length, sizeof(bytes));
    ck_assert_int_eq(fpi_storage_mem_driver.assembly_read(self, from_assembly, from_offset, bytes,
                                                          (size_t)length, &got, 0, err),
                     FILEPROC_OK);
    return fpi_storage_mem_driver.part_write(self, assembly, part, offset, bytes, got, err);
}

static fp_storage_driver flaky;
static bool copies; /* the driver, from the next open_flaky() on */
static fp_context *ctx;
static fp_storage *st;
static fp_error err;

static void open_flaky(uint32_t attempts, uint32_t failure_flags)
{
    fp_storage_options o = FILEPROC_STORAGE_OPTIONS_INIT;

    flaky = fpi_storage_mem_driver;
    flaky.flags = FILEPROC_STORAGE_DRIVER_NETWORK;
    flaky.stat = flaky_stat;
    flaky.list = flaky_list;
    flaky.assembly_open = flaky_assembly_open;
    flaky.assembly_publish = flaky_publish;
    flaky.part_copy = copies ? flaky_copy : NULL;
    o.max_attempts = attempts;
    failures = calls = 0;
    late = false;
    failure = (fp_error){ .code = FILEPROC_ERR_BUSY, .flags = failure_flags, .message = "flaky" };
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_storage_driver(ctx, &flaky, NULL), FILEPROC_OK);
    ck_status(fp_storage_open(ctx, "mem:", &o, &st, &err), FILEPROC_OK, &err);
}

static void close_flaky(void)
{
    fp_storage_free(st);
    fp_context_free(ctx);
}

static fp_status stat_k(void)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;

    err = (fp_error){ 0 };
    return fp_storage_stat(st, "k", &info, &err);
}

START_TEST(what_fails_for_a_while_succeeds_in_the_end)
{
    open_flaky(4, FILEPROC_ERROR_RETRYABLE);
    must_put(st, "k", 1, 10);
    calls = 0;
    failures = 3;
    ck_status(stat_k(), FILEPROC_OK, &err);
    ck_assert_int_eq(calls, 4);
    ck_assert_int_eq(err.code, 0); /* success leaves it alone */
    ck_assert_str_eq(fp_storage_scheme(st), "mem");
    close_flaky();
}
END_TEST

START_TEST(the_last_failure_is_told)
{
    open_flaky(3, FILEPROC_ERROR_RETRYABLE);
    must_put(st, "k", 1, 10);
    calls = 0;
    failures = 100;
    ck_status(stat_k(), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_eq(calls, 3);
    ck_assert_str_eq(err.message, "flaky");
    close_flaky();
}
END_TEST

START_TEST(other_failures_are_not_repeated)
{
    open_flaky(4, 0);
    must_put(st, "k", 1, 10);
    calls = 0;
    failures = 1;
    ck_status(stat_k(), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_eq(calls, 1);
    ck_status(stat_k(), FILEPROC_OK, &err);
    ck_assert_int_eq(fp_storage_remove(st, "k", NULL), FILEPROC_OK);
    calls = 0;
    ck_status(stat_k(), FILEPROC_ERR_NOTFOUND, &err);
    ck_assert_int_eq(calls, 1);
    close_flaky();
}
END_TEST

START_TEST(a_hint_to_wait_too_long_ends_it)
{
    open_flaky(4, FILEPROC_ERROR_RETRYABLE);
    failure.retry_after_ms = 3600000;
    calls = 0;
    failures = 1;
    ck_status(stat_k(), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(err.retry_after_ms, 3600000);
    close_flaky();
}
END_TEST

START_TEST(a_hint_to_wait_is_followed)
{
    struct timespec begin, end;

    open_flaky(2, FILEPROC_ERROR_RETRYABLE);
    must_put(st, "k", 1, 10);
    failure.retry_after_ms = 300;
    failures = 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    ck_status(stat_k(), FILEPROC_OK, &err);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert_int_ge((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
                     300);
    close_flaky();
}
END_TEST

START_TEST(the_budget_for_repeating_runs_out)
{
    int before;

    open_flaky(2, FILEPROC_ERROR_RETRYABLE);
    failure.retry_after_ms = 0;
    failures = 1000;
    calls = 0;
    for (int i = 0; i < 110; i++)
        ck_status(stat_k(), FILEPROC_ERR_BUSY, &err);
    before = calls;
    ck_assert_int_lt(before, 220); /* at first each twice, then once */
    ck_status(stat_k(), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_eq(calls, before + 1);
    close_flaky();
}
END_TEST

START_TEST(a_list_goes_on_behind_what_it_told)
{
    fp_storage_list_page *page = NULL;

    open_flaky(4, FILEPROC_ERROR_RETRYABLE);
    for (unsigned i = 0; i < 7; i++) {
        char key[8];

        snprintf(key, sizeof(key), "k%u", i);
        must_put(st, key, 1, i);
    }
    failures = 3;
    ck_status(fp_storage_list(st, NULL, NULL, 5, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 5);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(page->sizes[i], i);
    ck_assert_str_eq(page->next, "k4");
    fp_storage_list_free(page);
    close_flaky();
}
END_TEST

START_TEST(parts_are_told_once)
{
    fp_assembly *a;

    open_flaky(4, FILEPROC_ERROR_RETRYABLE);
    a = must_open(st, "u", CREATE);
    for (unsigned i = 0; i < 5; i++)
        must_part(a, 1, i * 10, 10);
    fp_assembly_close(a);
    failures = 2;
    a = must_open(st, "u", 0);
    ck_assert_int_eq(failures, 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 5);
    must_parts_be(a, 1);
    fp_assembly_close(a);
    close_flaky();
}
END_TEST

START_TEST(publication_whose_answer_was_lost_is_confirmed)
{
    fp_assembly *a;

    open_flaky(4, FILEPROC_ERROR_RETRYABLE);
    a = must_open(st, "u", CREATE);
    must_part(a, 1, 0, 10);
    late = true;
    failures = 2;
    ck_status(fp_assembly_publish(a, "k", 10, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_OK, &err);
    ck_assert(object_is(st, "k", 1, 10));
    fp_assembly_close(a);
    close_flaky();
}
END_TEST

static fp_status never_told(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                            fp_error *e)
{
    (void)user_data;
    (void)offset;
    (void)size;
    (void)etag;
    return fp_error_setf(e, FILEPROC_ERR_USER, "nothing was written");
}

/* A part of 20 bytes, the first 10 of them copied from another assembly. */
static fp_status copy_part(void)
{
    fp_assembly *from = must_open(st, "from", CREATE), *to = must_open(st, "to", CREATE);
    fp_part_info what = FILEPROC_PART_INFO_INIT;
    unsigned char rest[10];
    fp_part *part = NULL;
    fp_status rc;

    must_part(from, 1, 0, 10);
    ck_assert(fpi_assembly_part_from(from, 0, &what));
    ck_assert_int_eq(fp_part_begin(to, 0, 20, &part, NULL), FILEPROC_OK);
    err = (fp_error){ 0 };
    rc = fpi_part_copy(part, from, &what, &err);
    if (rc == FILEPROC_OK) {
        content_fill(1, 10, rest, sizeof(rest));
        ck_assert_int_eq(fp_part_write(part, rest, sizeof(rest), NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_part_commit(part, NULL, 0, NULL), FILEPROC_OK);
        must_parts_be(to, 1);
    }
    fp_part_free(part);
    fp_assembly_close(from);
    fp_assembly_close(to);
    return rc;
}

START_TEST(a_driver_copies_only_when_it_can)
{
    for (int i = 0; i < 2; i++) {
        copies = i == 1;
        open_flaky(4, FILEPROC_ERROR_RETRYABLE);
        ck_assert_int_eq(st->copies, copies);
        if (copies) {
            calls = 0;
            failures = 2;
            ck_status(copy_part(), FILEPROC_OK, &err);
            ck_assert_int_eq(calls, 3);
        } else {
            ck_status(copy_part(), FILEPROC_ERR_NOTSUP, &err);
            ck_assert_str_eq(err.message, "the store copies nothing by itself");
        }
        close_flaky();
    }
    copies = false;
}
END_TEST

START_TEST(drivers_without_the_optional_slots_work)
{
    const char *etags[] = { "x" };
    fp_adoption adoption = FILEPROC_ADOPTION_INIT;
    fp_buf url = FILEPROC_BUF_INIT;
    fp_assembly *a;
    uint64_t count = 7;

    open_flaky(4, 0);
    a = must_open(st, "u", CREATE);
    ck_status(fp_assembly_set_target(a, "k", 10, &err), FILEPROC_OK, &err);
    ck_status(fp_assembly_set_target(a, "../k", 10, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_uint_eq(fp_assembly_part_size(a), 0);
    ck_status(fp_assembly_presign(a, 0, 10, &url, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_assembly_written(a, never_told, NULL, &err), FILEPROC_ERR_NOTSUP, &err);
    adoption.length = 10;
    adoption.etags = etags;
    adoption.etag_count = 1;
    ck_status(fp_assembly_adopt(a, &adoption, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_storage_presign(st, "k", FILEPROC_PRESIGN_GET, 10, &url, &err),
              FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_storage_presign(st, "k", 3, 10, &url, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_presign(st, "k", 1, 604801, &url, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_reap(st, 0, &count, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count, 0);
    fp_assembly_close(a);
    close_flaky();
}
END_TEST

RUN_TESTS("storage_retry", what_fails_for_a_while_succeeds_in_the_end, the_last_failure_is_told,
          other_failures_are_not_repeated, a_hint_to_wait_too_long_ends_it,
          a_hint_to_wait_is_followed, the_budget_for_repeating_runs_out,
          a_list_goes_on_behind_what_it_told, parts_are_told_once,
          publication_whose_answer_was_lost_is_confirmed, a_driver_copies_only_when_it_can,
          drivers_without_the_optional_slots_work)
