/* Owns: how a job looks as JSON.
 * Must not know: the database. */
#include <string.h>

#include "core/json.h"
#include "job/job_private.h"

static fp_status set_text(json_t *object, const char *key, const char *text, fp_error *err)
{
    return fpi_json_set(object, key, fpi_json_string(text), err);
}

static fp_status set_number(json_t *object, const char *key, uint32_t number, fp_error *err)
{
    return fpi_json_set(object, key, json_integer(number), err);
}

/* JSON text becomes a member; NULL becomes null. */
static fp_status set_json(json_t *object, const char *key, const char *text, fp_error *err)
{
    json_t *value = NULL;
    fp_status rc;

    if (!text)
        return fpi_json_set(object, key, json_null(), err);
    rc = fpi_json_parse(text, strlen(text), key, &value, err);
    return rc < 0 ? rc : fpi_json_set(object, key, value, err);
}

static fp_status set_state(json_t *o, const fp_job *job, fp_error *err)
{
    fp_status rc = set_text(o, "id", job->id, err);

    if (rc == FILEPROC_OK)
        rc = set_text(o, "file_id", job->file_id, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "pipeline", job->pipeline, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "state", job->state, err);
    if (rc == FILEPROC_OK)
        rc = set_number(o, "attempt", job->attempt, err);
    if (rc == FILEPROC_OK)
        rc = set_number(o, "max_attempts", job->max_attempts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "progress", json_real(job->progress), err);
    return rc;
}

static fp_status set_error(json_t *o, const fp_job *job, fp_error *err)
{
    FPI_CLEANUP(json_t) error = NULL;
    fp_status rc;

    if (!job->error_code)
        return fpi_json_set(o, "error", json_null(), err);
    error = json_object();
    if (!error)
        return fpi_no_memory(err);
    rc = set_text(error, "code", job->error_code, err);
    if (rc == FILEPROC_OK)
        rc = set_text(error, "detail", job->error_detail, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(error, "permanent", json_boolean(job->error_permanent), err);
    return rc < 0 ? rc : fpi_json_set(o, "error", fpi_steal(&error), err);
}

static fp_status set_times(json_t *o, const fp_job *job, fp_error *err)
{
    fp_status rc = fpi_json_set(o, "created_at", fpi_json_time(job->created_at_ms), err);

    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "started_at", fpi_json_time(job->started_at_ms), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "finished_at", fpi_json_time(job->finished_at_ms), err);
    return rc;
}

fp_status fp_job_to_json(fp_context *ctx, const fp_job *job, fp_buf *out, fp_error *err)
{
    FPI_CLEANUP(json_t) o = NULL;
    fp_status rc;

    if (!ctx || !job || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    o = json_object();
    if (!o)
        return fpi_no_memory(err);
    rc = set_state(o, job, err);
    if (rc == FILEPROC_OK)
        rc = set_json(o, "steps", job->steps, err);
    if (rc == FILEPROC_OK)
        rc = set_error(o, job, err);
    if (rc == FILEPROC_OK)
        rc = set_json(o, "result", job->result, err);
    if (rc == FILEPROC_OK)
        rc = set_times(o, job, err);
    return rc < 0 ? rc : fpi_json_dump(ctx, o, out, err);
}
