/* Owns: the tests of daemons/common/chunked.c. */
#include <stdio.h>
#include <string.h>

#include "chunked.h"
#include "runner.h"

static fpd_chunked c;
static char body[4096];
static size_t body_size, left_over;

/* The coding in pieces of so many bytes; what is body stands in `body`. */
static fpd_chunked_result decode(const char *text, size_t size, size_t piece)
{
    fpd_chunked_result result = FPD_CHUNKED_MORE;
    char data[8192];
    size_t at = 0;

    c = (fpd_chunked){ 0 };
    body_size = left_over = 0;
    while (at < size && result == FPD_CHUNKED_MORE) {
        size_t n = size - at < piece ? size - at : piece, got = 0, used = 0;

        memcpy(data, text + at, n);
        result = fpd_chunked_decode(&c, data, n, &got, &used);
        ck_assert(got <= used && used <= n);
        memcpy(body + body_size, data, got);
        body_size += got;
        at += used;
    }
    body[body_size] = '\0';
    left_over = size - at;
    return result;
}

static fpd_chunked_result decode_text(const char *text, size_t piece)
{
    return decode(text, strlen(text), piece);
}

START_TEST(bodies_come_out_whatever_the_pieces)
{
    static const char text[] = "5\r\nhello\r\n1;x=\"y\"\r\n \r\n00A \r\n0123456789\r\n0\r\n\r\nGET";

    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        ck_assert_int_eq(decode_text(text, piece), FPD_CHUNKED_END);
        ck_assert_str_eq(body, "hello 0123456789");
        ck_assert_uint_eq(left_over, 3); /* the next request's */
    }
}
END_TEST

START_TEST(trailers_are_found)
{
    static const char text[] =
        "1\r\nx\r\n0\r\nUpload-Checksum: sha1 abc=\r\nX: \t y z \r\nE:\r\n\r\n";
    char value[64];

    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        ck_assert_int_eq(decode_text(text, piece), FPD_CHUNKED_END);
        ck_assert_int_eq(fpd_chunked_trailer(&c, "upload-checksum", value, sizeof(value)),
                         FPD_TRAILER_FOUND);
        ck_assert_str_eq(value, "sha1 abc=");
        ck_assert_int_eq(fpd_chunked_trailer(&c, "X", value, sizeof(value)), FPD_TRAILER_FOUND);
        ck_assert_str_eq(value, "y z");
        ck_assert_int_eq(fpd_chunked_trailer(&c, "e", value, sizeof(value)), FPD_TRAILER_FOUND);
        ck_assert_str_eq(value, "");
        ck_assert_int_eq(fpd_chunked_trailer(&c, "Upload", value, sizeof(value)),
                         FPD_TRAILER_ABSENT);
        ck_assert_int_eq(fpd_chunked_trailer(&c, "upload-checksum", value, 9), FPD_TRAILER_BAD);
    }
    ck_assert_int_eq(decode_text("0\r\n\r\n", 1), FPD_CHUNKED_END);
    ck_assert_int_eq(fpd_chunked_trailer(&c, "X", value, sizeof(value)), FPD_TRAILER_ABSENT);
}
END_TEST

START_TEST(trailers_that_are_none_are_refused)
{
    static const char *const bad[] = { "0\r\nX: 1\r\nX: 2\r\n\r\n", "0\r\nX : 1\r\n\r\n",
                                       "0\r\nX: 1\r\n folded\r\n\r\n",
                                       "0\r\nnonsense\r\nX: 1\r\n\r\n", "0\r\n: 1\r\n\r\n" };
    char value[64];

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_int_eq(decode_text(bad[i], 3), FPD_CHUNKED_END);
        ck_assert_msg(fpd_chunked_trailer(&c, "X", value, sizeof(value)) == FPD_TRAILER_BAD, "%s",
                      bad[i]);
    }
    ck_assert_int_eq(decode("0\r\nX: a\0b\r\n\r\n", 13, 100), FPD_CHUNKED_END);
    ck_assert_int_eq(fpd_chunked_trailer(&c, "X", value, sizeof(value)), FPD_TRAILER_BAD);
}
END_TEST

START_TEST(what_is_not_that_coding_is_refused)
{
    static const char *const bad[] = {
        "\r\n",        "x\r\n",   "-1\r\n",      "0x1\r\na\r\n",
        " 1\r\na\r\n", "1\na\n",  "1\r\nab\r\n", "1\r\na\n",
        "1\r\na\r\r",  "1\ra",    ";x\r\n",      "1;x\na",
        "0\r\nX: 1\n", "0\r\n\n", "0\r\nX\rY",   "1000000000000000\r\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        for (size_t piece = 1; piece < 5; piece++)
            ck_assert_msg(decode_text(bad[i], piece) == FPD_CHUNKED_BAD, "%s", bad[i]);
}
END_TEST

START_TEST(nothing_goes_on_without_end)
{
    char text[4096];

    memset(text, 'a', sizeof(text));
    memcpy(text, "1;", 2);
    ck_assert_int_eq(decode(text, sizeof(text), 100), FPD_CHUNKED_BAD);
    memcpy(text, "0\r\nX: ", 6);
    ck_assert_int_eq(decode(text, sizeof(text), 100), FPD_CHUNKED_BAD);
    ck_assert_int_eq(decode_text("5\r\nhel", 100), FPD_CHUNKED_MORE);
    ck_assert_int_eq(decode_text("0\r\nX: 1\r\n", 100), FPD_CHUNKED_MORE);
}
END_TEST

RUN_TESTS("chunked", bodies_come_out_whatever_the_pieces, trailers_are_found,
          trailers_that_are_none_are_refused, what_is_not_that_coding_is_refused,
          nothing_goes_on_without_end)
