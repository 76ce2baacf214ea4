/* Owns: the tests of core/error.c. */
#include <errno.h>
#include <string.h>

#include "core/error_private.h"
#include "core/utf8.h"
#include "runner.h"

START_TEST(the_code_is_returned_and_filled_in)
{
    fp_error err;

    memset(&err, 0xFF, sizeof(err));
    ck_assert_int_eq(fp_error_setf(&err, FILEPROC_ERR_IO, "disk %d", 3), FILEPROC_ERR_IO);
    ck_assert_int_eq(err.code, FILEPROC_ERR_IO);
    ck_assert_int_eq(err.cause, 0);
    ck_assert_uint_eq(err.flags, 0);
    ck_assert_uint_eq(err.retry_after_ms, 0);
    ck_assert_uint_eq(err.reserved[0] | err.reserved[1], 0);
    ck_assert_str_eq(err.domain, "");
    ck_assert_str_eq(err.message, "disk 3");
    ck_assert_int_eq(fp_error_setf(NULL, FILEPROC_ERR_IO, "x"), FILEPROC_ERR_IO);
    ck_assert_int_eq(fp_error_reasonf(NULL, FILEPROC_ERR_IO, 1, "x"), FILEPROC_ERR_IO);
}
END_TEST

START_TEST(long_messages_are_cut_between_characters)
{
    static const char *const characters[] = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    char text[1200], prefix[8] = "";

    /* Every alignment of a character to the end of the message. */
    for (size_t c = 0; c < 4; c++)
        for (size_t shift = 0; shift < 5; shift++) {
            fp_error err = { 0 };
            size_t size = strlen(characters[c]), n = 0;

            memset(prefix, 'x', shift);
            prefix[shift] = '\0';
            for (int i = 0; i < 250; i++, n += size)
                memcpy(text + n, characters[c], size);
            text[n] = '\0';
            fp_error_setf(&err, FILEPROC_ERR_INVALID, "%s%s", prefix, text);
            n = strlen(err.message);
            ck_assert_uint_eq(n, shift + (207 - shift) / size * size);
            ck_assert_int_eq(strncmp(err.message + shift, text, n - shift), 0);
        }
}
END_TEST

START_TEST(messages_are_one_line_of_utf8)
{
    fp_error err = { 0 };

    fp_error_setf(&err, FILEPROC_ERR_INVALID,
                  "a\nb\tc\x7f"
                  "d\xc2\x85"
                  "e");
    ck_assert_str_eq(err.message, "a b c d  e");
    fp_error_setf(&err, FILEPROC_ERR_INVALID, "%.3s, %s", "\xe2\x82\xac", "\xff\xc3");
    ck_assert_str_eq(err.message, "\xe2\x82\xac, ??");
    fp_error_setf(&err, FILEPROC_ERR_INVALID, "'%.2s'", "\xe2\x82\xac");
    ck_assert_str_eq(err.message, "'?"
                                  "?'");
}
END_TEST

START_TEST(reasons_are_unique)
{
    static const struct {
        int32_t number;
        const char *name;
    } all[] = {
#define ROW(suffix, number, name) { number, name },
        FILEPROC_REASON_MAP(ROW)
#undef ROW
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        ck_assert_int_gt(all[i].number, FILEPROC_REASON_NONE);
        ck_assert_uint_eq(strspn(all[i].name, "abcdefghijklmnopqrstuvwxyz_0123456789"),
                          strlen(all[i].name));
        for (size_t j = 0; j < i; j++) {
            ck_assert_int_ne(all[i].number, all[j].number);
            ck_assert_str_ne(all[i].name, all[j].name);
        }
        for (fp_status code = FILEPROC_OK; code >= FILEPROC_ERR_USER; code--)
            ck_assert_str_ne(all[i].name, fp_status_name(code));
    }
}
END_TEST

START_TEST(a_reason_has_a_stable_name)
{
    fp_error err = { 0 };

    fp_error_reasonf(&err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT, "other bytes");
    ck_assert_str_eq(err.domain, "fileproc");
    ck_assert_int_eq(err.cause, FILEPROC_REASON_CHUNK_CONFLICT);
    ck_assert_str_eq(fp_error_reason(&err), "chunk_conflict");
    ck_assert_int_eq(fpi_reason_by_name("chunk_conflict"), FILEPROC_REASON_CHUNK_CONFLICT);
    ck_assert_int_eq(fpi_reason_by_name("nonsense"), FILEPROC_REASON_NONE);
}
END_TEST

START_TEST(an_error_without_reason_is_named_by_its_code)
{
    fp_error err = { 0 };

    fpi_error_causef(&err, FILEPROC_ERR_IO, "sqlite", FILEPROC_REASON_CHUNK_CONFLICT, "x");
    ck_assert_str_eq(err.domain, "sqlite");
    ck_assert_str_eq(fp_error_reason(&err), "io");
    fp_error_reasonf(&err, FILEPROC_ERR_BUSY, 99999, "x");
    ck_assert_str_eq(fp_error_reason(&err), "busy");
    ck_assert_str_eq(fp_error_reason(NULL), "unknown");
}
END_TEST

START_TEST(every_code_has_a_name)
{
    ck_assert_str_eq(fp_status_name(FILEPROC_OK), "ok");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_NOMEM), "nomem");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_INVALID), "invalid");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_NOTSUP), "notsup");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_NOTFOUND), "notfound");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_EXISTS), "exists");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_CONFLICT), "conflict");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_AUTH), "auth");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_QUOTA), "quota");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_BUSY), "busy");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_TIMEOUT), "timeout");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_CANCELLED), "cancelled");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_IO), "io");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_PROTOCOL), "protocol");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_CORRUPT), "corrupt");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_USER), "user");
    ck_assert_str_eq(fp_status_name(FILEPROC_ERR_USER - 1), "unknown");
    ck_assert_str_eq(fp_status_name(1), "unknown");
    ck_assert_str_eq(fp_status_name(INT32_MIN), "unknown");
    ck_assert_str_eq(fp_status_name(INT32_MAX), "unknown");
}
END_TEST

START_TEST(what_may_pass_is_marked_retryable)
{
    fp_error err = { 0 };

    fp_error_setf(&err, FILEPROC_ERR_BUSY, "x");
    ck_assert_uint_eq(err.flags, FILEPROC_ERROR_RETRYABLE);
    fp_error_setf(&err, FILEPROC_ERR_TIMEOUT, "x");
    ck_assert_uint_eq(err.flags, FILEPROC_ERROR_RETRYABLE);
    fp_error_setf(&err, FILEPROC_ERR_INVALID, "x");
    ck_assert_uint_eq(err.flags, 0);
}
END_TEST

START_TEST(errno_is_translated)
{
    static const int full[] = { ENOSPC, EDQUOT, EFBIG };
    fp_error err = { 0 };

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(fpi_error_errno(&err, full[i], "part"), FILEPROC_ERR_QUOTA);
        ck_assert_str_eq(fp_error_reason(&err), "storage_full");
    }
    ck_assert_int_eq(fpi_error_errno(&err, ENOMEM, "part"), FILEPROC_ERR_NOMEM);
    ck_assert_int_eq(fpi_error_errno(&err, EACCES, "part"), FILEPROC_ERR_IO);
    ck_assert_str_eq(err.domain, "errno");
    ck_assert_int_eq(err.cause, EACCES);
    ck_assert_str_eq(err.message, "part: Permission denied");
    ck_assert_int_eq(fpi_error_errno(&err, 54321, "part"), FILEPROC_ERR_IO);
    ck_assert_str_eq(err.message, "part: unknown error");
    ck_assert_int_eq(fpi_error_errno(NULL, EIO, "part"), FILEPROC_ERR_IO);
}
END_TEST

START_TEST(the_record_has_256_bytes)
{
    ck_assert_uint_eq(sizeof(fp_error), 256);
}
END_TEST

RUN_TESTS("error", the_code_is_returned_and_filled_in, long_messages_are_cut_between_characters,
          messages_are_one_line_of_utf8, reasons_are_unique, a_reason_has_a_stable_name,
          an_error_without_reason_is_named_by_its_code, every_code_has_a_name,
          what_may_pass_is_marked_retryable, errno_is_translated, the_record_has_256_bytes)
