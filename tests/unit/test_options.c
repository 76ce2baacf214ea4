/* Owns: the tests of core/options.c: callers built against older and newer headers. */
#include <stdint.h>
#include <string.h>

#include "core/options.h"
#include "runner.h"

typedef struct sample {
    size_t struct_size;
    uint64_t first;
    uint64_t second;
} sample;

typedef struct newer_sample {
    sample known;
    uint64_t third;
} newer_sample;

static fp_error err;

START_TEST(null_keeps_the_defaults)
{
    sample ours = { sizeof(ours), 1, 2 };

    ck_assert_int_eq(fpi_options_import(&ours, sizeof(ours), NULL, &err), FILEPROC_OK);
    ck_assert_uint_eq(ours.first, 1);
    ck_assert_uint_eq(ours.second, 2);
}
END_TEST

START_TEST(an_older_caller_keeps_the_defaults_of_what_it_lacks)
{
    sample ours = { sizeof(ours), 1, 2 };
    sample theirs = { offsetof(sample, second), 10, 999 };

    ck_assert_int_eq(fpi_options_import(&ours, sizeof(ours), &theirs, &err), FILEPROC_OK);
    ck_assert_uint_eq(ours.first, 10);
    ck_assert_uint_eq(ours.second, 2);
    ck_assert_uint_eq(ours.struct_size, sizeof(ours));
}
END_TEST

START_TEST(a_newer_caller_may_ask_only_for_what_is_known)
{
    sample ours = { sizeof(ours), 1, 2 };
    newer_sample theirs = { { sizeof(theirs), 10, 20 }, 0 };

    ck_assert_int_eq(fpi_options_import(&ours, sizeof(ours), &theirs, &err), FILEPROC_OK);
    ck_assert_uint_eq(ours.first, 10);
    ck_assert_uint_eq(ours.second, 20);
    ck_assert_uint_eq(ours.struct_size, sizeof(ours));
    ours = (sample){ sizeof(ours), 1, 2 };
    theirs.third = UINT64_C(1) << 63;
    ck_assert_int_eq(fpi_options_import(&ours, sizeof(ours), &theirs, &err), FILEPROC_ERR_INVALID);
    ck_assert_uint_eq(ours.first, 1);
}
END_TEST

START_TEST(a_size_that_nobody_set_is_refused)
{
    static const size_t sizes[] = { 0, 1, sizeof(size_t) - 1, 4097, SIZE_MAX };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        sample ours = { sizeof(ours), 1, 2 }, theirs = { sizes[i], 10, 20 };

        ck_assert_int_eq(fpi_options_import(&ours, sizeof(ours), &theirs, &err),
                         FILEPROC_ERR_INVALID);
        ck_assert_uint_eq(ours.first, 1);
        ck_assert_int_eq(fpi_options_export(&theirs, &ours, sizeof(ours), &err),
                         FILEPROC_ERR_INVALID);
        ck_assert_uint_eq(theirs.first, 10);
    }
}
END_TEST

START_TEST(what_is_used_in_place_is_complete_and_known)
{
    sample old = { offsetof(sample, second), 0, 0 };
    newer_sample newer = { { sizeof(newer), 0, 0 }, 0 };

    ck_assert_int_eq(fpi_options_check(sizeof(sample), sizeof(sample), &old, &err),
                     FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fpi_options_check(sizeof(sample), sizeof(sample), &newer, &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_options_check(offsetof(sample, second), sizeof(sample), &old, &err),
                     FILEPROC_OK);
    newer.third = 1;
    ck_assert_int_eq(fpi_options_check(sizeof(sample), sizeof(sample), &newer, &err),
                     FILEPROC_ERR_INVALID);
    newer.known.struct_size = 4097;
    ck_assert_int_eq(fpi_options_check(sizeof(sample), sizeof(sample), &newer, &err),
                     FILEPROC_ERR_INVALID);
}
END_TEST

START_TEST(results_fill_what_the_caller_knows)
{
    sample ours = { sizeof(ours), 1, 2 };
    sample older = { offsetof(sample, second), 0, 99 };
    newer_sample newer = { { sizeof(newer), 0, 0 }, 99 };

    ck_assert_int_eq(fpi_options_export(&older, &ours, sizeof(ours), &err), FILEPROC_OK);
    ck_assert_uint_eq(older.struct_size, offsetof(sample, second));
    ck_assert_uint_eq(older.first, 1);
    ck_assert_uint_eq(older.second, 99);
    ck_assert_int_eq(fpi_options_export(&newer, &ours, sizeof(ours), &err), FILEPROC_OK);
    ck_assert_uint_eq(newer.known.struct_size, sizeof(newer));
    ck_assert_uint_eq(newer.known.second, 2);
    ck_assert_uint_eq(newer.third, 99);
}
END_TEST

RUN_TESTS("options", null_keeps_the_defaults, an_older_caller_keeps_the_defaults_of_what_it_lacks,
          a_newer_caller_may_ask_only_for_what_is_known, a_size_that_nobody_set_is_refused,
          what_is_used_in_place_is_complete_and_known, results_fill_what_the_caller_knows)
