/* Owns: the names of workers, and whether the process of a name is still there.
 * Must not know: jobs. */
#ifndef FPI_JOB_PROCESS_H
#define FPI_JOB_PROCESS_H

#include <stdbool.h>

#include "core/context_private.h"

/** "<boot id>/<pid namespace>/<pid>/<start time>/<random>" and the NUL. */
#define FPI_WORKER_NAME_SIZE 128u

/** A name for a worker of this process. */
fp_status fpi_worker_name(const fp_context *ctx, char name[FPI_WORKER_NAME_SIZE], fp_error *err);

/** True only if it is certain that the process has ended: the name is of this boot of this machine and of this process's
 *  pid namespace, and no such process runs. Anything else, a name that can't be read included, is false. */
bool fpi_worker_gone(const char *name);

#endif
