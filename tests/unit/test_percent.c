/* Owns: the tests of daemons/common/percent.c. */
#include <string.h>

#include "percent.h"
#include "runner.h"

static bool decodes(const char *in, bool plus, const char *out)
{
    char buf[64];

    return fpd_percent_decode(in, strlen(in), plus, buf, sizeof(buf)) && strcmp(buf, out) == 0;
}

START_TEST(decoding_is_strict)
{
    static const char *const bad[] = { "%",   "%4",  "%zz",  "a%",    "a%2", "%00",
                                       "%0a", "%7F", "%%41", "a\x19", "\x7F" };
    char buf[64];

    ck_assert(decodes("", false, ""));
    ck_assert(decodes("a%20b%2Fc%c3%B6", false, "a b/c\xc3\xb6"));
    ck_assert(decodes("a+b", false, "a+b"));
    ck_assert(decodes("a+b%2B", true, "a b+"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!fpd_percent_decode(bad[i], strlen(bad[i]), false, buf, sizeof(buf)), "%s",
                      bad[i]);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    char buf[4];

    ck_assert(fpd_percent_decode("abc", 3, false, buf, sizeof(buf)));
    ck_assert(!fpd_percent_decode("abcd", 4, false, buf, sizeof(buf)));
    ck_assert(fpd_percent_decode("%41%42%43", 9, false, buf, sizeof(buf)));
    ck_assert_str_eq(buf, "ABC");
}
END_TEST

START_TEST(the_size_and_not_a_nul_ends_the_input)
{
    char buf[8];

    ck_assert(!fpd_percent_decode("a%41", 3, false, buf, sizeof(buf)));
    ck_assert(fpd_percent_decode("ab%41", 2, false, buf, sizeof(buf)));
    ck_assert_str_eq(buf, "ab");
}
END_TEST

START_TEST(decoding_works_in_place)
{
    char text[] = "x%20y%20z";

    ck_assert(fpd_percent_decode(text, strlen(text), false, text, sizeof(text)));
    ck_assert_str_eq(text, "x y z");
}
END_TEST

START_TEST(encoding_leaves_only_harmless_characters)
{
    fpd_text t = FPD_TEXT_INIT(256);

    fpd_percent_encode(&t, "a b\"%;'\xc3\xb6\n.txt");
    ck_assert_str_eq(t.data, "a%20b%22%25%3B%27%C3%B6%0A.txt");
    fpd_text_dispose(&t);
}
END_TEST

RUN_TESTS("percent", decoding_is_strict, what_does_not_fit_is_refused,
          the_size_and_not_a_nul_ends_the_input, decoding_works_in_place,
          encoding_leaves_only_harmless_characters)
