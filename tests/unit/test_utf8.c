/* Owns: the tests of core/utf8.c. */
#include <string.h>

#include "core/utf8.h"
#include "runner.h"

/* The plainest encoder, as an oracle. */
static size_t encode(uint32_t c, char *out)
{
    static const unsigned char first[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(first[size] | c);
    out[size] = '\0';
    return size;
}

START_TEST(every_character_is_decoded)
{
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        char text[8];
        uint32_t got = 0;
        size_t size = encode(c, text);

        if (c >= 0xD800 && c <= 0xDFFF) {
            ck_assert_uint_eq(fpi_utf8_decode(text, &got), 0);
            continue;
        }
        if (fpi_utf8_decode(text, &got) != size || got != c)
            ck_abort_msg("U+%04X", (unsigned)c);
    }
    ck_assert_uint_eq(fpi_utf8_decode("\xf0\x9f\x98\x80", NULL), 4);
}
END_TEST

START_TEST(what_is_no_character_is_refused)
{
    static const char *const bad[] = { "\x80",
                                       "\xbf",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xe0\x80\xaf",
                                       "\xf0\x80\x80\xaf",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xc3",
                                       "\xc3(",
                                       "\xe2\x82",
                                       "\xe2(\xac",
                                       "\xf0\x9f\x98" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_uint_eq(fpi_utf8_decode(bad[i], NULL), 0);
}
END_TEST

static void expect_clean(const char *text, bool cut, const char *wanted)
{
    char copy[64];

    ck_assert_uint_lt(strlen(text), sizeof(copy));
    memcpy(copy, text, strlen(text) + 1);
    fpi_utf8_clean(copy, cut);
    ck_assert_str_eq(copy, wanted);
}

START_TEST(texts_become_fit_to_be_shown)
{
    expect_clean("", true, "");
    expect_clean("plain \xe2\x82\xac", false, "plain \xe2\x82\xac");
    expect_clean("a\r\nb\x1b[31m", false, "a  b [31m");
    expect_clean("a\xc2\x9b"
                 "b",
                 false, "a  b");
    expect_clean("\xc3(\xff", false, "?(?");
    expect_clean("a\xe2\x82", false, "a??");
    expect_clean("a\xe2\x82", true, "a");
    expect_clean("a\xf0\x9f\x98", true, "a");
    expect_clean("a\xe2\x82\xac", true, "a\xe2\x82\xac");
    expect_clean("\xe2\x82 and more\xc3", true, "?? and more");
    expect_clean("a\x82", true, "a?");
}
END_TEST

RUN_TESTS("utf8", every_character_is_decoded, what_is_no_character_is_refused,
          texts_become_fit_to_be_shown)
