/* Owns: the tests of pipeline/output_name.c. */
#include <string.h>

#include "core/utf8.h"
#include "pipeline/output_name.h"
#include "runner.h"

static const char *named(const char *input, const char *step, unsigned number)
{
    static char out[FPI_OUTPUT_NAME_SIZE];

    memset(out, 'x', sizeof(out));
    fpi_output_name(input, step, number, "webp", out);
    ck_assert_ptr_nonnull(memchr(out, '\0', sizeof(out)));
    return out;
}

static size_t characters(const char *text)
{
    size_t count = 0;

    for (size_t step; *text; text += step, count++) {
        step = fpi_utf8_decode(text, NULL);
        ck_assert_uint_ne(step, 0);
    }
    return count;
}

START_TEST(name_is_the_inputs_with_step_number_and_extension)
{
    ck_assert_str_eq(named("photo.jpeg", "thumb", 0), "photo-thumb.webp");
    ck_assert_str_eq(named("scan.pdf", "pages", 1), "scan-pages-1.webp");
    ck_assert_str_eq(named("scan.pdf", "pages", 4000000000u), "scan-pages-4000000000.webp");
    ck_assert_str_eq(named("photo", "image.resize", 0), "photo-image.resize.webp");
    ck_assert_str_eq(named("backup.tar.gz", "a", 0), "backup.tar-a.webp");
}
END_TEST

START_TEST(only_what_looks_like_an_extension_is_cut_off)
{
    ck_assert_str_eq(named("Letter to Mr. Smith", "a", 0), "Letter to Mr. Smith-a.webp");
    ck_assert_str_eq(named(".profile", "a", 0), ".profile-a.webp");
    ck_assert_str_eq(named("1.2.3-beta release", "a", 0), "1.2.3-beta release-a.webp");
    ck_assert_str_eq(named("x.", "a", 0), "x.-a.webp");
    ck_assert_str_eq(named("x.abcdefghijk", "a", 0), "x.abcdefghijk-a.webp");
}
END_TEST

START_TEST(folders_and_control_characters_do_not_get_through)
{
    ck_assert_str_eq(named("../../etc/passwd", "a", 0), "passwd-a.webp");
    ck_assert_str_eq(named("C:\\temp\\x.png", "a", 0), "x-a.webp");
    ck_assert_str_eq(named("a\nb\x7F"
                           "c\xC2\x85"
                           "d.png",
                           "a", 0),
                     "a_b_c_d-a.webp");
    ck_assert_str_eq(named("folder/", "a", 0), "file-a.webp");
    ck_assert_str_eq(named("..", "a", 0), "..-a.webp");
}
END_TEST

START_TEST(name_is_there_whatever_the_input_is_called)
{
    ck_assert_str_eq(named(NULL, "a", 0), "file-a.webp");
    ck_assert_str_eq(named("", "a", 0), "file-a.webp");
    ck_assert_str_eq(named("\xFF\xC3.png", "a", 0), "__-a.webp");
    ck_assert_str_eq(named("\xE6\x97\xA5\xE6\x9C\xAC.png", "a", 0),
                     "\xE6\x97\xA5\xE6\x9C\xAC-a.webp");
}
END_TEST

START_TEST(long_names_are_cut_between_characters_and_keep_their_end)
{
    char input[255 * 4 + 5] = "";
    const char *out;

    for (size_t i = 0; i < 255; i++)
        memcpy(input + 4 * i, "\xF0\x9F\x93\xB7", 4);
    out = named(input, "thumb", 12);
    ck_assert_uint_eq(characters(out), 255);
    ck_assert_str_eq(out + strlen(out) - 14, "-thumb-12.webp");
    memset(input, 'n', 1000);
    input[1000] = '\0';
    ck_assert_uint_eq(strlen(named(input, "thumb", 0)), 255);
}
END_TEST

RUN_TESTS("output_name", name_is_the_inputs_with_step_number_and_extension,
          only_what_looks_like_an_extension_is_cut_off,
          folders_and_control_characters_do_not_get_through,
          name_is_there_whatever_the_input_is_called,
          long_names_are_cut_between_characters_and_keep_their_end)
