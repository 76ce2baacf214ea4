/* Owns: the tests of cache/cache_rate.c.
 * Must not know: any cache. */
#include "cache/cache_private.h"
#include "runner.h"

/* A clock that is set by hand; windows of 1000 ms. */
static fp_rate at(fpi_rate_state *s, int64_t now_ms, uint64_t limit, uint32_t cost)
{
    fp_rate rate = FILEPROC_RATE_INIT;

    rate.limit = limit;
    rate.window_ms = 1000;
    rate.cost = cost;
    fpi_rate_step(s, &rate, now_ms);
    return rate;
}

START_TEST(window_before_counts_by_the_part_that_is_left)
{
    fpi_rate_state s = { 0 };

    ck_assert_uint_eq(at(&s, 5900, 10, 10).allowed, 1);
    ck_assert_uint_eq(at(&s, 5999, 10, 1).allowed, 0);
    ck_assert_uint_eq(at(&s, 6000, 10, 1).allowed, 0);
    ck_assert_uint_eq(at(&s, 6499, 10, 0).remaining, 4);
    ck_assert_uint_eq(at(&s, 6500, 10, 0).remaining, 5);
    ck_assert_uint_eq(at(&s, 6500, 10, 5).allowed, 1);
    ck_assert_uint_eq(at(&s, 6500, 10, 1).allowed, 0);
    ck_assert_uint_eq(at(&s, 6999, 10, 0).remaining, 4);
    ck_assert_uint_eq(at(&s, 9000, 10, 0).remaining, 10);
}
END_TEST

START_TEST(what_is_refused_is_not_counted)
{
    fpi_rate_state s = { 0 };

    ck_assert_uint_eq(at(&s, 1000, 3, 2).remaining, 1);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(at(&s, 1001, 3, 2).allowed, 0);
    ck_assert_uint_eq(at(&s, 1002, 3, 1).allowed, 1);
}
END_TEST

/* For any history: at the time that was told it is allowed, and a while before it is not. */
START_TEST(wait_that_is_told_is_right)
{
    for (uint64_t first = 0; first <= 7; first++)
        for (uint64_t second = 0; second <= 7; second++)
            for (uint32_t cost = 1; cost <= 7; cost++)
                for (int64_t now = 8000; now < 9000; now += 37) {
                    fpi_rate_state s = { 8, second, first }, later = s, earlier = s;
                    fp_rate rate = at(&s, now, 7, cost);

                    if (rate.allowed) {
                        ck_assert_int_eq(rate.retry_after_ms, 0);
                        continue;
                    }
                    ck_assert_int_gt(rate.retry_after_ms, 0);
                    ck_assert_uint_eq(at(&later, now + rate.retry_after_ms, 7, cost).allowed, 1);
                    if (rate.retry_after_ms > 2)
                        ck_assert_uint_eq(
                            at(&earlier, now + rate.retry_after_ms - 2, 7, cost).allowed, 0);
                }
}
END_TEST

START_TEST(limit_is_whole_again_when_it_was_told)
{
    fpi_rate_state s = { 0 };
    fp_rate rate = at(&s, 5250, 5, 0);

    ck_assert_int_eq(rate.reset_ms, 0);
    rate = at(&s, 5250, 5, 3);
    ck_assert_int_eq(rate.reset_ms, 1750);
    ck_assert_uint_lt(at(&s, 5250 + 1749, 5, 0).remaining, 5);
    ck_assert_uint_eq(at(&s, 5250 + 1750, 5, 0).remaining, 5);
}
END_TEST

START_TEST(more_than_the_limit_is_never_allowed)
{
    fpi_rate_state s = { 0 };
    fp_rate rate = at(&s, 5000, 5, 6);

    ck_assert_uint_eq(rate.allowed, 0);
    ck_assert_int_eq(rate.retry_after_ms, -1);
    ck_assert_uint_eq(rate.remaining, 5);
}
END_TEST

RUN_TESTS("cache_rate", window_before_counts_by_the_part_that_is_left,
          what_is_refused_is_not_counted, wait_that_is_told_is_right,
          limit_is_whole_again_when_it_was_told, more_than_the_limit_is_never_allowed)
