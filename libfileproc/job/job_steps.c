/* Owns: the steps of a job: made from a pipeline, marked, summed up.
 * Must not know: the database. */
#include "job/job_steps.h"

#include <stdbool.h>
#include <string.h>

static const char *member(const json_t *step, const char *key)
{
    const char *text = json_string_value(json_object_get(step, key));

    return text ? text : "";
}

static bool succeeded(const json_t *step)
{
    return strcmp(member(step, "state"), "succeeded") == 0;
}

static json_t *find_step(const json_t *steps, const char *name)
{
    json_t *step;
    size_t i;

    json_array_foreach(steps, i, step)
        if (strcmp(member(step, "name"), name) == 0)
            return step;
    return NULL;
}

static fp_status add_step(json_t *steps, const json_t *defined, fp_error *err)
{
    const char *operation = member(defined, "operation"), *name = member(defined, "name");
    FPI_CLEANUP(json_t) step = json_object();
    fp_status rc;

    if (!*operation)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
                                "a step of the pipeline has no operation");
    if (!step)
        return fpi_no_memory(err);
    rc = fpi_json_set(step, "name", json_string(*name ? name : operation), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "operation", json_string(operation), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "state", json_string("pending"), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "outputs", json_array(), err);
    if (rc == FILEPROC_OK && json_array_append_new(steps, fpi_steal(&step)) != 0)
        rc = fpi_no_memory(err);
    return rc;
}

fp_status fpi_steps_new(const json_t *definition, json_t **out, fp_error *err)
{
    const json_t *defined = json_object_get(definition, "steps");
    FPI_CLEANUP(json_t) steps = json_array();
    const json_t *step;
    size_t i;

    if (!json_is_array(defined))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
                                "the pipeline has no steps");
    if (!steps)
        return fpi_no_memory(err);
    json_array_foreach(defined, i, step) {
        fp_status rc = add_step(steps, step, err);

        if (rc < 0)
            return rc;
    }
    *out = fpi_steal(&steps);
    return FILEPROC_OK;
}

fp_status fpi_steps_parse(const char *text, json_t **out, fp_error *err)
{
    FPI_CLEANUP(json_t) steps = NULL;
    fp_status rc =
        fpi_json_parse(text ? text : "", text ? strlen(text) : 0, "steps of the job", &steps, err);

    if (rc == FILEPROC_ERR_INVALID || (rc == FILEPROC_OK && !json_is_array(steps)))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the job's steps can't be read");
    if (rc < 0)
        return rc;
    *out = fpi_steal(&steps);
    return FILEPROC_OK;
}

fp_status fpi_steps_succeed(json_t *steps, const char *name, const char *result, json_t *outputs,
                            fp_error *err)
{
    FPI_CLEANUP(json_t) made = outputs;
    FPI_CLEANUP(json_t) facts = NULL;
    json_t *step = find_step(steps, name);
    fp_status rc;

    if (!step)
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "step %s is none of this job", name);
    rc = fpi_json_parse(result, strlen(result), "result of a step", &facts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "result", fpi_steal(&facts), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "outputs", fpi_steal(&made), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "state", json_string("succeeded"), err);
    if (rc < 0)
        fpi_steps_undo(steps, name);
    return rc;
}

void fpi_steps_undo(json_t *steps, const char *name)
{
    json_t *step = find_step(steps, name);

    if (!step)
        return;
    (void)json_object_del(step, "result");
    (void)json_array_clear(json_object_get(step, "outputs"));
    (void)json_object_set_new(step, "state", json_string("pending"));
}

void fpi_steps_fail(json_t *steps)
{
    json_t *step;
    size_t i;

    json_array_foreach(steps, i, step) {
        if (succeeded(step))
            continue;
        (void)json_object_set_new(step, "state", json_string("failed"));
        return;
    }
}

size_t fpi_steps_left(const json_t *steps)
{
    const json_t *step;
    size_t i, left = 0;

    json_array_foreach(steps, i, step)
        left += !succeeded(step);
    return left;
}

double fpi_steps_progress(const json_t *steps)
{
    size_t total = json_array_size(steps);

    return total ? (double)(total - fpi_steps_left(steps)) / (double)total : 1.0;
}

fp_status fpi_steps_done_names(const fp_context *ctx, const json_t *steps, fp_buf *out,
                               fp_error *err)
{
    FPI_CLEANUP(json_t) names = json_array();
    const json_t *step;
    size_t i;

    if (!names)
        return fpi_no_memory(err);
    json_array_foreach(steps, i, step)
        if (succeeded(step) && json_array_append_new(names, json_string(member(step, "name"))) != 0)
            return fpi_no_memory(err);
    return fpi_json_dump(ctx, names, out, err);
}

fp_status fpi_steps_result(const fp_context *ctx, const json_t *steps, fp_buf *out, fp_error *err)
{
    FPI_CLEANUP(json_t) results = json_object();
    json_t *step;
    size_t i;

    if (!results)
        return fpi_no_memory(err);
    json_array_foreach(steps, i, step) {
        json_t *result = json_object_get(step, "result");

        if (succeeded(step) && result &&
            json_object_set(results, member(step, "name"), result) != 0)
            return fpi_no_memory(err);
    }
    return fpi_json_dump(ctx, results, out, err);
}
