/* Owns: the tests of job/job_output.c.
 * Must not know: how a job runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "job/job_output.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define JOB "0198c000-0000-7000-8000-0000000000ab"
#define OTHER "0198c000-0000-7000-8000-0000000001ab"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static unsigned char buffer[FPI_JOB_OUTPUT_BUFFER_SIZE];
static int ticks;

static fp_status count_tick(void *user_data, fp_error *err)
{
    const int *last = user_data;

    ticks++;
    return last && ticks > *last ? fp_error_setf(err, FILEPROC_ERR_CANCELLED, "enough")
                                 : FILEPROC_OK;
}

static int unnamed_file(size_t size)
{
    char path[] = "/tmp/fileproc-test-XXXXXX", *bytes = malloc(size + 1);
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_ptr_nonnull(bytes);
    unlink(path);
    content_fill(7, 0, bytes, size);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    free(bytes);
    return fd;
}

START_TEST(keys_say_job_fence_and_number)
{
    char key[FPI_JOB_OUTPUT_KEY_SIZE];

    fpi_job_output_key(JOB, 3, 12, key);
    ck_assert_str_eq(key, "derivatives/ab/" JOB ".3.12");
    fpi_job_output_key(JOB, INT64_MAX, UINT32_MAX, key);
    ck_assert_str_eq(key, "derivatives/ab/" JOB ".9223372036854775807.4294967295");
}
END_TEST

START_TEST(stored_object_is_the_file)
{
    static const size_t sizes[] = { 0, 1, FPI_JOB_OUTPUT_BUFFER_SIZE,
                                    FPI_JOB_OUTPUT_BUFFER_SIZE + 1,
                                    3 * FPI_JOB_OUTPUT_BUFFER_SIZE - 7 };
    const fpi_job_output_copy copy = { buffer, count_tick, NULL };
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char stored[65] = "", digest[65] = "";
        int fd = unnamed_file(sizes[i]);
        fp_error err = { 0 };

        ck_status(fpi_job_output_store(w.jobs, &copy, fd, sizes[i], "k", stored, &err), FILEPROC_OK,
                  &err);
        ck_status(fpi_job_output_digest(&copy, fd, digest, &err), FILEPROC_OK, &err);
        ck_assert(object_is(w.st, "k", 7, sizes[i]));
        ck_assert_str_eq(stored, digest);
        if (!sizes[i])
            ck_assert_str_eq(stored, EMPTY_SHA256);
        ck_assert_uint_eq(staged_count(w.st), 0);
        close(fd);
    }
    jobs_world_close(&w);
}
END_TEST

START_TEST(failed_copy_leaves_nothing)
{
    int fd = unnamed_file(3 * FPI_JOB_OUTPUT_BUFFER_SIZE), last = 1;
    const fpi_job_output_copy stopped = { buffer, count_tick, &last },
                              copy = { buffer, count_tick, NULL };
    char sha256[65] = "untouched";
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    ck_status(fpi_job_output_store(w.jobs, &copy, fd, 3 * FPI_JOB_OUTPUT_BUFFER_SIZE + 1, "k",
                                   sha256, &err),
              FILEPROC_ERR_IO, &err);
    ticks = 0;
    ck_status(fpi_job_output_store(w.jobs, &stopped, fd, 3 * FPI_JOB_OUTPUT_BUFFER_SIZE, "k",
                                   sha256, &err),
              FILEPROC_ERR_CANCELLED, &err);
    ck_assert_int_eq(ticks, 2);
    ticks = 0;
    ck_status(fpi_job_output_digest(&stopped, fd, sha256, &err), FILEPROC_ERR_CANCELLED, &err);
    ck_assert_str_eq(sha256, "untouched");
    ck_assert_uint_eq(count_objects(&w, ""), 0);
    ck_assert_uint_eq(staged_count(w.st), 0);
    close(fd);
    jobs_world_close(&w);
}
END_TEST

static void put(jobs_world *w, const char *job, int64_t fence, uint32_t number)
{
    char key[FPI_JOB_OUTPUT_KEY_SIZE];

    fpi_job_output_key(job, fence, number, key);
    must_put(w->st, key, 1, 10);
}

static void name_it(jobs_world *w, const char *job, int64_t fence, uint32_t number)
{
    char key[FPI_JOB_OUTPUT_KEY_SIZE], sql[512];

    fpi_job_output_key(job, fence, number, key);
    snprintf(
        sql, sizeof(sql),
        "INSERT INTO files (id, filename, size, mime_type, state, storage_key, info,"
        " created_at, updated_at) VALUES ('%s', 'f', 10, 'a/b', 'available', '%s', '{}', 1, 1)",
        key, key);
    must_sql(w->db, sql);
}

START_TEST(cleaning_takes_only_what_no_file_names_and_no_claim_can_name)
{
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (uint32_t i = 0; i < 150; i++) /* more than a page */
        put(&w, JOB, 1, i);
    put(&w, JOB, 2, 0);
    put(&w, JOB, 3, 0);
    put(&w, JOB, 12, 0);
    put(&w, OTHER, 1, 0);
    name_it(&w, JOB, 1, 7);
    name_it(&w, JOB, 2, 0);
    ck_status(fpi_job_output_clean(w.jobs, JOB, 2, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count_objects(&w, "derivatives/ab/" JOB ".1."), 1);
    ck_assert(object_exists(w.st, "derivatives/ab/" JOB ".1.7"));
    ck_assert(object_exists(w.st, "derivatives/ab/" JOB ".2.0"));
    ck_assert(object_exists(w.st, "derivatives/ab/" JOB ".3.0"));
    ck_assert(object_exists(w.st, "derivatives/ab/" JOB ".12.0"));
    ck_assert(object_exists(w.st, "derivatives/ab/" OTHER ".1.0"));
    ck_status(fpi_job_output_clean(w.jobs, JOB, 3, &err), FILEPROC_OK, &err);
    ck_assert(!object_exists(w.st, "derivatives/ab/" JOB ".3.0"));
    jobs_world_close(&w);
}
END_TEST

START_TEST(store_and_clean_survive_every_allocation_failure)
{
    const fpi_job_output_copy copy = { buffer, count_tick, NULL };
    int fd = unnamed_file(100);
    fault f;

    FAULT_LOOP(&f)
    {
        char key[FPI_JOB_OUTPUT_KEY_SIZE], sha256[65];
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        fpi_job_output_key(JOB, 1, 0, key);
        fault_arm(&f);
        rc = fpi_job_output_store(w.jobs, &copy, fd, 100, key, sha256, &err);
        if (rc == FILEPROC_OK)
            rc = fpi_job_output_clean(w.jobs, JOB, 1, &err);
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert(!object_exists(w.st, key));
        ck_assert_uint_eq(staged_count(w.st), 0);
        jobs_world_close(&w);
    }
    close(fd);
}
END_TEST

RUN_TESTS("job_output", keys_say_job_fence_and_number, stored_object_is_the_file,
          failed_copy_leaves_nothing, cleaning_takes_only_what_no_file_names_and_no_claim_can_name,
          store_and_clean_survive_every_allocation_failure)
