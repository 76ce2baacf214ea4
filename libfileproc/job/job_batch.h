/* Owns: the transaction in which jobs end and others are claimed.
 * Must not know: who waits for it. */
#ifndef FPI_JOB_BATCH_H
#define FPI_JOB_BATCH_H

#include "job/job_claim.h"

/** The business of at most FPI_DESK_MAX visits, or nothing of it: then every `next` is empty. */
fp_status fpi_batch_write(fp_jobs *jobs, fpi_visit **visits, size_t count, fp_error *err);

/** The last write of a claim inside a transaction of the caller's, without its event: *changed is false when it is not ours any more. */
fp_status fpi_batch_end(fpi_claim *claim, const fpi_claim_commit *commit, fp_tx *tx, bool *changed,
                        fp_error *err);

#endif
