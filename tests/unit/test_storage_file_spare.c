/* Owns: the promise that a record file used again tells nothing of the assembly it was made for.
 * Must not know: the rest of the file driver; test_storage.c has it. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "storage/storage_file_private.h"
#include "storage_steps.h"

static fp_context *ctx;
static fp_storage *st;
static char folder[64];

static void open_store(void)
{
    char uri[128];
    fp_error err = { 0 };

    snprintf(uri, sizeof(uri), "file://%s/store", folder);
    ck_status(fp_storage_open(ctx, uri, NULL, &st, &err), FILEPROC_OK, &err);
}

static void begin(void)
{
    fp_error err = { 0 };

    scratch_make(folder);
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    open_store();
}

static void end(void)
{
    fp_storage_free(st);
    fp_context_free(ctx);
    scratch_remove(folder);
}

static size_t files_called(const char *prefix)
{
    char path[128];
    size_t count = 0;
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/store/staging", folder);
    dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)) != NULL)
        count += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

static void stage(const char *id, size_t parts)
{
    fp_assembly *a = must_open(st, id, FILEPROC_ASSEMBLY_CREATE);

    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    for (size_t i = 0; i < parts; i++)
        must_part(a, 1, i * 100, 100);
    fp_assembly_close(a);
}

static void discard(const char *id)
{
    fp_error err = { 0 };

    ck_status(fp_storage_discard(st, id, &err), FILEPROC_OK, &err);
}

START_TEST(record_used_again_shows_only_its_own_parts)
{
    fp_assembly *a;

    begin();
    stage("first", 5);
    discard("first");
    ck_assert_uint_eq(files_called("spare-"), 1);
    stage("second", 2); /* three entries of the first one are still in the file */
    ck_assert_uint_eq(files_called("spare-"), 0);
    a = must_open(st, "second", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 2);
    must_parts_be(a, 1);
    must_part(a, 1, 200, 100);
    fp_assembly_close(a);
    fp_storage_free(st);
    open_store();
    a = must_open(st, "second", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 3);
    must_parts_be(a, 1);
    fp_assembly_close(a);
    end();
}
END_TEST

/* A crash right after the file got its new name: no entry of the new one is in it yet. */
START_TEST(record_with_only_foreign_parts_is_empty)
{
    char from[128], to[128];
    fp_assembly *a;

    begin();
    stage("first", 5);
    snprintf(from, sizeof(from), "%s/store/staging/first.parts", folder);
    snprintf(to, sizeof(to), "%s/store/staging/second.parts", folder);
    ck_assert_int_eq(rename(from, to), 0);
    a = must_open(st, "second", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    must_part(a, 1, 0, 100);
    fp_assembly_close(a);
    a = must_open(st, "second", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 1);
    fp_assembly_close(a);
    end();
}
END_TEST

START_TEST(entry_counts_only_in_its_own_record)
{
    unsigned char record[FPI_RECORD_SIZE];
    fp_part_info part = FILEPROC_PART_INFO_INIT, read;

    part.length = 7;
    fpi_record_encode(&part, fpi_record_seed("a"), 3, record);
    ck_assert(fpi_record_decode(record, fpi_record_seed("a"), 3, &read));
    ck_assert(!fpi_record_decode(record, fpi_record_seed("b"), 3, &read));
    ck_assert(!fpi_record_decode(record, fpi_record_seed("a"), 2, &read));
}
END_TEST

START_TEST(spare_records_are_few_and_go_with_the_store)
{
    char id[32];

    begin();
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "a%d", i);
        stage(id, 1);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "a%d", i);
        discard(id);
    }
    ck_assert_uint_eq(files_called("spare-"), FPI_SPARES_MAX);
    ck_assert_uint_eq(files_called("a"), 0);
    ck_assert_uint_eq(staged_count(st), 0); /* who lists what is staged clears away */
    ck_assert_uint_eq(files_called("spare-"), 0);
    stage("b", 1);
    discard("b");
    ck_assert_uint_eq(files_called("spare-"), 1);
    fp_storage_free(st);
    ck_assert_uint_eq(files_called("spare-"), 0);
    open_store();
    stage("large", 100);
    discard("large");
    ck_assert_uint_eq(files_called("spare-"), 0);
    end();
}
END_TEST

RUN_TESTS("storage_file_spare", record_used_again_shows_only_its_own_parts,
          record_with_only_foreign_parts_is_empty, entry_counts_only_in_its_own_record,
          spare_records_are_few_and_go_with_the_store)
