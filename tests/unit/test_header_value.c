/* Owns: the tests of daemons/common/header_value.c. */
#include "header_value.h"
#include "runner.h"

START_TEST(type_is_compared_without_case_and_parameters)
{
    ck_assert(fpd_value_is("multipart/form-data; boundary=x", "multipart/form-data"));
    ck_assert(fpd_value_is(" Application/JSON ; charset=utf-8", "application/json"));
    ck_assert(fpd_value_is("application/json", "application/json"));
    ck_assert(!fpd_value_is("application/jsonx", "application/json"));
    ck_assert(!fpd_value_is("application/json,text/plain", "application/json"));
}
END_TEST

START_TEST(parameters_are_unquoted)
{
    char out[32];

    ck_assert(fpd_value_parameter("form-data; name=\"fi\\\"le\"; filename=a.txt", "name", out,
                                  sizeof(out)));
    ck_assert_str_eq(out, "fi\"le");
    ck_assert(fpd_value_parameter("form-data;name=file ;x=y", "NAME", out, sizeof(out)));
    ck_assert_str_eq(out, "file");
    ck_assert(fpd_value_parameter("a; x=\"b;name=no\"; name=yes;", "name", out, sizeof(out)));
    ck_assert_str_eq(out, "yes");
    ck_assert(fpd_value_parameter("a; name=\"\"", "name", out, sizeof(out)));
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(wrong_parameters_are_refused)
{
    char out[8];

    ck_assert(!fpd_value_parameter("form-data", "name", out, sizeof(out)));
    ck_assert(!fpd_value_parameter("a; name=1; name=2", "name", out, sizeof(out)));
    ck_assert(!fpd_value_parameter("a; name=\"open", "name", out, sizeof(out)));
    ck_assert(!fpd_value_parameter("a; name", "name", out, sizeof(out)));
    ck_assert(!fpd_value_parameter("a; name=12345678", "name", out, sizeof(out)));
    ck_assert(!fpd_value_parameter("a; name=ok; rest rest", "name", out, sizeof(out)));
}
END_TEST

START_TEST(lists_are_searched_by_item)
{
    ck_assert(fpd_list_has("keep-alive, Upgrade", "upgrade"));
    ck_assert(fpd_list_has("close", "close"));
    ck_assert(fpd_list_has(" , a ,\tb ", "b"));
    ck_assert(!fpd_list_has("closer", "close"));
    ck_assert(!fpd_list_has("", "close"));
    ck_assert(!fpd_list_has("a b", "a"));
}
END_TEST

START_TEST(types_that_would_break_a_header_are_not_valid)
{
    ck_assert(fpd_media_type_valid("image/svg+xml"));
    ck_assert(!fpd_media_type_valid("image"));
    ck_assert(!fpd_media_type_valid("image/"));
    ck_assert(!fpd_media_type_valid("/png"));
    ck_assert(!fpd_media_type_valid("image/png\r\nX: y"));
    ck_assert(!fpd_media_type_valid("text/html; charset=utf-8"));
    ck_assert(!fpd_media_type_valid("a/b/c"));
}
END_TEST

RUN_TESTS("header_value", type_is_compared_without_case_and_parameters, parameters_are_unquoted,
          wrong_parameters_are_refused, lists_are_searched_by_item,
          types_that_would_break_a_header_are_not_valid)
