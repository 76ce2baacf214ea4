/* Owns: the tests of job/job_retry.c. */
#include <string.h>

#include "job/job_retry.h"
#include "runner.h"

/* What the context's random hook hands out. */
typedef struct dice {
    uint64_t value;
    int broken;
} dice;

static int32_t roll(void *user_data, void *buf, size_t size)
{
    const dice *d = user_data;

    if (d->broken)
        return -1;
    ck_assert_uint_eq(size, sizeof(d->value));
    memcpy(buf, &d->value, size);
    return 0;
}

static fp_context *new_context(dice *d)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_context *ctx = NULL;

    o.random = roll;
    o.user_data = d;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    return ctx;
}

START_TEST(bound_doubles_with_each_attempt_until_the_cap)
{
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 1), 1000);
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 2), 2000);
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 5), 16000);
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 9), 256000);
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 10), 300000);
    ck_assert_int_eq(fpi_backoff_bound_ms(1000, 300000, 1000000), 300000);
}
END_TEST

START_TEST(bound_never_overflows)
{
    ck_assert_int_eq(fpi_backoff_bound_ms(UINT32_MAX, UINT32_MAX, INT64_MAX), UINT32_MAX);
    ck_assert_int_eq(fpi_backoff_bound_ms(UINT32_MAX - 1, UINT32_MAX, 3), UINT32_MAX);
    ck_assert_int_eq(fpi_backoff_bound_ms(1, UINT32_MAX, INT64_MAX), UINT32_MAX);
    ck_assert_int_eq(fpi_backoff_bound_ms(0, 0, 7), 0);
    ck_assert_int_eq(fpi_backoff_bound_ms(0, 1, 3), 0);
}
END_TEST

START_TEST(base_above_the_cap_is_cut)
{
    ck_assert_int_eq(fpi_backoff_bound_ms(5000, 100, 1), 100);
}
END_TEST

START_TEST(wait_is_anything_from_zero_to_the_bound)
{
    dice d = { 0, 0 };
    fp_context *ctx = new_context(&d);

    ck_assert_int_eq(fpi_backoff_ms(ctx, 1000, 300000, 3), 0);
    d.value = 4000;
    ck_assert_int_eq(fpi_backoff_ms(ctx, 1000, 300000, 3), 4000);
    d.value = 4001;
    ck_assert_int_eq(fpi_backoff_ms(ctx, 1000, 300000, 3), 0);
    d.value = UINT64_MAX;
    ck_assert_int_le(fpi_backoff_ms(ctx, 1000, 300000, 3), 4000);
    fp_context_free(ctx);
}
END_TEST

START_TEST(waits_of_real_randomness_fill_the_whole_range)
{
    fp_context *ctx = NULL;
    int64_t sum = 0, least = INT64_MAX, most = 0;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (int i = 0; i < 4000; i++) {
        int64_t wait = fpi_backoff_ms(ctx, 1000, 300000, 4);

        ck_assert_int_ge(wait, 0);
        ck_assert_int_le(wait, 8000);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
        sum += wait;
    }
    /* Ten standard deviations from the mean of 4000; each bound is missed by chance once in e^50 runs. */
    ck_assert_int_lt(least, 100);
    ck_assert_int_gt(most, 7900);
    ck_assert_int_gt(sum / 4000, 4000 - 370);
    ck_assert_int_lt(sum / 4000, 4000 + 370);
    fp_context_free(ctx);
}
END_TEST

START_TEST(without_randomness_the_wait_is_the_bound)
{
    dice d = { 0, 1 };
    fp_context *ctx = new_context(&d);

    ck_assert_int_eq(fpi_backoff_ms(ctx, 1000, 300000, 3), 4000);
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("job_retry", bound_doubles_with_each_attempt_until_the_cap, bound_never_overflows,
          base_above_the_cap_is_cut, wait_is_anything_from_zero_to_the_bound,
          waits_of_real_randomness_fill_the_whole_range, without_randomness_the_wait_is_the_bound)
