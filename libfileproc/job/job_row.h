/* Owns: the records of jobs and pages of them: their memory, and how rows become records.
 * Must not know: which rows. */
#ifndef FPI_JOB_ROW_H
#define FPI_JOB_ROW_H

#include <fileproc/job.h>

#include "core/context_private.h"

/** The columns that fpi_job_from_row() reads, in its order. */
#define FPI_JOB_COLUMNS                                                                            \
    "id, file_id, owner, pipeline, state, steps, error_code, error_detail, result, progress,"      \
    " created_at, started_at, finished_at, attempt, max_attempts, error_permanent"

/** A record of the present row, in one block of memory. */
fp_status fpi_job_from_row(const fp_context *ctx, fp_rows *rows, fp_job **out, fp_error *err);

/** An empty page with room for limit records. */
fp_status fpi_job_page_new(const fp_context *ctx, size_t limit, fp_job_page **out, fp_error *err);
/** Takes the record. There must be room. */
void fpi_job_page_add(fp_job_page *page, fp_job *job);
/** The page is not the last one: its cursor becomes the id of its last record. */
void fpi_job_page_continue(fp_job_page *page);

#endif
