/* Owns: the tests of daemons/upload/tus_metadata.c. */
#include <string.h>

#include "runner.h"
#include "tus_metadata.h"

static fpd_tus_metadata_result parse(const char *header)
{
    FPD_DISPOSE(fpd_tus_metadata) m = FPD_TUS_METADATA_INIT;

    return fpd_tus_metadata_parse(header, &m);
}

START_TEST(known_keys_are_told_apart_from_the_others)
{
    FPD_DISPOSE(fpd_tus_metadata) m = FPD_TUS_METADATA_INIT;

    ck_assert_int_eq(fpd_tus_metadata_parse("filename d29ybGQucGRm,filetype YXBwbGljYXRpb24vcGRm, "
                                            "user_id bWU=,empty,also ,a\"b w6Q=",
                                            &m),
                     FPD_TUS_METADATA_OK);
    ck_assert_str_eq(m.filename.data, "world.pdf");
    ck_assert_str_eq(m.type.data, "application/pdf");
    ck_assert_str_eq(m.owner.data, "me");
    ck_assert_str_eq(m.json.data, "{\"empty\":\"\",\"also\":\"\",\"a\\\"b\":\"\xC3\xA4\"}");
}
END_TEST

START_TEST(no_pairs_are_no_pairs)
{
    FPD_DISPOSE(fpd_tus_metadata) m = FPD_TUS_METADATA_INIT;

    ck_assert_int_eq(fpd_tus_metadata_parse("", &m), FPD_TUS_METADATA_OK);
    ck_assert_int_eq(fpd_tus_metadata_parse(" \t", &m), FPD_TUS_METADATA_OK);
    ck_assert_uint_eq(m.filename.size + m.type.size + m.owner.size + m.json.size, 0);
}
END_TEST

START_TEST(what_is_no_list_of_pairs_is_malformed)
{
    static const char *const headers[] = {
        ",",       "a,",        ",a",         "a YQ==,,b YQ==", "a YQ==,a YQ==",
        "a YQ",    "a Y!==",    "a  YQ==",    "a YQ== YQ==",    "k\xC3\xA4 YQ==",
        "a\tYQ==", "a Y\x7F==", "a YQ==\r\n", "filename AA==",  "a YQ==YQ==",
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
        ck_assert_msg(parse(headers[i]) == FPD_TUS_METADATA_MALFORMED, "%s", headers[i]);
}
END_TEST

START_TEST(limits_hold)
{
    char header[FPD_TUS_METADATA_MAX + 2], *end = header;

    memset(header, 'a', sizeof(header));
    header[FPD_TUS_METADATA_MAX + 1] = '\0';
    ck_assert_int_eq(parse(header), FPD_TUS_METADATA_TOO_LONG);
    header[FPD_TUS_METADATA_MAX] = '\0';
    ck_assert_int_eq(parse(header), FPD_TUS_METADATA_OK);
    for (int i = 0; i < 65; i++)
        end += snprintf(end, 8, "%sk%d", i ? "," : "", i);
    ck_assert_int_eq(parse(header), FPD_TUS_METADATA_MALFORMED);
    *strrchr(header, ',') = '\0';
    ck_assert_int_eq(parse(header), FPD_TUS_METADATA_OK);
}
END_TEST

RUN_TESTS("tus_metadata", known_keys_are_told_apart_from_the_others, no_pairs_are_no_pairs,
          what_is_no_list_of_pairs_is_malformed, limits_hold)
