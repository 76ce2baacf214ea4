/* Owns: the tests of upload/filename.c. */
#include <string.h>

#include "runner.h"
#include "upload/filename.h"

static const char *cleaned(const char *text)
{
    const char *name = NULL;
    fp_error err = { 0 };
    fp_status rc = fpi_filename_clean(text, &name, &err);

    if (rc == FILEPROC_OK)
        return name;
    ck_assert_int_eq(rc, FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_error_reason(&err), "filename_invalid");
    ck_assert_ptr_null(name);
    return NULL;
}

START_TEST(folders_of_every_system_are_cut_off)
{
    ck_assert_str_eq(cleaned("photo.jpg"), "photo.jpg");
    ck_assert_str_eq(cleaned("/etc/passwd"), "passwd");
    ck_assert_str_eq(cleaned("../../etc/passwd"), "passwd");
    ck_assert_str_eq(cleaned("C:\\Users\\me\\photo.jpg"), "photo.jpg");
    ck_assert_str_eq(cleaned("a/b\\c/d\\e.txt"), "e.txt");
    ck_assert_str_eq(cleaned("..hidden"), "..hidden");
    ck_assert_str_eq(cleaned("..."), "...");
}
END_TEST

START_TEST(names_that_are_no_file_are_refused)
{
    ck_assert_ptr_null(cleaned(""));
    ck_assert_ptr_null(cleaned("."));
    ck_assert_ptr_null(cleaned(".."));
    ck_assert_ptr_null(cleaned("folder/"));
    ck_assert_ptr_null(cleaned("folder\\"));
    ck_assert_ptr_null(cleaned("folder/.."));
    ck_assert_ptr_null(cleaned("folder\\."));
}
END_TEST

START_TEST(control_characters_are_refused)
{
    char name[] = "a?b";

    for (int c = 1; c < 32; c++) {
        name[1] = (char)c;
        ck_assert_ptr_null(cleaned(name));
    }
    ck_assert_ptr_null(cleaned("a\x7F"));
    ck_assert_ptr_null(cleaned("a\xC2\x80"));
    ck_assert_ptr_null(cleaned("a\xC2\x9F"));
    ck_assert_str_eq(cleaned("a\xC2\xA0"), "a\xC2\xA0");
}
END_TEST

START_TEST(only_whole_shortest_utf8_passes)
{
    static const char *const good[] = { "\xC3\xA9t\xC3\xA9.txt", "\xE6\x97\xA5\xE6\x9C\xAC.pdf",
                                        "\xF0\x9F\x93\xB7.jpg",  "\xEE\x80\x80",
                                        "\xED\x9F\xBF",          "\xF4\x8F\xBF\xBF" };
    static const char *const bad[] = { "\x80",
                                       "\xC3",
                                       "\xC3(",
                                       "\xC0\xAF",
                                       "\xC1\xBF",
                                       "\xE0\x80\xAF",
                                       "\xE0\x9F\xBF",
                                       "\xED\xA0\x80",
                                       "\xED\xBF\xBF",
                                       "\xF0\x80\x80\xAF",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xFE",
                                       "\xFF",
                                       "\xE6\x97",
                                       "\xF0\x9F\x93" };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_ptr_nonnull(cleaned(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!cleaned(bad[i]), "sample %zu passed", i);
}
END_TEST

START_TEST(length_is_counted_in_characters)
{
    char name[4 * 256 + 1] = "";

    for (size_t i = 0; i < 255; i++)
        memcpy(name + 4 * i, "\xF0\x9F\x93\xB7", 4);
    name[4 * 255] = '\0';
    ck_assert_ptr_nonnull(cleaned(name));
    name[4 * 255] = 'x';
    name[4 * 255 + 1] = '\0';
    ck_assert_ptr_null(cleaned(name));
}
END_TEST

RUN_TESTS("filename", folders_of_every_system_are_cut_off, names_that_are_no_file_are_refused,
          control_characters_are_refused, only_whole_shortest_utf8_passes,
          length_is_counted_in_characters)
