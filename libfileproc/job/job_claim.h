/* Owns: a job in the hands of one worker: taking it, keeping it, writing results under its fence, giving it out of hand.
 * Must not know: how results are made. */
#ifndef FPI_JOB_CLAIM_H
#define FPI_JOB_CLAIM_H

#include <stdbool.h>

#include "catalog/catalog_private.h"
#include "core/uuid.h"
#include "job/jobs_private.h"

/** A claimed job. Plain memory at first: `fpi_claim c = { .jobs = jobs, .worker = name };` */
typedef struct fpi_claim {
    fp_jobs *jobs;
    const char *worker; /* borrowed */
    char id[FPI_UUID_SIZE];
    char file_id[FPI_UUID_SIZE];
    int64_t fence;
    int64_t attempt;
    int64_t max_attempts;
    int64_t renewed_ms; /* when the lease was last written */
    double progress;
    bool gate; /* it decides whether its file leaves quarantine */
    char *definition;
    char *steps;
    fp_file *file;
} fpi_claim;

/** Releases the memory; does not touch the row. */
void fpi_claim_dispose(fpi_claim *claim);
FPI_DEFINE_DISPOSE(fpi_claim, fpi_claim_dispose)

/** When the next queued job may run: a time of the context's clock, INT64_MAX when none waits. Only reads. */
fp_status fpi_claim_due(fp_jobs *jobs, int64_t *run_at_ms, fp_error *err);

/** Takes a job whose time has come, of those the first; *taken is false when there is none. A job whose file is gone is cancelled on
 *  the way. */
fp_status fpi_claim_take(fpi_claim *claim, bool *taken, fp_error *err);

/** Whether it is still ours: CONFLICT with lease_lost when not. Only reads. */
fp_status fpi_claim_check(const fpi_claim *claim, fp_error *err);

/** Moves the end of the lease to now + lease_ms; CONFLICT with lease_lost when it is not ours any more. */
fp_status fpi_claim_renew(fpi_claim *claim, fp_error *err);

/** How a job goes on after a commit. */
typedef enum fpi_claim_fate {
    FPI_FATE_RUNNING,   /* a step is done, others follow */
    FPI_FATE_SUCCEEDED, /* result is set */
    FPI_FATE_FAILED,    /* never again: error_* are set */
    FPI_FATE_DEAD,      /* the same: no attempt is left */
    FPI_FATE_RETRY,     /* queued again at run_at_ms; error_* are set */
    FPI_FATE_RETURNED   /* queued again at once, the attempt given back */
} fpi_claim_fate;

/** What one transaction writes, or nothing of it. The texts are borrowed; NULL = nothing of that. */
typedef struct fpi_claim_commit {
    fpi_claim_fate fate;
    const char *steps; /* as they are now */
    double progress;
    const fpi_new_file *outputs; /* their objects are durable */
    size_t output_count;
    const char *detected_mime_type; /* of the input, as the next three */
    const char *sha256;
    const char *info_key;
    const char *info_member;
    const char *result;
    const char *error_code;
    const char *error_detail;
    int64_t run_at_ms;
    bool dirty; /* something could not be removed from the storage: to be looked after soon */
} fpi_claim_commit;

/** The state of the row after it. */
const char *fpi_claim_state(fpi_claim_fate fate);
/** Whether the job has ended for good, and not by being cancelled. */
bool fpi_claim_is_end(fpi_claim_fate fate);

/** CONFLICT with lease_lost when the job is not ours any more; nothing is written then, as after any failure. on_change is told
 *  after success. When `next` is not NULL, and the job's row is all that is written, the next job is claimed in the same
 *  transaction: *taken says whether there was one, and may be true with CONFLICT, too; it is false after all other failures. */
fp_status fpi_claim_write(fpi_claim *claim, const fpi_claim_commit *commit, fpi_claim *next,
                          bool *taken, fp_error *err);

/** True when err is lease_lost. */
bool fpi_claim_is_lost(const fp_error *err);

#endif
