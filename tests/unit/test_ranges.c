/* Owns: the promises of sets of byte ranges.
 * Must not know: uploads. */
#include "fault.h"
#include "runner.h"
#include "upload/ranges.h"

static const fp_allocator *a = &fpi_default_allocator;

static fpi_range add(fpi_ranges *r, uint64_t begin, uint64_t end)
{
    ck_assert_int_eq(fpi_ranges_reserve(r, a, 1, NULL), FILEPROC_OK);
    return fpi_ranges_add(r, begin, end);
}

START_TEST(neighbours_become_one)
{
    fpi_ranges r = { 0 };
    fpi_range grown;

    add(&r, 20, 30);
    add(&r, 0, 10);
    add(&r, 40, 50);
    ck_assert_uint_eq(r.count, 3);
    grown = add(&r, 10, 15);
    ck_assert_uint_eq(grown.begin, 0);
    ck_assert_uint_eq(grown.end, 15);
    grown = add(&r, 35, 40);
    ck_assert_uint_eq(grown.begin, 35);
    ck_assert_uint_eq(grown.end, 50);
    ck_assert_uint_eq(r.count, 3);
    grown = add(&r, 15, 20);
    ck_assert_uint_eq(grown.begin, 0);
    ck_assert_uint_eq(grown.end, 30);
    grown = add(&r, 30, 35);
    ck_assert_uint_eq(grown.begin, 0);
    ck_assert_uint_eq(grown.end, 50);
    ck_assert_uint_eq(r.count, 1);
    fpi_ranges_dispose(&r, a);
}
END_TEST

/* Against a plain array of flags. */
START_TEST(any_order_gives_the_same_set)
{
    for (unsigned seed = 1; seed < 50; seed++) {
        bool set[64] = { false };
        fpi_ranges r = { 0 };
        unsigned state = seed;

        for (int i = 0; i < 200; i++) {
            uint64_t begin, end, change;
            bool any = false, all = true;

            state = state * 1103515245u + 12345u;
            begin = state >> 16 & 63;
            end = begin + 1 + (state >> 24 & 7);
            if (end > 64)
                end = 64;
            for (uint64_t k = begin; k < end; k++) {
                any = any || set[k];
                all = all && set[k];
            }
            ck_assert_int_eq(fpi_ranges_touch(&r, begin, end), any);
            ck_assert_int_eq(fpi_ranges_have(&r, begin, end), all);
            for (change = begin; change < 64 && set[change] == set[begin]; change++)
                ;
            ck_assert_uint_eq(fpi_ranges_change(&r, begin),
                              change == 64 && !set[begin] ? UINT64_MAX : change);
            if (any)
                continue;
            add(&r, begin, end);
            for (uint64_t k = begin; k < end; k++)
                set[k] = true;
            for (change = 0; change < 64 && set[change]; change++)
                ;
            ck_assert_uint_eq(fpi_ranges_prefix(&r), change);
        }
        fpi_ranges_dispose(&r, a);
    }
}
END_TEST

START_TEST(reserve_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fpi_ranges r = { 0 };
        fp_error err = { 0 };
        fp_status rc;

        fault_arm(&f);
        rc = fpi_ranges_reserve(&r, &f.allocator, 100, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(r.capacity >= 100, rc == FILEPROC_OK);
        fpi_ranges_dispose(&r, &f.allocator);
    }
}
END_TEST

RUN_TESTS("ranges", neighbours_become_one, any_order_gives_the_same_set,
          reserve_survives_every_allocation_failure)
