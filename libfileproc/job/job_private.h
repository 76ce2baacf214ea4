/* Owns: the ledger's steps inside other nouns' transactions, and what ledger and worker share.
 * Must not know: uploads. */
#ifndef FPI_JOB_PRIVATE_H
#define FPI_JOB_PRIVATE_H

#include <stdbool.h>

#include <fileproc/job.h>

#include "core/context_private.h"

/** The topic of the doorbell. */
#define FPI_JOB_TOPIC "fileproc.jobs"

FPI_DEFINE_CLEANUP(fp_jobs, fp_jobs_free)
FPI_DEFINE_CLEANUP(fp_job, fp_job_free)
FPI_DEFINE_CLEANUP(fp_job_page, fp_job_page_free)
FPI_DEFINE_CLEANUP(fp_worker, fp_worker_free)

/** Resolves the default pipeline of a type. *definition stays empty when there is none. Done before the transaction. */
fp_status fpi_job_default_definition(fp_jobs *jobs, const char *mime_type, fp_buf *definition,
                                     fp_error *err);

/** When a job runs whose file is still in quarantine: never, until the file is released. */
#define FPI_JOB_HELD INT64_MAX

/** Inserts a queued job with the given id (a fresh UUIDv7) and resolved definition; `held`: it waits for the release of its file. The
 *  caller rings afterwards. */
fp_status fpi_job_insert(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                         const char *owner, const char *definition, bool held, fp_error *err);
/** The same of a job that decides whether its file is released. */
fp_status fpi_job_insert_gate(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                              const char *owner, const char *definition, fp_error *err);

/** Rings the doorbell after the commit and tells on_change that the job is queued. A failure is only logged: the
 *  rescuer finds the row. */
void fpi_job_ring(fp_jobs *jobs, const char *id, const char *file_id);
/** The same of a job that is not to run yet: nobody is rung for. */
void fpi_job_tell_held(fp_jobs *jobs, const char *id, const char *file_id);

#endif
