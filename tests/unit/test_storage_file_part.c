/* Owns: the promise that the file driver commits no part into files that are in no folder any more.
 * Must not know: the rest of the file driver; test_storage.c has it. */
#include <stdio.h>
#include <unistd.h>

#include "runner.h"
#include "storage/storage_file_private.h"
#include "storage_steps.h"

/* The name of a staged file goes while the assembly has it open, as when somebody clears the folder. */
static void commit_after_removal(const char *suffix)
{
    char folder[64], uri[128], path[160];
    static const char bytes[100];
    fp_part *part = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    fp_context *ctx;
    fp_storage *st;

    scratch_make(folder);
    snprintf(uri, sizeof(uri), "file://%s/store", folder);
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open(ctx, uri, NULL, &st, &err), FILEPROC_OK, &err);
    a = must_open(st, "one", FILEPROC_ASSEMBLY_CREATE);
    must_part(a, 1, 0, 100);
    snprintf(path, sizeof(path), "%s/store/staging/one.%s", folder, suffix);
    ck_assert_int_eq(unlink(path), 0);
    ck_status(fp_part_begin(a, 100, sizeof(bytes), &part, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(part, bytes, sizeof(bytes), &err), FILEPROC_OK, &err);
    ck_status(fp_part_commit(part, NULL, 0, &err), FILEPROC_ERR_IO, &err);
    ck_assert_uint_eq(fp_assembly_part_count(a), 1);
    fp_part_free(part);
    fp_assembly_close(a);
    fp_storage_free(st);
    fp_context_free(ctx);
    scratch_remove(folder);
}

START_TEST(part_is_not_committed_into_data_that_were_removed)
{
    commit_after_removal("data");
}
END_TEST

START_TEST(part_is_not_committed_into_a_record_that_was_removed)
{
    commit_after_removal("parts");
}
END_TEST

RUN_TESTS("storage_file_part", part_is_not_committed_into_data_that_were_removed,
          part_is_not_committed_into_a_record_that_was_removed)
