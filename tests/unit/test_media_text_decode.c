/* Owns: the tests of media/media_text_decode.c. */
#include "media/media_text_decode.h"

#include <string.h>

#include "runner.h"

static fpi_media_encoding look(const char *data, size_t size, size_t step, size_t *mark)
{
    fpi_media_encoding_guess g = { 0 };

    for (size_t at = 0; at < size; at += step)
        fpi_media_encoding_look(&g, (const uint8_t *)data + at,
                                size - at < step ? size - at : step);
    return fpi_media_encoding_result(&g, mark);
}

/* The same whatever blocks it comes in. */
static void is(const char *data, size_t size, fpi_media_encoding wanted, size_t wanted_mark)
{
    for (size_t step = 1; step < 10; step++) {
        size_t mark = 99;
        fpi_media_encoding got = look(data, size, step, &mark);

        ck_assert_msg(got == wanted && mark == wanted_mark, "%s: %s, mark %zu", data,
                      fpi_media_encoding_name(got), mark);
    }
}

#define IS(text, encoding, mark) is(text, sizeof(text) - 1, encoding, mark)

START_TEST(encodings_have_registered_names)
{
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_ASCII), "us-ascii");
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_UTF8), "utf-8");
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_UTF16LE), "utf-16le");
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_UTF16BE), "utf-16be");
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_LATIN1), "iso-8859-1");
    ck_assert_str_eq(fpi_media_encoding_name(FPI_MEDIA_BINARY), "binary");
}
END_TEST

START_TEST(texts_are_recognised)
{
    IS("", FPI_MEDIA_ASCII, 0);
    IS("plain words\twith\r\nlines\f", FPI_MEDIA_ASCII, 0);
    IS("\x1B[31mred\x1B[0m and b\b", FPI_MEDIA_ASCII, 0);
    IS("žluťoučký kůň 🐎", FPI_MEDIA_UTF8, 0);
    IS("\xEF\xBB\xBFwords é", FPI_MEDIA_UTF8, 3);
    IS("caf\xE9 au lait", FPI_MEDIA_LATIN1, 0);
    IS("\xFF\xFE"
       "a\0b\0",
       FPI_MEDIA_UTF16LE, 2);
    IS("\xFE\xFF\0a\0b", FPI_MEDIA_UTF16BE, 2);
}
END_TEST

START_TEST(a_mark_alone_says_the_encoding)
{
    IS("\xEF\xBB\xBF", FPI_MEDIA_UTF8, 3);
    IS("\xFF\xFE", FPI_MEDIA_UTF16LE, 2);
    IS("\xFE\xFF", FPI_MEDIA_UTF16BE, 2);
}
END_TEST

START_TEST(what_is_no_utf8_is_taken_for_latin1)
{
    IS("\xC0\x80 x", FPI_MEDIA_LATIN1, 0);
    IS("\xE0\x9F\xBF x", FPI_MEDIA_LATIN1, 0);
    IS("\xED\xA0\x80 x", FPI_MEDIA_LATIN1, 0);
    IS("\xF0\x8F\xBF\xBF x", FPI_MEDIA_LATIN1, 0);
    IS("\xF4\x90\x80\x80 x", FPI_MEDIA_LATIN1, 0);
    IS("\xF5\x80\x80\x80 x", FPI_MEDIA_LATIN1, 0);
    IS("\x80 x", FPI_MEDIA_LATIN1, 0);
    IS("end \xE2\x82", FPI_MEDIA_LATIN1, 0);
    IS("a\xE2"
       "b",
       FPI_MEDIA_LATIN1, 0);
    IS("\xEF\xBB\xBF\xFF", FPI_MEDIA_LATIN1, 0);
}
END_TEST

START_TEST(the_ends_of_unicode_are_utf8)
{
    IS("\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
       FPI_MEDIA_UTF8, 0);
}
END_TEST

START_TEST(what_no_text_has_is_binary)
{
    IS("a\0b", FPI_MEDIA_BINARY, 0);
    IS("\1\2\3\4", FPI_MEDIA_BINARY, 0);
    IS("\xFF\xFE"
       "a\0b",
       FPI_MEDIA_BINARY, 0); /* half a character is left */
}
END_TEST

START_TEST(a_stray_control_character_makes_no_binary)
{
    char text[101];

    memset(text, 'x', sizeof(text));
    text[50] = text[60] = '\1';
    is(text, 100, FPI_MEDIA_ASCII, 0);
    text[70] = '\1';
    is(text, 100, FPI_MEDIA_BINARY, 0);
}
END_TEST

/* Blocks of `step` bytes; a zero ends the wanted characters. */
static void decodes(fpi_media_encoding encoding, const char *data, size_t size,
                    const uint32_t *wanted)
{
    size_t length = 0;

    while (wanted[length])
        length++;
    for (size_t step = 1; step < 9; step++) {
        fpi_media_decoder d = { .encoding = encoding };
        uint32_t out[64];
        size_t count = 0;

        for (size_t at = 0; at < size; at += step) {
            size_t here = size - at < step ? size - at : step;
            size_t made = fpi_media_decode(&d, (const uint8_t *)data + at, here, out + count);

            ck_assert_uint_le(made, here + 1);
            count += made;
        }
        ck_assert_uint_eq(count, length);
        ck_assert_mem_eq(out, wanted, length * sizeof(*out));
    }
}

#define DECODES(encoding, text, ...)                                                               \
    decodes(encoding, text, sizeof(text) - 1, (const uint32_t[]){ __VA_ARGS__, 0 })

START_TEST(characters_come_out_whatever_the_blocks)
{
    DECODES(FPI_MEDIA_ASCII, "ab", 'a', 'b');
    DECODES(FPI_MEDIA_LATIN1, "a\xE9\xFF", 'a', 0xE9, 0xFF);
    DECODES(FPI_MEDIA_UTF8, "aé€🐎b", 'a', 0xE9, 0x20AC, 0x1F40E, 'b');
    DECODES(FPI_MEDIA_UTF16LE, "a\0\xAC\x20\x3D\xD8\x0E\xDC", 'a', 0x20AC, 0x1F40E);
    DECODES(FPI_MEDIA_UTF16BE, "\0a\x20\xAC\xD8\x3D\xDC\x0E", 'a', 0x20AC, 0x1F40E);
}
END_TEST

START_TEST(unpaired_surrogates_are_replaced)
{
    DECODES(FPI_MEDIA_UTF16BE, "\xDC\x0E\0a", 0xFFFD, 'a');
    DECODES(FPI_MEDIA_UTF16BE, "\xD8\x3D\0a", 0xFFFD, 'a');
    DECODES(FPI_MEDIA_UTF16BE, "\xD8\x3D\xD8\x3D\xDC\x0E", 0xFFFD, 0x1F40E);
    DECODES(FPI_MEDIA_UTF16LE,
            "\x3D\xD8"
            "a\0",
            0xFFFD, 'a');
}
END_TEST

RUN_TESTS("media_text_decode", encodings_have_registered_names, texts_are_recognised,
          a_mark_alone_says_the_encoding, what_is_no_utf8_is_taken_for_latin1,
          the_ends_of_unicode_are_utf8, what_no_text_has_is_binary,
          a_stray_control_character_makes_no_binary, characters_come_out_whatever_the_blocks,
          unpaired_surrogates_are_replaced)
