/* Owns: the threads that run jobs.
 * Must not know: what a job does. */
#ifndef FPD_WORKERS_H
#define FPD_WORKERS_H

#include <stddef.h>

#include <fileproc/job.h>

#include "scoped.h"

typedef struct fpd_workers fpd_workers;

/** Starts `count` threads, each with a worker of its own; 0 is allowed. All is borrowed and must outlive them. NULL: err says
 *  why. */
fpd_workers *fpd_workers_start(fp_jobs *jobs, fp_queue *queue, size_t count, fp_error *err);

/** Ends them: jobs in progress go back to the queue. NULL is allowed. */
void fpd_workers_stop(fpd_workers *workers);
FPD_DEFINE_CLEANUP(fpd_workers, fpd_workers_stop)

#endif
