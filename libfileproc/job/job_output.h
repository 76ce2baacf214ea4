/* Owns: the objects that jobs make: their keys, how they get into the storage, how those go that no file names.
 * Must not know: how a job runs. */
#ifndef FPI_JOB_OUTPUT_H
#define FPI_JOB_OUTPUT_H

#include "core/uuid.h"
#include "job/jobs_private.h"

/** "derivatives/ab/<job id>.<fence>.<number>" and the NUL. */
#define FPI_JOB_OUTPUT_KEY_SIZE 112u

/** The memory that fpi_job_output_store() copies through. */
#define FPI_JOB_OUTPUT_BUFFER_SIZE (256u * 1024u)

/** A key of its own for each output of each claim: who holds the fence, what came before it, and what can be cleaned away
 *  is seen from it. */
void fpi_job_output_key(const char *job_id, int64_t fence, uint32_t number,
                        char key[FPI_JOB_OUTPUT_KEY_SIZE]);

/** What stands between reading and writing blocks. */
typedef struct fpi_job_output_copy {
    void *buffer; /* FPI_JOB_OUTPUT_BUFFER_SIZE */
    fp_status (*tick)(void *user_data, fp_error *err);
    void *user_data;
} fpi_job_output_copy;

/** Copies size bytes of a file into the object key, durably; sha256 becomes their digest in hex. On failure there is no
 *  such object, unless the storage could not tell: remove it then. */
fp_status fpi_job_output_store(fp_jobs *jobs, const fpi_job_output_copy *copy, int fd,
                               uint64_t size, const char *key, char sha256[65], fp_error *err);

/** The digest of a whole file in hex. */
fp_status fpi_job_output_digest(const fpi_job_output_copy *copy, int fd, char sha256[65],
                                fp_error *err);

/** Removes the object unless a file names it. A failure leaves it to fpi_job_output_clean(). */
fp_status fpi_job_output_remove(fp_jobs *jobs, const char *key, fp_error *err);

/** Removes what the claims of a job up to and with this fence have left in the storage and no file names. The caller knows that
 *  none of these claims can commit any more. */
fp_status fpi_job_output_clean(fp_jobs *jobs, const char *job_id, int64_t fence, fp_error *err);

#endif
