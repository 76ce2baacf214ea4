/* Owns: the tests of daemons/upload/tus_concat.c. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "tus_concat.h"

#define A "01900000-0000-7000-8000-00000000000a"
#define B "01900000-0000-7000-8000-00000000000b"

static fpd_tus_concat concat;

START_TEST(addresses_are_absolute_or_relative_with_whatever_before_them)
{
    static const char *const headers[] = {
        "final;/v1/tus/" A " /v1/tus/" B,
        "final;" A " " B,
        "final;https://example.org/files/" A " http://127.0.0.1:8000/v1/tus/" B,
        "final;../tus/" A " /some/prefix/v1/tus/" B,
        "final;/v1/tus/" A "?x=/y /v1/tus/" B "#/z",
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        ck_assert_int_eq(fpd_tus_concat_parse(headers[i], &concat), FPD_TUS_CONCAT_FINAL);
        ck_assert_uint_eq(concat.count, 2);
        ck_assert_str_eq(concat.ids[0], A);
        ck_assert_str_eq(concat.ids[1], B);
    }
    ck_assert_int_eq(fpd_tus_concat_parse("final;a a a", &concat), FPD_TUS_CONCAT_FINAL);
    ck_assert_uint_eq(concat.count, 3);
    ck_assert_int_eq(fpd_tus_concat_parse("partial", &concat), FPD_TUS_CONCAT_PARTIAL);
    ck_assert_uint_eq(concat.count, 0);
}
END_TEST

START_TEST(everything_else_is_refused)
{
    static const char *const malformed[] = {
        "",         "Partial",  "partial;a",  "partial ",   "final",     "final;",
        "final; a", "final;a ", "final;a  b", "final,a",    "Final;a",   "final;/",
        "final;a/", "final;?a", "final;a\tb", "final;\x80", "final;a|b", "final;" A "b"
    };

    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++)
        ck_assert_msg(fpd_tus_concat_parse(malformed[i], &concat) == FPD_TUS_CONCAT_MALFORMED, "%s",
                      malformed[i]);
}
END_TEST

START_TEST(lists_have_an_end)
{
    char *header = malloc(FPD_TUS_CONCAT_MAX + 10);
    size_t size;

    memcpy(header, "final;", 6);
    for (size = 6; size + 2 <= 6 + 2 * (size_t)FPD_TUS_CONCAT_IDS; size += 2)
        memcpy(header + size, "a ", 2);
    header[size - 1] = '\0';
    ck_assert_int_eq(fpd_tus_concat_parse(header, &concat), FPD_TUS_CONCAT_FINAL);
    ck_assert_uint_eq(concat.count, FPD_TUS_CONCAT_IDS);
    memcpy(header + size - 1, " a", 3);
    ck_assert_int_eq(fpd_tus_concat_parse(header, &concat), FPD_TUS_CONCAT_MALFORMED);
    memset(header + 6, 'a', FPD_TUS_CONCAT_MAX);
    header[FPD_TUS_CONCAT_MAX + 1] = '\0';
    ck_assert_int_eq(fpd_tus_concat_parse(header, &concat), FPD_TUS_CONCAT_TOO_LONG);
    free(header);
}
END_TEST

RUN_TESTS("tus_concat", addresses_are_absolute_or_relative_with_whatever_before_them,
          everything_else_is_refused, lists_have_an_end)
