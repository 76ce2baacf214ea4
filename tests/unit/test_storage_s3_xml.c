/* Owns: the tests of storage/storage_s3_xml.c, also with text that is none of S3's.
 * Must not know: requests. */
#include "storage/storage_s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "runner.h"

static fp_context *ctx;
static char seen[1024];

static fp_status on_element(void *user_data, const char *parent, const char *name, const char *text,
                            fp_error *err)
{
    size_t n = strlen(seen);

    if (strcmp(name, "refuse") == 0)
        return fp_error_setf(err, FILEPROC_ERR_USER, "refused");
    snprintf(seen + n, sizeof(seen) - n, "%s>%s=%s;", parent, name, text);
    (void)user_data;
    return FILEPROC_OK;
}

/* In pieces of so many bytes. */
static fp_status read_pieces(const char *text, size_t size, size_t piece, fp_error *err)
{
    FPI_CLEANUP(fpi_s3_xml) x = NULL;
    fp_status rc = fpi_s3_xml_new(ctx, on_element, NULL, &x, err);

    seen[0] = '\0';
    for (size_t at = 0; rc == FILEPROC_OK && at < size; at += piece)
        rc = fpi_s3_xml_feed(x, text + at, size - at < piece ? size - at : piece, err);
    return rc < 0 ? rc : fpi_s3_xml_finish(x, err);
}

static void open_context(void)
{
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
}

static const char sample[] =
    " \n\n<?xml version=\"1.0\" encoding=\"UTF-8\"?><A xmlns=\"http://x/\"><B a='1'>t&amp;\xC3\xA4</B>"
    "<C><B>u</B> </C><D/></A>";

START_TEST(elements_are_told_whatever_the_pieces)
{
    open_context();
    for (size_t piece = 1; piece < sizeof(sample); piece++) {
        ck_assert_int_eq(read_pieces(sample, sizeof(sample) - 1, piece, NULL), FILEPROC_OK);
        ck_assert_str_eq(seen, "A>B=t&\xC3\xA4;C>B=u;A>C= ;A>D=;>A=;");
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(what_is_cut_can_be_asked_for_again)
{
    fp_error err;

    open_context();
    for (size_t size = 0; size < sizeof(sample) - 1; size++) {
        err = (fp_error){ 0 };
        ck_assert_int_eq(read_pieces(sample, size, 7, &err), FILEPROC_ERR_PROTOCOL);
        ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(limits_hold)
{
    size_t size = 3 << 20;
    char *deep = malloc(size), *longest = malloc(size);
    fp_error err = { 0 };

    open_context();
    deep[0] = '\0';
    for (size_t i = 0; i < 100; i++)
        memcpy(deep + 3 * i, "<a>", 4);
    ck_assert_int_eq(read_pieces(deep, 300, 50, &err), FILEPROC_ERR_PROTOCOL);
    memset(longest, 'x', size);
    memcpy(longest, "<a>", 3);
    ck_assert_int_eq(read_pieces(longest, size, 1000, &err), FILEPROC_ERR_PROTOCOL);
    memcpy(longest + 1, "xx", 2); /* the name does not end */
    ck_assert_int_eq(read_pieces(longest, size, 100000, &err), FILEPROC_ERR_PROTOCOL);
    free(deep);
    free(longest);
    fp_context_free(ctx);
}
END_TEST

START_TEST(document_types_and_entities_are_refused)
{
    static const char *const bad[] = {
        "<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<a>&unknown;</a>",
        "{\"no\": \"xml\"}",
        "<html><p>no end</html>",
        "<a></b>",
        "<a/><a/>",
    };
    fp_error err = { 0 };

    open_context();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(read_pieces(bad[i], strlen(bad[i]), 5, &err) == FILEPROC_ERR_PROTOCOL, "%s",
                      bad[i]);
    fp_context_free(ctx);
}
END_TEST

START_TEST(a_failure_of_the_listener_ends_it)
{
    static const char text[] = "<a><refuse/><b/></a>";
    fp_error err = { 0 };

    open_context();
    ck_assert_int_eq(read_pieces(text, sizeof(text) - 1, 1, &err), FILEPROC_ERR_USER);
    ck_assert_str_eq(err.message, "refused");
    ck_assert_str_eq(seen, "");
    fp_context_free(ctx);
}
END_TEST

/* Not a fuzzer, but the same every time: bytes of the sample replaced, removed, doubled. */
START_TEST(damaged_text_is_an_error_or_read)
{
    uint64_t x = 88172645463325252u;

    open_context();
    for (int round = 0; round < 20000; round++) {
        char text[2 * sizeof(sample)];
        size_t size = sizeof(sample) - 1;
        fp_error err = { 0 };

        memcpy(text, sample, size);
        for (int i = 0; i < 3; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            text[x % size] = (char)(x >> 32);
            size -= x >> 60 == 0;
        }
        if (read_pieces(text, size, 1 + x % 40, &err) < 0)
            ck_assert_int_eq(err.code, FILEPROC_ERR_PROTOCOL);
    }
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("storage_s3_xml", elements_are_told_whatever_the_pieces,
          what_is_cut_can_be_asked_for_again, limits_hold, document_types_and_entities_are_refused,
          a_failure_of_the_listener_ends_it, damaged_text_is_an_error_or_read)
