/* Owns: the tests of core/hex.c. */
#include "core/hex.h"

#include <string.h>

#include "runner.h"

START_TEST(every_byte_comes_back)
{
    unsigned char bytes[256], back[256];
    char text[2 * 256 + 1];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    fpi_hex(bytes, sizeof(bytes), text);
    ck_assert_uint_eq(strlen(text), 2 * sizeof(bytes));
    ck_assert_uint_eq(strspn(text, FPI_HEX_DIGITS), 2 * sizeof(bytes));
    ck_assert(fpi_unhex(text, sizeof(back), back));
    ck_assert_mem_eq(back, bytes, sizeof(bytes));
    fpi_hex(bytes, 0, text);
    ck_assert_str_eq(text, "");
    ck_assert(fpi_unhex("0aff", 1, back));
    ck_assert_uint_eq(back[0], 10);
    ck_assert(fpi_unhex("", 0, back));
}
END_TEST

START_TEST(only_what_was_written_is_read)
{
    static const char *const wrong[] = { "", "0", "000", "0A00", "00g0", "0x00", " 000", "00 0" };
    unsigned char out[2];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        ck_assert_msg(!fpi_unhex(wrong[i], 2, out), "'%s'", wrong[i]);
}
END_TEST

START_TEST(digits_have_either_case_and_nothing_else_is_one)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    for (int c = -128; c < 128; c++) {
        const char *at = c ? strchr(digits, c) : NULL;
        long place = at ? at - digits : -1;

        ck_assert_int_eq(fpi_hex_digit((char)c), place > 15 ? place - 6 : place);
    }
}
END_TEST

RUN_TESTS("hex", every_byte_comes_back, only_what_was_written_is_read,
          digits_have_either_case_and_nothing_else_is_one)
