/* Owns: the tests of daemons/common/range.c. */
#include <stddef.h>

#include "range.h"
#include "runner.h"

static void expect_part(const char *header, uint64_t size, uint64_t first, uint64_t length)
{
    fpd_range r = { 0 };

    ck_assert_msg(fpd_range_parse(header, size, &r) == FPD_RANGE_PART, "%s", header);
    ck_assert_msg(r.first == first && r.length == length, "%s: %ju+%ju", header, (uintmax_t)r.first,
                  (uintmax_t)r.length);
}

START_TEST(single_ranges_are_cut_to_the_file)
{
    expect_part("bytes=0-0", 10, 0, 1);
    expect_part("bytes=0-9", 10, 0, 10);
    expect_part("bytes=0-", 10, 0, 10);
    expect_part("bytes=9-", 10, 9, 1);
    expect_part("bytes=5-100", 10, 5, 5);
    expect_part("bytes=-3", 10, 7, 3);
    expect_part("bytes=-100", 10, 0, 10);
    expect_part("bytes=5-99999999999999999999999", 10, 5, 5);
    expect_part("bytes=-99999999999999999999999", 10, 0, 10);
    expect_part("Bytes = 1-2 ", 10, 1, 2);
    expect_part("bytes=0-", UINT64_MAX, 0, UINT64_MAX);
}
END_TEST

START_TEST(what_begins_behind_the_end_is_unsatisfiable)
{
    fpd_range r;

    ck_assert_int_eq(fpd_range_parse("bytes=10-", 10, &r), FPD_RANGE_UNSATISFIABLE);
    ck_assert_int_eq(fpd_range_parse("bytes=10-20", 10, &r), FPD_RANGE_UNSATISFIABLE);
    ck_assert_int_eq(fpd_range_parse("bytes=-0", 10, &r), FPD_RANGE_UNSATISFIABLE);
    ck_assert_int_eq(fpd_range_parse("bytes=0-", 0, &r), FPD_RANGE_UNSATISFIABLE);
    ck_assert_int_eq(fpd_range_parse("bytes=-5", 0, &r), FPD_RANGE_UNSATISFIABLE);
    ck_assert_int_eq(fpd_range_parse("bytes=99999999999999999999999-", 10, &r),
                     FPD_RANGE_UNSATISFIABLE);
}
END_TEST

START_TEST(what_is_no_single_byte_range_is_ignored)
{
    static const char *const headers[] = { NULL,        "",           "bytes",
                                           "bytes=",    "bytes=-",    "bytes=a-b",
                                           "bytes=1",   "bytes=5-4",  "bytes=0-1,3-4",
                                           "lines=0-1", "bytes=0-1x", "bytes=--1",
                                           "bytes=+1-2" };
    fpd_range r;

    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
        ck_assert_int_eq(fpd_range_parse(headers[i], 10, &r), FPD_RANGE_WHOLE);
}
END_TEST

START_TEST(etags_are_found_in_lists)
{
    ck_assert(fpd_etag_listed("\"a\"", "\"a\""));
    ck_assert(fpd_etag_listed("\"b\", W/\"a\"", "\"a\""));
    ck_assert(fpd_etag_listed("*", "\"a\""));
    ck_assert(fpd_etag_listed(" , \"x,y\" ,\"a\"", "\"a\""));
    ck_assert(!fpd_etag_listed("\"ab\"", "\"a\""));
    ck_assert(!fpd_etag_listed("a", "\"a\""));
    ck_assert(!fpd_etag_listed("\"a", "\"a\""));
    ck_assert(!fpd_etag_listed("", "\"a\""));
}
END_TEST

START_TEST(strong_comparison_takes_no_weak_tag)
{
    ck_assert(fpd_etag_matched("\"a\"", "\"a\""));
    ck_assert(fpd_etag_matched("*", "\"a\""));
    ck_assert(fpd_etag_matched("W/\"a\", \"b\", \"a\"", "\"a\""));
    ck_assert(!fpd_etag_matched("W/\"a\"", "\"a\""));
    ck_assert(!fpd_etag_matched("\"b\"", "\"a\""));
    ck_assert(!fpd_etag_matched("", "\"a\""));
}
END_TEST

START_TEST(if_range_wants_the_very_tag)
{
    ck_assert(fpd_etag_is("\"a\"", "\"a\""));
    ck_assert(!fpd_etag_is("W/\"a\"", "\"a\""));
    ck_assert(!fpd_etag_is("Wed, 21 Oct 2015 07:28:00 GMT", "\"a\""));
}
END_TEST

RUN_TESTS("range", single_ranges_are_cut_to_the_file, what_begins_behind_the_end_is_unsatisfiable,
          what_is_no_single_byte_range_is_ignored, etags_are_found_in_lists,
          strong_comparison_takes_no_weak_tag, if_range_wants_the_very_tag)
