/* Owns: what is inside a ledger, and the steps that only its own files share.
 * Must not know: uploads. */
#ifndef FPI_JOBS_PRIVATE_H
#define FPI_JOBS_PRIVATE_H

#include "job/job_desk.h"
#include "job/job_private.h"
#include "job/quarantine_private.h"

struct fp_jobs {
    fp_context *ctx;
    fp_jobs_options o; /* no number in it is 0 */
    fpi_quarantine quarantine;
    fpi_desk desk;
};

/** NOTFOUND with job_not_found. */
fp_status fpi_job_not_found(fp_error *err);

/** Tells on_change. After the commit, never inside the transaction. */
void fpi_job_changed(fp_jobs *jobs, const char *id, const char *file_id, const char *state,
                     double progress);

/** The data of FPI_EVENT_JOB_FINISHED as JSON text. error_code may be NULL. */
fp_status fpi_job_event_data(const fp_jobs *jobs, const char *id, const char *file_id,
                             const char *state, const char *error_code, fp_buf *data,
                             fp_error *err);

/** Appends FPI_EVENT_JOB_FINISHED for a job that has just ended. error_code may be NULL. */
fp_status fpi_job_append_event(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                               const char *state, const char *error_code, fp_error *err);

#endif
