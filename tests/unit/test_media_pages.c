/* Owns: the tests of media/media_pages.c. */
#include "media/media_pages.h"

#include <stdio.h>
#include <string.h>

#include "runner.h"

/* The pages in order, as "1 2 3". */
static const char *expand(const char *text, int page_count)
{
    static char out[400];
    fpi_media_pages pages;
    size_t used = 0;

    out[0] = '\0';
    if (!fpi_media_pages_parse(text, page_count, &pages))
        return "none";
    for (size_t i = 0; i < fpi_media_pages_total(&pages); i++)
        used += (size_t)snprintf(out + used, sizeof(out) - used, i ? " %d" : "%d",
                                 fpi_media_pages_at(&pages, i));
    return out;
}

START_TEST(pages_come_in_the_order_given)
{
    ck_assert_str_eq(expand("5", 9), "5");
    ck_assert_str_eq(expand("2-4", 9), "2 3 4");
    ck_assert_str_eq(expand("7,1-3,2", 9), "7 1 2 3 2");
    ck_assert_str_eq(expand("3-3", 9), "3");
}
END_TEST

START_TEST(all_is_every_page)
{
    ck_assert_str_eq(expand("all", 4), "1 2 3 4");
    ck_assert_str_eq(expand("1-", 4), "1 2 3 4");
    ck_assert_str_eq(expand("3-", 4), "3 4");
    ck_assert_str_eq(expand("1-,2-", 3), "1 2 3 2 3");
}
END_TEST

START_TEST(pages_that_are_not_there_are_left_out)
{
    ck_assert_str_eq(expand("2-99", 4), "2 3 4");
    ck_assert_str_eq(expand("9,1", 4), "1");
    ck_assert_str_eq(expand("9", 4), "none");
    ck_assert_str_eq(expand("9-", 4), "none");
    ck_assert_str_eq(expand("5-9,6", 4), "none");
}
END_TEST

START_TEST(what_is_no_list_is_refused)
{
    static const char *const wrong[] = { "",    "0",    "-",     "-3",  "1-0", "3-2",  "1,",
                                         ",1",  "1,,2", "1-2-3", "a",   "1 ",  " 1",   "1;2",
                                         "All", "1-a",  "1.5",   "0-3", "+1",  "all,1" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        ck_assert_msg(strcmp(expand(wrong[i], 9), "none") == 0, "%s", wrong[i]);
}
END_TEST

START_TEST(numbers_out_of_reason_are_refused)
{
    ck_assert_str_eq(expand("99999999999999999999", 9), "none");
    ck_assert_str_eq(expand("1-99999999999999999999", 9), "none");
    ck_assert_str_eq(expand("8-10000000", 9), "8 9");
}
END_TEST

START_TEST(so_many_ranges_and_no_more)
{
    char text[400] = "";
    fpi_media_pages pages;

    for (size_t i = 0; i < FPI_MEDIA_PAGE_RANGES_MAX; i++)
        strncat(text, i ? ",1" : "1", 3);
    ck_assert(fpi_media_pages_parse(text, 9, &pages));
    ck_assert_uint_eq(fpi_media_pages_total(&pages), FPI_MEDIA_PAGE_RANGES_MAX);
    strncat(text, ",1", 3);
    ck_assert(!fpi_media_pages_parse(text, 9, &pages));
}
END_TEST

START_TEST(an_index_beyond_the_end_is_no_page)
{
    fpi_media_pages pages;

    ck_assert(fpi_media_pages_parse("2-3", 9, &pages));
    ck_assert_int_eq(fpi_media_pages_at(&pages, 1), 3);
    ck_assert_int_eq(fpi_media_pages_at(&pages, 2), 0);
}
END_TEST

RUN_TESTS("media_pages", pages_come_in_the_order_given, all_is_every_page,
          pages_that_are_not_there_are_left_out, what_is_no_list_is_refused,
          numbers_out_of_reason_are_refused, so_many_ranges_and_no_more,
          an_index_beyond_the_end_is_no_page)
