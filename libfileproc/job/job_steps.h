/* Owns: the steps of a job as its row keeps them: an array of {name, operation, state, result?, outputs}.
 * Must not know: the database. States are pending, succeeded and failed. */
#ifndef FPI_JOB_STEPS_H
#define FPI_JOB_STEPS_H

#include "core/json.h"

/** All steps of a resolved pipeline, pending. */
fp_status fpi_steps_new(const json_t *definition, json_t **out, fp_error *err);

/** Reads them back from a row. */
fp_status fpi_steps_parse(const char *text, json_t **out, fp_error *err);

/** A step succeeded; result is JSON text, outputs an array of file ids (taken, also on failure). On failure steps are
 *  unchanged. */
fp_status fpi_steps_succeed(json_t *steps, const char *name, const char *result, json_t *outputs,
                            fp_error *err);

/** Takes back what fpi_steps_succeed() did. */
void fpi_steps_undo(json_t *steps, const char *name);

/** The first step that didn't succeed has failed for good. */
void fpi_steps_fail(json_t *steps);

/** How many have not succeeded. */
size_t fpi_steps_left(const json_t *steps);

/** 0 to 1. */
double fpi_steps_progress(const json_t *steps);

/** Appends the array of the names of steps that succeeded. */
fp_status fpi_steps_done_names(const fp_context *ctx, const json_t *steps, fp_buf *out,
                               fp_error *err);

/** Appends the job's result: an object, member per step that succeeded. */
fp_status fpi_steps_result(const fp_context *ctx, const json_t *steps, fp_buf *out, fp_error *err);

#endif
