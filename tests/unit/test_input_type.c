/* Owns: the tests of pipeline/input_type.c. */
#include <stdio.h>

#include "pipeline/input_type.h"
#include "runner.h"

/* The type that an operation of these types goes by, or the reason why it doesn't. */
static const char *chosen(const char *accepts, const char *declared, const char *detected)
{
    static fp_error err;
    const fpi_operation op = { .name = "app.read", .accepts = accepts };
    fpi_input_type input;
    const char *type = NULL;
    static char copy[FPI_MEDIA_TYPE_SIZE];

    snprintf(input.declared, sizeof(input.declared), "%s", declared);
    snprintf(input.detected, sizeof(input.detected), "%s", detected);
    if (fpi_input_type_for(&input, &op, &type, &err) == FILEPROC_OK) {
        snprintf(copy, sizeof(copy), "%s", type);
        return copy;
    }
    ck_assert_ptr_null(type);
    ck_assert_int_eq(err.code, FILEPROC_ERR_INVALID);
    ck_assert_uint_eq(err.flags, FILEPROC_ERROR_PERMANENT);
    return fp_error_reason(&err);
}

START_TEST(what_the_bytes_are_decides)
{
    ck_assert_str_eq(chosen("image/png", "image/png", "image/png"), "image/png");
    ck_assert_str_eq(chosen("image/*", "image/jpeg", "image/png"), "image/png");
    ck_assert_str_eq(chosen("image/png", "application/octet-stream", "image/png"), "image/png");
    ck_assert_str_eq(chosen("image/png", "", "image/png"), "image/png");
    ck_assert_str_eq(chosen("*", "text/plain", "image/png"), "image/png");
}
END_TEST

START_TEST(content_that_is_not_what_was_declared_is_a_mismatch)
{
    ck_assert_str_eq(chosen("image/png", "image/png", "text/plain"), "media_type_mismatch");
    ck_assert_str_eq(chosen("text/*", "text/csv", "image/png"), "media_type_mismatch");
    ck_assert_str_eq(chosen("application/pdf", "application/pdf", "text/plain"),
                     "media_type_mismatch");
}
END_TEST

START_TEST(content_that_no_operation_takes_is_unsupported)
{
    ck_assert_str_eq(chosen("image/png", "text/plain", "text/plain"), "media_unsupported");
    ck_assert_str_eq(chosen("image/png", "", "text/plain"), "media_unsupported");
    ck_assert_str_eq(chosen("image/png", "", ""), "media_unsupported");
    ck_assert_str_eq(chosen("image/png", "text/csv", "text/plain"), "media_unsupported");
}
END_TEST

START_TEST(vaguer_name_for_the_same_thing_does_not_contradict)
{
    ck_assert_str_eq(chosen("text/csv", "text/csv", "text/plain"), "text/csv");
    ck_assert_str_eq(chosen("model/x-own", "model/x-own", "application/octet-stream"),
                     "model/x-own");
    ck_assert_str_eq(chosen("text/plain", "text/plain", "inode/x-empty"), "text/plain");
    ck_assert_str_eq(chosen("application/geo+json", "application/geo+json", "application/json"),
                     "application/geo+json");
    ck_assert_str_eq(chosen("image/svg+xml", "image/svg+xml", "text/xml"), "image/svg+xml");
    ck_assert_str_eq(chosen("application/epub+zip", "application/epub+zip", "application/zip"),
                     "application/epub+zip");
    ck_assert_str_eq(chosen("application/vnd.oasis.opendocument.text",
                            "application/vnd.oasis.opendocument.text", "application/zip"),
                     "application/vnd.oasis.opendocument.text");
}
END_TEST

START_TEST(declared_type_counts_when_nothing_was_detected)
{
    ck_assert_str_eq(chosen("text/csv", "text/csv", ""), "text/csv");
    ck_assert_str_eq(chosen("*", "", ""), "application/octet-stream");
}
END_TEST

RUN_TESTS("input_type", what_the_bytes_are_decides,
          content_that_is_not_what_was_declared_is_a_mismatch,
          content_that_no_operation_takes_is_unsupported,
          vaguer_name_for_the_same_thing_does_not_contradict,
          declared_type_counts_when_nothing_was_detected)
