/* Owns: the tests of daemons/common/structured_field.c. */
#include <string.h>

#include "runner.h"
#include "structured_field.h"

START_TEST(every_type_of_item_is_read)
{
    static const struct {
        const char *header;
        fpd_field_type type;
        int64_t number;
        const char *text;
    } cases[] = {
        { "0", FPD_FIELD_INTEGER, 0, "0" },
        { "-0", FPD_FIELD_INTEGER, 0, "-0" },
        { "  42  ", FPD_FIELD_INTEGER, 42, "42" },
        { "0042", FPD_FIELD_INTEGER, 42, "0042" },
        { "999999999999999", FPD_FIELD_INTEGER, INT64_C(999999999999999), "999999999999999" },
        { "-999999999999999", FPD_FIELD_INTEGER, INT64_C(-999999999999999), "-999999999999999" },
        { "1.5", FPD_FIELD_DECIMAL, 0, "1.5" },
        { "-123456789012.123", FPD_FIELD_DECIMAL, 0, "-123456789012.123" },
        { "\"\"", FPD_FIELD_STRING, 0, "" },
        { "\"a \\\"b\\\\ c\"", FPD_FIELD_STRING, 0, "a \\\"b\\\\ c" },
        { "token", FPD_FIELD_TOKEN, 0, "token" },
        { "*a:/b!#$%&'*+-.^_`|~9", FPD_FIELD_TOKEN, 0, "*a:/b!#$%&'*+-.^_`|~9" },
        { "::", FPD_FIELD_BYTES, 0, "" },
        { ":AbC+/w==:", FPD_FIELD_BYTES, 0, "AbC+/w==" },
        { "?1", FPD_FIELD_BOOLEAN, 1, "1" },
        { "?0", FPD_FIELD_BOOLEAN, 0, "0" },
        { "@1659578233", FPD_FIELD_DATE, 1659578233, "1659578233" },
        { "@-1", FPD_FIELD_DATE, -1, "-1" },
        { "%\"f%c3%bc%c3%bc \\x\"", FPD_FIELD_DISPLAY, 0, "f%c3%bc%c3%bc \\x" },
        { "%\"\"", FPD_FIELD_DISPLAY, 0, "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fpd_field f;

        ck_assert_msg(fpd_field_item(cases[i].header, &f), "%s", cases[i].header);
        ck_assert_int_eq(f.type, cases[i].type);
        ck_assert_int_eq(f.number, cases[i].number);
        ck_assert_uint_eq(f.size, strlen(cases[i].text));
        ck_assert_mem_eq(f.text, cases[i].text, f.size);
    }
}
END_TEST

START_TEST(parameters_change_nothing)
{
    static const char *const headers[] = { "?1;a", "?1;a=1", "?1; a=\"x;y\";*b;c=:AA==:;d=?0;e=@1",
                                           "?1;  a=tok  " };

    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        bool value = false;

        ck_assert_msg(fpd_field_boolean(headers[i], &value), "%s", headers[i]);
        ck_assert(value);
    }
}
END_TEST

START_TEST(what_is_no_item_is_refused)
{
    static const char *const bad[] = { "",
                                       " ",
                                       "\t1",
                                       "1\t",
                                       "+1",
                                       "-",
                                       "--1",
                                       "1.",
                                       ".5",
                                       "1.2345",
                                       "1234567890123.1",
                                       "1000000000000000",
                                       "0000000000000001",
                                       "1 2",
                                       "1,2",
                                       "1;",
                                       "1;A",
                                       "1;a=",
                                       "1 ;a",
                                       "0x1",
                                       "1e3",
                                       "?",
                                       "?2",
                                       "?10",
                                       "?T",
                                       "\"",
                                       "\"a",
                                       "\"\\a\"",
                                       "\"\\",
                                       "\"a\tb\"",
                                       "\"\xC3\xA4\"",
                                       "\"\x7F\"",
                                       ":",
                                       ":AA==",
                                       ":A A=:",
                                       ":A-_=:",
                                       "(1 2)",
                                       "@",
                                       "@1.5",
                                       "@x",
                                       "%",
                                       "%a",
                                       "%\"",
                                       "%\"a",
                                       "%\"%\"",
                                       "%\"%c3\"",
                                       "%\"%C3%BC\"",
                                       "%\"%c3a\"",
                                       "%\"%ff%ff%ff%ff%ff\"",
                                       "%\"\xC3\xBC\"",
                                       "=a",
                                       "\xC3\xA4",
                                       "a b" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fpd_field f;

        ck_assert_msg(!fpd_field_item(bad[i], &f), "%s", bad[i]);
    }
}
END_TEST

START_TEST(a_value_of_another_type_is_none)
{
    int64_t number = 7;
    bool value = true;

    ck_assert(!fpd_field_integer("?1", &number));
    ck_assert(!fpd_field_integer("1.0", &number));
    ck_assert(!fpd_field_integer("@1", &number));
    ck_assert(!fpd_field_boolean("1", &value));
    ck_assert(!fpd_field_boolean("true", &value));
    ck_assert_int_eq(number, 7);
    ck_assert(value);
}
END_TEST

START_TEST(a_dictionary_is_read_member_by_member)
{
    const char *at = "  a=1;x=y ,\tb , c=(1 \"two\";q  (3)";
    fpd_field_member m;

    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert(fpd_field_is(&m, "a") && !fpd_field_is(&m, "aa") && !fpd_field_is(&m, ""));
    ck_assert_int_eq(m.value.number, 1);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert(fpd_field_is(&m, "b"));
    ck_assert_int_eq(m.value.type, FPD_FIELD_BOOLEAN);
    ck_assert_int_eq(m.value.number, 1);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MALFORMED); /* a list in a list */

    at = "max-size=1000,*k_-.9=( 1  2 );p, sha-256=:AAAA:,a=?0";
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert(fpd_field_is(&m, "max-size"));
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert_int_eq(m.value.type, FPD_FIELD_INNER_LIST);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert_int_eq(m.value.type, FPD_FIELD_BYTES);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_MEMBER);
    ck_assert_int_eq(m.value.number, 0);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_END);
    ck_assert_int_eq(fpd_field_next(&at, &m), FPD_FIELD_END);
}
END_TEST

START_TEST(what_is_no_dictionary_is_refused)
{
    static const char *const bad[] = { ",",       "a,",    "a, ",  "a,,b",       "a b",    "A=1",
                                       "1=1",     "a=",    "a= 1", "a =1",       "a=1;",   "a=(1",
                                       "a=(1,2)", "a=()x", "\ta",  "a=(\"x\"y)", "a=1 b=2" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *at = bad[i];
        fpd_field_result result;
        fpd_field_member m;

        while ((result = fpd_field_next(&at, &m)) == FPD_FIELD_MEMBER) {
        }
        ck_assert_msg(result == FPD_FIELD_MALFORMED, "%s", bad[i]);
    }
}
END_TEST

RUN_TESTS("structured_field", every_type_of_item_is_read, parameters_change_nothing,
          what_is_no_item_is_refused, a_value_of_another_type_is_none,
          a_dictionary_is_read_member_by_member, what_is_no_dictionary_is_refused)
