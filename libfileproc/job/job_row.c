/* Owns: how rows become the records of jobs, and what frees them.
 * Must not know: which rows. */
#include "job/job_row.h"

static void read_numbers(void *record, fp_rows *rows)
{
    fp_job *job = record;

    job->progress = fp_rows_double(rows, 9);
    job->created_at_ms = fp_rows_int64(rows, 10);
    job->started_at_ms = fp_rows_int64(rows, 11);
    job->finished_at_ms = fp_rows_int64(rows, 12);
    job->attempt = (uint32_t)fp_rows_int64(rows, 13);
    job->max_attempts = (uint32_t)fp_rows_int64(rows, 14);
    job->error_permanent = (int32_t)fp_rows_int64(rows, 15);
}

const fpi_record_kind fpi_job_kind = {
    .size = sizeof(fp_job),
    .texts = { offsetof(fp_job, id), offsetof(fp_job, file_id), offsetof(fp_job, owner),
               offsetof(fp_job, pipeline), offsetof(fp_job, state), offsetof(fp_job, steps),
               offsetof(fp_job, error_code), offsetof(fp_job, error_detail),
               offsetof(fp_job, result) },
    .read = read_numbers,
};

fp_status fpi_job_from_row(const fp_context *ctx, fp_rows *rows, fp_job **out, fp_error *err)
{
    fp_job *job = fpi_record_new(ctx, &fpi_job_kind, rows);

    if (!job)
        return fpi_no_memory(err);
    *out = job;
    return FILEPROC_OK;
}

void fp_job_free(fp_job *job)
{
    fpi_record_free(job);
}

void fp_job_page_free(fp_job_page *page)
{
    fpi_page_free(page);
}
