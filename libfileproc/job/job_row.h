/* Owns: how rows become the records of jobs, and what frees them.
 * Must not know: which rows. */
#ifndef FPI_JOB_ROW_H
#define FPI_JOB_ROW_H

#include <fileproc/job.h>

#include "database/list.h"

/** The columns that fpi_job_kind reads, in its order. */
#define FPI_JOB_COLUMNS                                                                            \
    "id, file_id, owner, pipeline, state, steps, error_code, error_detail, result, progress,"      \
    " created_at, started_at, finished_at, attempt, max_attempts, error_permanent"

extern const fpi_record_kind fpi_job_kind;

/** A record of the present row, in one block of memory. */
fp_status fpi_job_from_row(const fp_context *ctx, fp_rows *rows, fp_job **out, fp_error *err);

#endif
