/* Owns: the tests of core/uuid.c. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/uuid.h"
#include "runner.h"

#define THREADS 4
#define PER_THREAD 20000

static fp_error err;

START_TEST(ids_have_the_form_of_version_7)
{
    fp_context *ctx = NULL;
    char id[FPI_UUID_SIZE];

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(fpi_uuid7(ctx, id, &err), FILEPROC_OK);
        ck_assert(fpi_uuid_valid(id));
        ck_assert_int_eq(id[14], '7');
        ck_assert_ptr_nonnull(strchr("89ab", id[19]));
    }
    fp_context_free(ctx);
}
END_TEST

static int64_t set_clock(void *user_data)
{
    return *(int64_t *)user_data;
}

START_TEST(ids_begin_with_the_time)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    int64_t now =
        INT64_C(0x3A5F22E279B0); /* later than any other in this process: ids never go back */
    fp_context *ctx = NULL;
    char id[FPI_UUID_SIZE];

    o.clock_ms = set_clock;
    o.user_data = &now;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_uuid7(ctx, id, &err), FILEPROC_OK);
    ck_assert_int_eq(strncmp(id, "3a5f22e2-79b0-7", 15), 0);
    fp_context_free(ctx);
}
END_TEST

START_TEST(ids_grow_also_when_the_clock_stands_or_goes_back)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    int64_t now = INT64_C(1800000000000);
    char id[FPI_UUID_SIZE], last[FPI_UUID_SIZE] = "";
    fp_context *ctx = NULL;

    o.clock_ms = set_clock;
    o.user_data = &now;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    for (int i = 0; i < 20000; i++) {
        if (i % 7000 == 6999)
            now -= 60000;
        ck_assert_int_eq(fpi_uuid7(ctx, id, &err), FILEPROC_OK);
        ck_assert_int_lt(strcmp(last, id), 0);
        memcpy(last, id, sizeof(id));
    }
    fp_context_free(ctx);
}
END_TEST

typedef struct maker {
    fp_context *ctx;
    char (*ids)[FPI_UUID_SIZE];
    bool in_order;
} maker;

static void *make_ids(void *data)
{
    maker *m = data;

    m->in_order = true;
    for (size_t i = 0; i < PER_THREAD; i++) {
        if (fpi_uuid7(m->ctx, m->ids[i], NULL) < 0)
            m->in_order = false;
        if (i > 0 && strcmp(m->ids[i - 1], m->ids[i]) >= 0)
            m->in_order = false;
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

START_TEST(ids_of_all_threads_are_unique_and_in_order)
{
    char(*ids)[FPI_UUID_SIZE] = malloc(sizeof(*ids) * THREADS * PER_THREAD);
    pthread_t threads[THREADS];
    maker makers[THREADS];
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (size_t i = 0; i < THREADS; i++) {
        makers[i] = (maker){ .ctx = ctx, .ids = ids + i * PER_THREAD };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_ids, &makers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(makers[i].in_order);
    }
    qsort(ids, THREADS * PER_THREAD, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < THREADS * PER_THREAD; i++)
        ck_assert_str_ne(ids[i - 1], ids[i]);
    free(ids);
    fp_context_free(ctx);
}
END_TEST

static int32_t no_random(void *user_data, void *buf, size_t size)
{
    (void)user_data;
    (void)buf;
    (void)size;
    return -1;
}

START_TEST(without_randomness_there_is_no_id)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    char id[FPI_UUID_SIZE] = "untouched";
    fp_context *ctx = NULL;

    o.random = no_random;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_uuid7(ctx, id, &err), FILEPROC_ERR_IO);
    ck_assert_str_eq(id, "untouched");
    fp_context_free(ctx);
}
END_TEST

START_TEST(only_the_one_form_is_valid)
{
    static const char *const bad[] = { "",
                                       "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                                       "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
                                       "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
                                       "017f22e279b07cc398c4dc0c0c07398f",
                                       "017f22e2-79b0-7cc3-98c4_dc0c0c07398f",
                                       "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
                                       "../../../../../../../../etc/passwd..." };

    ck_assert(fpi_uuid_valid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
    ck_assert(!fpi_uuid_valid(NULL));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!fpi_uuid_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(first_of_a_time_separates_what_was_made_before)
{
    char at[FPI_UUID_SIZE], before[FPI_UUID_SIZE];

    fpi_uuid7_first(INT64_C(0x0190A0B0C0D0), at);
    ck_assert_str_eq(at, "0190a0b0-c0d0-0000-0000-000000000000");
    ck_assert(fpi_uuid_valid(at));
    fpi_uuid7_first(-5, before);
    ck_assert_str_eq(before, "00000000-0000-0000-0000-000000000000");
}
END_TEST

RUN_TESTS("uuid", ids_have_the_form_of_version_7, ids_begin_with_the_time,
          ids_grow_also_when_the_clock_stands_or_goes_back,
          ids_of_all_threads_are_unique_and_in_order, without_randomness_there_is_no_id,
          only_the_one_form_is_valid, first_of_a_time_separates_what_was_made_before)
