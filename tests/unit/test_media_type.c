/* Owns: the tests of core/media_type.c. */
#include <string.h>

#include "core/media_type.h"
#include "runner.h"

START_TEST(valid_types_are_lower_case_and_without_parameters)
{
    static const char *const good[] = { "image/png",
                                        "application/vnd.oasis.opendocument.text",
                                        "application/epub+zip",
                                        "a/b",
                                        "3gpp/x",
                                        "text/x_y-z" };
    static const char *const bad[] = { "",           "image",         "image/",
                                       "/png",       "image/png;q=1", "Image/png",
                                       "image/png ", " image/png",    "image/p\xc3\xa4ng",
                                       "image//png", "image/*",       "*",
                                       "*/*",        "image/a/b",     "-a/b",
                                       "a/\n" };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(fpi_media_type_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!fpi_media_type_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(names_have_at_most_127_characters)
{
    char text[400];

    memset(text, 'a', sizeof(text));
    text[127] = '/';
    text[255] = '\0';
    ck_assert(fpi_media_type_valid(text));
    text[255] = 'a';
    text[256] = '\0';
    ck_assert(!fpi_media_type_valid(text));
    text[127] = 'a';
    text[128] = '/';
    text[140] = '\0';
    ck_assert(!fpi_media_type_valid(text));
}
END_TEST

START_TEST(normalise_cuts_parameters_and_blanks_and_lowers)
{
    char out[FPI_MEDIA_TYPE_SIZE];
    char longest[600];

    ck_assert(fpi_media_type_normalise(" Text/CSV ; charset=UTF-8", out));
    ck_assert_str_eq(out, "text/csv");
    ck_assert(!fpi_media_type_normalise("text", out));
    ck_assert_str_eq(out, "");
    memset(longest, 'a', sizeof(longest));
    longest[3] = '/';
    longest[sizeof(longest) - 1] = '\0';
    ck_assert(!fpi_media_type_normalise(longest, out));
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(patterns_match_exactly_by_kind_or_always)
{
    ck_assert_int_eq(fpi_media_pattern_match("image/png", 9, "image/png"), FPI_MEDIA_MATCH_EXACT);
    ck_assert_int_eq(fpi_media_pattern_match("image/png", 9, "image/pngx"), FPI_MEDIA_MATCH_NONE);
    ck_assert_int_eq(fpi_media_pattern_match("image/*", 7, "image/png"), FPI_MEDIA_MATCH_KIND);
    ck_assert_int_eq(fpi_media_pattern_match("image/*", 7, "imagex/png"), FPI_MEDIA_MATCH_NONE);
    ck_assert_int_eq(fpi_media_pattern_match("*", 1, "image/png"), FPI_MEDIA_MATCH_ANY);
    ck_assert(fpi_media_pattern_valid("image/*", 7));
    ck_assert(fpi_media_pattern_valid("*", 1));
    ck_assert(!fpi_media_pattern_valid("*/*", 3));
    ck_assert(!fpi_media_pattern_valid("/*", 2));
    ck_assert(!fpi_media_pattern_valid("im*/png", 7));
    ck_assert(!fpi_media_pattern_valid("", 0));
}
END_TEST

START_TEST(lists_answer_their_best_match)
{
    ck_assert_int_eq(fpi_media_list_match("*, image/* , image/png", "image/png"),
                     FPI_MEDIA_MATCH_EXACT);
    ck_assert_int_eq(fpi_media_list_match("*, image/* , image/png", "image/gif"),
                     FPI_MEDIA_MATCH_KIND);
    ck_assert_int_eq(fpi_media_list_match("*,image/*", "text/plain"), FPI_MEDIA_MATCH_ANY);
    ck_assert_int_eq(fpi_media_list_match("image/png,", "text/plain"), FPI_MEDIA_MATCH_NONE);
    ck_assert_int_eq(fpi_media_list_match("", "text/plain"), FPI_MEDIA_MATCH_NONE);
}
END_TEST

RUN_TESTS("media_type", valid_types_are_lower_case_and_without_parameters,
          names_have_at_most_127_characters, normalise_cuts_parameters_and_blanks_and_lowers,
          patterns_match_exactly_by_kind_or_always, lists_answer_their_best_match)
