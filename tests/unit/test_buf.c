/* Owns: the tests of core/buf.c. */
#include <stdint.h>
#include <string.h>

#include <fileproc/driver/operation_driver.h>

#include "core/buf_private.h"
#include "fault.h"
#include "runner.h"

START_TEST(append_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf buf = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc = FILEPROC_OK;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
        fault_arm(&f);
        for (int i = 0; i < 100 && rc == FILEPROC_OK; i++) {
            size_t before = buf.size;

            rc = fpi_buf_printf(ctx, &buf, &err, "line %d\n", i);
            if (rc < 0)
                ck_assert_uint_eq(buf.size, before);
        }
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert_uint_eq(strlen(buf.data), buf.size);
        fp_buf_dispose(&buf);
        fp_context_free(ctx);
    }
}
END_TEST

START_TEST(bytes_are_kept_with_a_nul_behind)
{
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_buf_append(ctx, &buf, NULL, 0, NULL), FILEPROC_OK);
    ck_assert_str_eq(buf.data, "");
    ck_assert_int_eq(fp_buf_append(ctx, &buf, "a\0b", 3, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_buf_text(ctx, &buf, "cd", NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_buf_printf(ctx, &buf, NULL, "%s", ""), FILEPROC_OK);
    ck_assert_uint_eq(buf.size, 5);
    ck_assert_mem_eq(buf.data, "a\0bcd", 6);
    fp_buf_dispose(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.size, 0);
    fp_buf_dispose(&buf);
    fp_buf_dispose(NULL);
    fp_context_free(ctx);
}
END_TEST

START_TEST(reserved_room_can_be_filled_without_allocating)
{
    fault f;
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    long count;

    fault_init(&f);
    o.allocator = &f.allocator;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_buf_reserve(ctx, &buf, 5000, NULL), FILEPROC_OK);
    fault_arm(&f);
    f.fail_at = -1;
    count = f.count;
    for (int i = 0; i < 5000; i++)
        ck_assert_int_eq(fpi_buf_append(ctx, &buf, "x", 1, NULL), FILEPROC_OK);
    ck_assert_int_eq(f.count, count);
    fault_disarm(&f);
    fp_buf_dispose(&buf);
    fp_context_free(ctx);
}
END_TEST

START_TEST(absurd_sizes_are_out_of_memory)
{
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_buf_text(ctx, &buf, "kept", NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_buf_reserve(ctx, &buf, SIZE_MAX, &err), FILEPROC_ERR_NOMEM);
    ck_assert_int_eq(fpi_buf_reserve(ctx, &buf, SIZE_MAX / 2, &err), FILEPROC_ERR_NOMEM);
    ck_assert_str_eq(buf.data, "kept");
    fp_buf_dispose(&buf);
    fp_context_free(ctx);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_buf_append(NULL, &buf, "x", 1, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_buf_append(ctx, NULL, "x", 1, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_buf_append(ctx, &buf, NULL, 1, &err), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(buf.data);
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("buf", append_survives_every_allocation_failure, bytes_are_kept_with_a_nul_behind,
          reserved_room_can_be_filled_without_allocating, absurd_sizes_are_out_of_memory,
          null_arguments_are_refused)
