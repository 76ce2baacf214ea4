/* Owns: what the files of the worker share: the worker, and one run of a job.
 * Must not know: how a pipeline is run. */
#ifndef FPI_WORKER_PRIVATE_H
#define FPI_WORKER_PRIVATE_H

#include <stdatomic.h>

#include "core/json.h"
#include "core/media_type.h"
#include "job/job_claim.h"
#include "job/job_output.h"
#include "job/job_process.h"

struct fp_worker {
    fp_jobs *jobs;
    fp_runner *runner;
    void *buffer; /* FPI_JOB_OUTPUT_BUFFER_SIZE */
    atomic_bool stopping;
    bool busy; /* the last look found a job, so there may be another */
    char name[FPI_WORKER_NAME_SIZE];
};

/** An object of this run whose row is not written yet; the texts stand behind. */
typedef struct fpi_work_output {
    struct fpi_work_output *next;
    const char *step;
    fpi_new_file file; /* but for what all outputs share */
    char id[FPI_UUID_SIZE];
    char key[FPI_JOB_OUTPUT_KEY_SIZE];
    char sha256[65];
} fpi_work_output;

/** One claimed job on its way through its pipeline. */
typedef struct fpi_work {
    fp_worker *w;
    fpi_claim claim;
    fpi_claim
        *next; /* where the job goes that is claimed with the end of this one; NULL = none is */
    bool next_taken;
    json_t *steps;
    fpi_work_output *outputs;
    uint32_t output_count; /* so far, for their keys */
    int64_t checked_ms;    /* monotonic: when the fence was last looked at */
    bool lost;             /* the job is not ours any more */
    bool ended;            /* its end is written */
    bool dirty;            /* an object that no file names could not be removed */
    /* Learnt of the input, to be written with the next commit; "" = nothing. */
    char sha256[65];
    char detected[FPI_MEDIA_TYPE_SIZE];
} fpi_work;

/** The slots of fp_pipeline_sink; user_data is the run. */
fp_status fpi_work_detected(void *user_data, const char *mime_type, fp_error *err);
fp_status fpi_work_output_made(void *user_data, const fp_pipeline_output *output, fp_error *err);
fp_status fpi_work_step_done(void *user_data, const char *step, const char *operation,
                             const char *info_key, const char *result, fp_error *err);
fp_status fpi_work_tick(void *user_data, fp_error *err);

/** Computes the digest of the input when the catalog has none. */
fp_status fpi_work_digest(fpi_work *run, int fd, fp_error *err);

/** Removes the objects of outputs that no commit has named. */
void fpi_work_drop_outputs(fpi_work *run);

/** Commits, together with what was learnt of the input. A lost job sets run->lost. */
fp_status fpi_work_write(fpi_work *run, fpi_claim_commit *commit, fp_error *err);

#endif
