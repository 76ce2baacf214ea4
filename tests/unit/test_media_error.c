/* Owns: the tests of media/media_error.c. */
#include "media/media_error.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runner.h"

static const char *clean(const char *text, size_t length, size_t size)
{
    static char out[256];

    memset(out, '#', sizeof(out));
    fpi_media_clean(text, length, out, size);
    ck_assert_uint_lt(strlen(out), size);
    ck_assert_int_eq(out[size], '#');
    return out;
}

#define CLEAN(text) clean(text, sizeof(text) - 1, sizeof(text) * 3)

START_TEST(good_text_stays_as_it_is)
{
    ck_assert_str_eq(CLEAN("plain words"), "plain words");
    ck_assert_str_eq(CLEAN("žluťoučký kůň 🐎 漢字"), "žluťoučký kůň 🐎 漢字");
    ck_assert_str_eq(CLEAN("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF");
    ck_assert_str_eq(CLEAN("\xC2\xA0"), "\xC2\xA0");
}
END_TEST

START_TEST(control_characters_become_blanks)
{
    ck_assert_str_eq(CLEAN("a\nb\tc\x1B[31md\x7F"), "a b c [31md ");
    ck_assert_str_eq(CLEAN("a\0b"), "a b");
    ck_assert_str_eq(CLEAN("a\xC2\x85"
                           "b\xC2\x9F"),
                     "a b ");
}
END_TEST

#define ODD "\xEF\xBF\xBD"

START_TEST(what_is_no_utf8_is_replaced)
{
    ck_assert_str_eq(CLEAN("a\xFF"
                           "b"),
                     "a" ODD "b");
    ck_assert_str_eq(CLEAN("\xC0\x80"), ODD ODD);                 /* overlong */
    ck_assert_str_eq(CLEAN("\xE0\x9F\xBF"), ODD ODD ODD);         /* overlong */
    ck_assert_str_eq(CLEAN("\xED\xA0\x80"), ODD ODD ODD);         /* a surrogate */
    ck_assert_str_eq(CLEAN("\xF4\x90\x80\x80"), ODD ODD ODD ODD); /* above U+10FFFF */
    ck_assert_str_eq(CLEAN("\xF0\x8F\xBF\xBF"), ODD ODD ODD ODD); /* overlong */
    ck_assert_str_eq(CLEAN("\xF5\x80\x80\x80"), ODD ODD ODD ODD);
    ck_assert_str_eq(CLEAN("end\xE2\x82"), "end" ODD ODD);
}
END_TEST

START_TEST(it_is_never_cut_inside_a_character)
{
    ck_assert_str_eq(clean("a€b", 5, 5), "a€");
    ck_assert_str_eq(clean("a€b", 5, 4), "a");
    ck_assert_str_eq(clean("a€b", 5, 2), "a");
    ck_assert_str_eq(clean("a€b", 5, 1), "");
    ck_assert_str_eq(clean("\xFF\xFF", 2, 6), ODD);
}
END_TEST

START_TEST(it_says_whether_all_of_it_fitted)
{
    char out[8];

    ck_assert(fpi_media_clean("1234567", 7, out, sizeof(out)));
    ck_assert(!fpi_media_clean("12345678", 8, out, sizeof(out)));
    ck_assert(fpi_media_clean("", 0, out, sizeof(out)));
}
END_TEST

START_TEST(failures_are_permanent_one_line_and_carry_their_reason)
{
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_media_fail(&err, FILEPROC_REASON_MEDIA_DAMAGED, "bad: %s",
                                    "\n\xFF"
                                    "x"),
                     FILEPROC_ERR_INVALID);
    ck_assert_int_eq(err.code, FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_error_reason(&err), "media_damaged");
    ck_assert_str_eq(err.message, "bad:  " ODD "x");
    ck_assert(err.flags & FILEPROC_ERROR_PERMANENT);
    ck_assert_int_eq(fpi_media_fail(NULL, FILEPROC_REASON_MEDIA_DAMAGED, "x"),
                     FILEPROC_ERR_INVALID);
}
END_TEST

START_TEST(a_failure_of_any_length_fits)
{
    char words[2000];
    fp_error err = { 0 };

    memset(words, 0xFF, sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    fpi_media_fail(&err, FILEPROC_REASON_MEDIA_DAMAGED, "%s", words);
    ck_assert_uint_lt(strlen(err.message), sizeof(err.message));
    ck_assert_uint_eq(strlen(err.message) % 3, 0);
}
END_TEST

START_TEST(out_of_memory_is_worth_another_try)
{
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_media_no_memory(&err), FILEPROC_ERR_NOMEM);
    ck_assert_str_eq(fp_error_reason(&err), "helper_memory");
    ck_assert(!(err.flags & FILEPROC_ERROR_PERMANENT));
}
END_TEST

START_TEST(json_text_is_cleaned_and_cut)
{
    FPI_CLEANUP(json_t) text = fpi_media_json_text("a\nb€c", 5);
    FPI_CLEANUP(json_t) cut = fpi_media_json_text("a\nb€c", 6);
    FPI_CLEANUP(json_t) none = fpi_media_json_text(NULL, 10);

    ck_assert_str_eq(json_string_value(text), "a b");
    ck_assert_str_eq(json_string_value(cut), "a b€");
    ck_assert(json_is_null(none));
}
END_TEST

START_TEST(json_text_has_a_limit_of_its_own)
{
    char words[10000];
    FPI_CLEANUP(json_t) text = NULL;

    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    text = fpi_media_json_text(words, sizeof(words));
    ck_assert_uint_eq(json_string_length(text), 4095);
}
END_TEST

START_TEST(setting_nothing_is_out_of_memory)
{
    FPI_CLEANUP(json_t) object = json_object();
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_media_set(object, "a", json_true(), &err), FILEPROC_OK);
    ck_assert(json_is_true(json_object_get(object, "a")));
    ck_assert_int_eq(fpi_media_set(object, "b", NULL, &err), FILEPROC_ERR_NOMEM);
    ck_assert_str_eq(fp_error_reason(&err), "helper_memory");
    ck_assert_uint_eq(json_object_size(object), 1);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
START_TEST(it_knows_when_the_process_is_at_its_limit)
{
    struct rlimit before, tight;

    ck_assert(!fpi_media_memory_is_out());
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = 32u << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
    ck_assert(fpi_media_memory_is_out());
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert(!fpi_media_memory_is_out());
}
END_TEST
#define LIMIT_TEST , it_knows_when_the_process_is_at_its_limit
#else
#define LIMIT_TEST
#endif

RUN_TESTS("media_error", good_text_stays_as_it_is, control_characters_become_blanks,
          what_is_no_utf8_is_replaced, it_is_never_cut_inside_a_character,
          it_says_whether_all_of_it_fitted, failures_are_permanent_one_line_and_carry_their_reason,
          a_failure_of_any_length_fits, out_of_memory_is_worth_another_try,
          json_text_is_cleaned_and_cut, json_text_has_a_limit_of_its_own,
          setting_nothing_is_out_of_memory LIMIT_TEST)
