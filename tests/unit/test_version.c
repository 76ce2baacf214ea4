/* Owns: the tests of core/version.c. */
#include <stdio.h>

#include <fileproc/version.h>

#include "runner.h"

START_TEST(header_library_and_build_agree)
{
    unsigned major, minor, patch;

    ck_assert_uint_eq(fp_version_number(), FILEPROC_VERSION_NUMBER);
    ck_assert_str_eq(fp_version_string(), FILEPROC_VERSION_STRING);
    ck_assert_str_eq(fp_version_string(), PROJECT_VERSION);
    ck_assert_int_eq(sscanf(fp_version_string(), "%u.%u.%u", &major, &minor, &patch), 3);
    ck_assert_uint_eq(fp_version_number(), major * 1000000 + minor * 1000 + patch);
}
END_TEST

START_TEST(features_are_told_by_name)
{
    ck_assert_int_eq(fp_feature("storage.file"), 1);
    ck_assert_int_eq(fp_feature("storage.mem"), 1);
    ck_assert_int_eq(fp_feature("database.sqlite"), 1);
    ck_assert_int_eq(fp_feature("queue.database"), 1);
    ck_assert_int_eq(fp_feature("storage"), 0);
    ck_assert_int_eq(fp_feature(""), 0);
    ck_assert_int_eq(fp_feature(NULL), 0);
}
END_TEST

RUN_TESTS("version", header_library_and_build_agree, features_are_told_by_name)
