/* Owns: what is inside a set of pipelines, shared by the registry and the runner.
 * Must not know: jobs, the database. */
#ifndef FPI_PIPELINE_PRIVATE_H
#define FPI_PIPELINE_PRIVATE_H

#include <fileproc/pipeline.h>

#include "core/json.h"
#include "pipeline/operation.h"

struct fp_pipelines {
    fp_context *ctx;
    fp_pipelines_options o; /* no number in it is 0, the paths are the two below */
    char *helper_path;
    char *temporary_folder;
    fpi_checks checks;
    fpi_operations ops;
    /* Array of completed definitions; those of the options come first. Once open, threads only look at it and take no
     * references: jansson's counts are not made for being shared. What is handed out are the texts below. */
    json_t *definitions;
    size_t own_count;  /* how many of them are the options' */
    char **resolved;   /* each of them as a job keeps it */
    char *description; /* of everything */
};

FPI_DEFINE_CLEANUP(fp_pipelines, fp_pipelines_free)
FPI_DEFINE_CLEANUP(fp_runner, fp_runner_free)

#endif
