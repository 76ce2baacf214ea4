/* Owns: the tests of core/alloc.c. */
#include <stdint.h>
#include <string.h>

#include "core/alloc.h"
#include "fault.h"
#include "runner.h"

START_TEST(sizes_that_overflow_are_refused)
{
    const fp_allocator *a = &fpi_default_allocator;
    char *p = fpi_alloc(a, 8);

    ck_assert_ptr_null(fpi_calloc(a, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(fpi_calloc(a, SIZE_MAX, SIZE_MAX));
    memcpy(p, "kept", 5);
    ck_assert_ptr_null(fpi_realloc(a, p, SIZE_MAX / 2, 3));
    ck_assert_str_eq(p, "kept");
    fpi_free(a, p);
}
END_TEST

START_TEST(nothing_is_still_something)
{
    const fp_allocator *a = &fpi_default_allocator;
    void *p = fpi_alloc(a, 0), *q = fpi_calloc(a, 0, 8);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(q);
    p = fpi_realloc(a, p, 0, 0);
    ck_assert_ptr_nonnull(p);
    fpi_free(a, p);
    fpi_free(a, q);
    fpi_free(a, NULL);
}
END_TEST

START_TEST(calloc_answers_zeroes)
{
    const fp_allocator *a = &fpi_default_allocator;
    unsigned char *p = fpi_calloc(a, 100, 10);

    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(p[i], 0);
    fpi_free(a, p);
}
END_TEST

START_TEST(texts_are_copied)
{
    const fp_allocator *a = &fpi_default_allocator;
    char *all = fpi_strdup(a, "text"), *part = fpi_strndup(a, "text", 2),
         *none = fpi_strndup(a, NULL, 0), *made = fpi_printf(a, "%s-%d", "text", 7);

    ck_assert_str_eq(all, "text");
    ck_assert_str_eq(part, "te");
    ck_assert_str_eq(none, "");
    ck_assert_str_eq(made, "text-7");
    ck_assert_ptr_null(fpi_strdup(a, NULL));
    fpi_free(a, all);
    fpi_free(a, part);
    fpi_free(a, none);
    fpi_free(a, made);
}
END_TEST

START_TEST(failures_answer_null_and_leave_the_old_block)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char *p, *grown, *text, *made;

        fault_disarm(&f);
        p = fpi_strdup(&f.allocator, "old");
        fault_arm(&f);
        grown = fpi_realloc(&f.allocator, p, 1000, 1);
        ck_assert_str_eq(grown ? grown : p, "old");
        text = fpi_strdup(&f.allocator, "text");
        made = fpi_printf(&f.allocator, "%d", 1);
        ck_assert(f.injected == (!grown || !text || !made));
        fault_disarm(&f);
        fpi_free(&f.allocator, grown ? grown : p);
        fpi_free(&f.allocator, text);
        fpi_free(&f.allocator, made);
    }
}
END_TEST

START_TEST(the_error_says_out_of_memory)
{
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_no_memory(&err), FILEPROC_ERR_NOMEM);
    ck_assert_int_eq(err.code, FILEPROC_ERR_NOMEM);
    ck_assert_str_eq(err.message, "out of memory");
    ck_assert_int_eq(fpi_no_memory(NULL), FILEPROC_ERR_NOMEM);
}
END_TEST

RUN_TESTS("alloc", sizes_that_overflow_are_refused, nothing_is_still_something,
          calloc_answers_zeroes, texts_are_copied, failures_answer_null_and_leave_the_old_block,
          the_error_says_out_of_memory)
