/* Owns: the tests of daemons/common/query.c. */
#include "query.h"
#include "runner.h"

START_TEST(finds_and_decodes_a_parameter)
{
    char out[16];

    ck_assert_int_eq(fpd_query_find("a=1&chunk_index=3&b", "chunk_index", out, sizeof(out)),
                     FPD_QUERY_FOUND);
    ck_assert_str_eq(out, "3");
    ck_assert_int_eq(fpd_query_find("%6eame=a%26b+c", "name", out, sizeof(out)), FPD_QUERY_FOUND);
    ck_assert_str_eq(out, "a&b c");
    ck_assert_int_eq(fpd_query_find("a=1&b", "b", out, sizeof(out)), FPD_QUERY_FOUND);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(fpd_query_find("a=b=c", "a", out, sizeof(out)), FPD_QUERY_FOUND);
    ck_assert_str_eq(out, "b=c");
}
END_TEST

START_TEST(absent_is_not_found)
{
    char out[16];

    ck_assert_int_eq(fpd_query_find(NULL, "a", out, sizeof(out)), FPD_QUERY_ABSENT);
    ck_assert_int_eq(fpd_query_find("", "a", out, sizeof(out)), FPD_QUERY_ABSENT);
    ck_assert_int_eq(fpd_query_find("&&b=2&", "a", out, sizeof(out)), FPD_QUERY_ABSENT);
    ck_assert_int_eq(fpd_query_find("aa=2&A=1", "a", out, sizeof(out)), FPD_QUERY_ABSENT);
}
END_TEST

START_TEST(twice_and_malformed_are_told_apart)
{
    char out[8];

    ck_assert_int_eq(fpd_query_find("a=1&a=1", "a", out, sizeof(out)), FPD_QUERY_TWICE);
    ck_assert_int_eq(fpd_query_find("a=%zz", "a", out, sizeof(out)), FPD_QUERY_MALFORMED);
    ck_assert_int_eq(fpd_query_find("a=%00", "a", out, sizeof(out)), FPD_QUERY_MALFORMED);
    ck_assert_int_eq(fpd_query_find("a=12345678", "a", out, sizeof(out)), FPD_QUERY_MALFORMED);
    ck_assert_int_eq(fpd_query_find("%zz=1&a=2", "a", out, sizeof(out)), FPD_QUERY_FOUND);
}
END_TEST

START_TEST(pairs_come_one_after_the_other)
{
    const char *query = "&a%5Bb%5D=c+d&&e=&f&g=%zz&h=i&";
    char name[8], value[8];

#define NEXT() fpd_query_next(&query, name, sizeof(name), value, sizeof(value))
    ck_assert_int_eq(NEXT(), FPD_QUERY_FOUND);
    ck_assert_str_eq(name, "a[b]");
    ck_assert_str_eq(value, "c d");
    ck_assert_int_eq(NEXT(), FPD_QUERY_FOUND);
    ck_assert_str_eq(name, "e");
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(NEXT(), FPD_QUERY_FOUND);
    ck_assert_str_eq(name, "f");
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(NEXT(), FPD_QUERY_MALFORMED);
    ck_assert_int_eq(NEXT(), FPD_QUERY_FOUND);
    ck_assert_str_eq(name, "h");
    ck_assert_int_eq(NEXT(), FPD_QUERY_ABSENT);
    ck_assert_int_eq(NEXT(), FPD_QUERY_ABSENT);
    query = NULL;
    ck_assert_int_eq(NEXT(), FPD_QUERY_ABSENT);
    query = "abcdefgh=1";
    ck_assert_int_eq(NEXT(), FPD_QUERY_MALFORMED);
}
END_TEST

START_TEST(numbers_are_read_strictly)
{
    int64_t n = -1;

    ck_assert_int_eq(fpd_number_parse("0", &n), FPD_NUMBER_OK);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(fpd_number_parse("9223372036854775807", &n), FPD_NUMBER_OK);
    ck_assert(n == INT64_MAX);
    ck_assert_int_eq(fpd_number_parse("9223372036854775808", &n), FPD_NUMBER_TOO_LARGE);
    ck_assert_int_eq(fpd_number_parse("99999999999999999999999", &n), FPD_NUMBER_TOO_LARGE);
    ck_assert_int_eq(fpd_number_parse("-1", &n), FPD_NUMBER_NEGATIVE);
    ck_assert_int_eq(fpd_number_parse("-99999999999999999999", &n), FPD_NUMBER_NEGATIVE);
    ck_assert_int_eq(fpd_number_parse("-0", &n), FPD_NUMBER_OK);
    ck_assert_int_eq(fpd_number_parse("", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse("-", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse("1 ", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse(" 1", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse("1e3", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse("0x10", &n), FPD_NUMBER_NONE);
    ck_assert_int_eq(fpd_number_parse("1.0", &n), FPD_NUMBER_NONE);
}
END_TEST

RUN_TESTS("query", finds_and_decodes_a_parameter, absent_is_not_found,
          twice_and_malformed_are_told_apart, pairs_come_one_after_the_other,
          numbers_are_read_strictly)
