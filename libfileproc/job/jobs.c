/* Owns: the ledger's handle; jobs being queued, read one by one, cancelled.
 * Must not know: how they run (worker.c); pages of them are jobs_list.c's. */
#include <string.h>

#include "catalog/catalog_private.h"
#include "core/json.h"
#include "core/json_text.h"
#include "core/options.h"
#include "core/uuid.h"
#include "database/database_private.h"
#include "event/outbox.h"
#include "job/job_row.h"
#include "job/job_steps.h"
#include "job/jobs_private.h"
#include "pipeline/definition.h"

#define DEFAULT_LEASE_MS 30000u
#define DEFAULT_MAX_ATTEMPTS 5u
#define DEFAULT_BACKOFF_BASE_MS 1000u
#define DEFAULT_BACKOFF_CAP_MS 300000u

static fp_status import_options(fp_jobs_options *o, const fp_jobs_options *theirs, fp_error *err)
{
    fp_status rc;

    *o = (fp_jobs_options)FILEPROC_JOBS_OPTIONS_INIT;
    rc = fpi_options_import(o, sizeof(*o), theirs, err);
    if (rc < 0)
        return rc;
    if (!o->database || !o->queue || !o->storage || !o->catalog || !o->pipelines)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database, queue, storage, catalog and pipelines are required");
    if (o->retention_ms < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "retention_ms is negative");
    if (!o->lease_ms)
        o->lease_ms = DEFAULT_LEASE_MS;
    if (!o->max_attempts)
        o->max_attempts = DEFAULT_MAX_ATTEMPTS;
    if (!o->backoff_base_ms)
        o->backoff_base_ms = DEFAULT_BACKOFF_BASE_MS;
    if (!o->backoff_cap_ms)
        o->backoff_cap_ms = DEFAULT_BACKOFF_CAP_MS;
    return FILEPROC_OK;
}

fp_status fp_jobs_open(fp_context *ctx, const fp_jobs_options *opts, fp_jobs **out, fp_error *err)
{
    fp_jobs_options o;
    fp_jobs *jobs;
    fp_status rc;

    if (!ctx || !opts || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = import_options(&o, opts, err);
    if (rc < 0)
        return rc;
    jobs = fpi_calloc(&ctx->a, 1, sizeof(*jobs));
    if (!jobs)
        return fpi_no_memory(err);
    rc = fpi_quarantine_open(ctx, o.pipelines, o.quarantine, &jobs->quarantine, err);
    if (rc < 0) {
        fpi_free(&ctx->a, jobs);
        return rc;
    }
    o.quarantine = NULL;
    jobs->ctx = ctx;
    jobs->o = o;
    fpi_desk_init(&jobs->desk);
    *out = jobs;
    return FILEPROC_OK;
}

void fp_jobs_free(fp_jobs *jobs)
{
    if (!jobs)
        return;
    fpi_desk_dispose(&jobs->desk);
    fpi_quarantine_close(jobs->ctx, &jobs->quarantine);
    fpi_free(&jobs->ctx->a, jobs);
}

fp_status fpi_job_not_found(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_JOB_NOT_FOUND,
                            "there is no such job");
}

void fpi_job_changed(fp_jobs *jobs, const char *id, const char *file_id, const char *state,
                     double progress)
{
    if (jobs->o.on_change)
        jobs->o.on_change(jobs->o.user_data, id, file_id, state, progress);
}

void fpi_job_ring(fp_jobs *jobs, const char *id, const char *file_id)
{
    fp_error e = { 0 };

    if (fp_queue_send(jobs->o.queue, FPI_JOB_TOPIC, id, strlen(id), &e) < 0)
        fpi_log(jobs->ctx, FILEPROC_LOG_DEBUG, "job", "no doorbell for %s: %s", id, e.message);
    fpi_job_changed(jobs, id, file_id, "queued", 0.0);
}

void fpi_job_tell_held(fp_jobs *jobs, const char *id, const char *file_id)
{
    fpi_job_changed(jobs, id, file_id, "queued", 0.0);
}

fp_status fpi_job_event_data(const fp_jobs *jobs, const char *id, const char *file_id,
                             const char *state, const char *error_code, fp_buf *data, fp_error *err)
{
    fpi_json_object o;

    fpi_json_begin(&o, jobs->ctx, data, 160, err);
    fpi_json_add_text(&o, "id", id);
    fpi_json_add_text(&o, "file_id", file_id);
    fpi_json_add_text(&o, "state", state);
    fpi_json_add_text(&o, "error_code", error_code);
    return fpi_json_end(&o);
}

fp_status fpi_job_append_event(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                               const char *state, const char *error_code, fp_error *err)
{
    FPI_DISPOSE(fp_buf) data = FILEPROC_BUF_INIT;
    fp_status rc = fpi_job_event_data(jobs, id, file_id, state, error_code, &data, err);

    return rc < 0 ? rc
                  : fpi_outbox_append(jobs->ctx, tx, FPI_EVENT_JOB_FINISHED, id, data.data, err);
}

fp_status fpi_job_default_definition(fp_jobs *jobs, const char *mime_type, fp_buf *definition,
                                     fp_error *err)
{
    return fp_pipelines_resolve(jobs->o.pipelines, NULL, mime_type, definition, err);
}

/* A statement, its record; *out stays NULL when there is no row. */
static fp_status query_job(fp_jobs *jobs, fp_tx *tx, const char *sql, const fp_value *params,
                           size_t count, fp_job **out, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, sql, params, count, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc < 0 || !more ? rc : fpi_job_from_row(jobs->ctx, rows, out, err);
}

/* A job to be; the texts are borrowed. */
typedef struct new_job {
    const char *id, *file_id, *owner, *definition;
    bool held; /* until its file is released */
    bool gate; /* it decides about that */
} new_job;

#define GATE_NAME "prepublish"

static fp_status insert_row(fp_jobs *jobs, fp_tx *tx, const new_job *new, const char *name,
                            const char *steps, fp_job **out, fp_error *err)
{
    int64_t now = fpi_now_ms(jobs->ctx);
    const fp_value row[] = {
        FILEPROC_V_TEXT(new->id),
        FILEPROC_V_TEXT(new->file_id),
        FILEPROC_V_TEXT(new->owner),
        FILEPROC_V_TEXT(name),
        FILEPROC_V_TEXT(new->definition),
        FILEPROC_V_INT(now),
        FILEPROC_V_INT(jobs->o.max_attempts),
        FILEPROC_V_TEXT(steps),
        FILEPROC_V_INT(new->held ? FPI_JOB_HELD : now),
        FILEPROC_V_INT(new->gate),
    };

    return query_job(jobs, tx,
                     "INSERT INTO jobs (id, file_id, owner, pipeline, definition, state, attempt,"
                     " max_attempts, fence, run_at, progress, steps, error_permanent, created_at,"
                     " gate) VALUES ($1, $2, $3, $4, $5, 'queued', 0, $7, 0, $9, 0, $8, 0, $6, $10)"
                     " RETURNING " FPI_JOB_COLUMNS,
                     row, sizeof(row) / sizeof(*row), out, err);
}

static fp_status insert(fp_jobs *jobs, fp_tx *tx, const new_job *new, fp_job **out, fp_error *err)
{
    FPI_CLEANUP(json_t) parsed = NULL;
    FPI_CLEANUP(json_t) steps = NULL;
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    const char *name;
    fp_status rc;

    rc = fpi_json_parse(new->definition, strlen(new->definition), "pipeline", &parsed, err);
    if (rc == FILEPROC_OK)
        rc = fpi_steps_new(parsed, &steps, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_dump(jobs->ctx, steps, &text, err);
    if (rc < 0)
        return rc;
    name = json_string_value(json_object_get(parsed, "name"));
    if (!name)
        name = FPI_DEFINITION_INLINE;
    return insert_row(jobs, tx, new, new->gate ? GATE_NAME : name, text.data, out, err);
}

fp_status fpi_job_insert(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                         const char *owner, const char *definition, bool held, fp_error *err)
{
    const new_job new = {
        .id = id, .file_id = file_id, .owner = owner, .definition = definition, .held = held
    };
    FPI_CLEANUP(fp_job) job = NULL;

    return insert(jobs, tx, &new, &job, err);
}

fp_status fpi_job_insert_gate(fp_jobs *jobs, fp_tx *tx, const char *id, const char *file_id,
                              const char *owner, const char *definition, fp_error *err)
{
    const new_job new = {
        .id = id, .file_id = file_id, .owner = owner, .definition = definition, .gate = true
    };
    FPI_CLEANUP(fp_job) job = NULL;

    return insert(jobs, tx, &new, &job, err);
}

static fp_status read_job(fp_jobs *jobs, fp_tx *tx, const char *id, fp_job **out, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id) };
    fp_status rc = query_job(jobs, tx, "SELECT " FPI_JOB_COLUMNS " FROM jobs WHERE id = $1", params,
                             1, out, err);

    return rc == FILEPROC_OK && !*out ? fpi_job_not_found(err) : rc;
}

typedef struct create_call {
    fp_jobs *jobs;
    const char *file_id;
    const char *definition;
    char id[FPI_UUID_SIZE];
    fp_job *job;
} create_call;

/* The file may have gone since its type was read. */
static fp_status create_body(fp_tx *tx, void *user_data, fp_error *err)
{
    create_call *c = user_data;
    FPI_CLEANUP(fp_file) file = NULL;
    fp_status rc;

    fp_job_free(fpi_steal(&c->job));
    rc = fpi_catalog_read(c->jobs->o.catalog, tx, c->file_id, &file, err);
    if (rc == FILEPROC_OK)
        rc = fp_file_check(file, err);
    if (rc < 0)
        return rc;
    return insert(
        c->jobs, tx,
        &(new_job){
            .id = c->id, .file_id = c->file_id, .owner = file->owner, .definition = c->definition },
        &c->job, err);
}

static fp_status resolve(fp_jobs *jobs, const char *file_id, const char *pipeline,
                         fp_buf *definition, fp_error *err)
{
    FPI_CLEANUP(fp_file) file = NULL;
    fp_status rc = fp_catalog_get(jobs->o.catalog, file_id, &file, err);

    if (rc == FILEPROC_OK)
        rc = fp_file_check(file, err);
    if (rc == FILEPROC_OK)
        rc = fp_pipelines_resolve(jobs->o.pipelines, pipeline, file->mime_type, definition, err);
    if (rc == FILEPROC_OK && !definition->size)
        rc = fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_UNKNOWN,
                              "no pipeline is the default of the type %.100s", file->mime_type);
    return rc;
}

fp_status fp_job_create(fp_jobs *jobs, const char *file_id, const char *pipeline, fp_job **out,
                        fp_error *err)
{
    FPI_DISPOSE(fp_buf) definition = FILEPROC_BUF_INIT;
    create_call call = { .jobs = jobs, .file_id = file_id };
    fp_status rc;

    if (!jobs || !file_id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = resolve(jobs, file_id, pipeline, &definition, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uuid7(jobs->ctx, call.id, err);
    if (rc < 0)
        return rc;
    call.definition = definition.data;
    rc = fp_database_transact(jobs->o.database, 0, create_body, &call, err);
    if (rc < 0) {
        fp_job_free(call.job);
        return rc;
    }
    fpi_job_ring(jobs, call.id, file_id);
    *out = call.job;
    return FILEPROC_OK;
}

typedef struct get_call {
    fp_jobs *jobs;
    const char *id;
    fp_job *job;
} get_call;

static fp_status get_body(fp_tx *tx, void *user_data, fp_error *err)
{
    get_call *c = user_data;

    fp_job_free(fpi_steal(&c->job));
    return read_job(c->jobs, tx, c->id, &c->job, err);
}

fp_status fp_job_get(fp_jobs *jobs, const char *id, fp_job **out, fp_error *err)
{
    get_call call = { jobs, id, NULL };
    fp_status rc;

    if (!jobs || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_uuid_valid(id))
        return fpi_job_not_found(err);
    rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, get_body, &call, err);
    if (rc < 0)
        fp_job_free(call.job);
    else
        *out = call.job;
    return rc;
}

/* The fence moves on, so that a worker that is at it can't commit; lease_until stays, as it says when to look for what that
 * worker leaves in the storage. */
static fp_status cancel_body(fp_tx *tx, void *user_data, fp_error *err)
{
    get_call *c = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(c->id), FILEPROC_V_INT(fpi_now_ms(c->jobs->ctx)) };
    uint64_t changed = 0;
    fp_status rc;

    fp_job_free(fpi_steal(&c->job));
    rc = fp_tx_exec(tx,
                    "UPDATE jobs SET state = 'cancelled', fence = fence + 1, finished_at = $2"
                    " WHERE id = $1 AND state IN ('queued', 'running') AND gate = 0",
                    params, 2, &changed, err);
    if (rc == FILEPROC_OK)
        rc = read_job(c->jobs, tx, c->id, &c->job, err);
    if (rc < 0 || !c->job)
        return rc;
    if (!changed && (strcmp(c->job->state, "queued") == 0 || strcmp(c->job->state, "running") == 0))
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_FILE_QUARANTINED,
                                "the job checks a file in quarantine; release or reject the file");
    if (!changed)
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_JOB_FINISHED,
                                "the job has ended: %s", c->job->state);
    return fpi_job_append_event(c->jobs, tx, c->id, c->job->file_id, c->job->state, NULL, err);
}

fp_status fp_job_cancel(fp_jobs *jobs, const char *id, fp_error *err)
{
    get_call call = { jobs, id, NULL };
    fp_status rc;

    if (!jobs || !id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_uuid_valid(id))
        return fpi_job_not_found(err);
    rc = fp_database_transact(jobs->o.database, 0, cancel_body, &call, err);
    if (rc == FILEPROC_OK)
        fpi_job_changed(jobs, id, call.job->file_id, "cancelled", call.job->progress);
    fp_job_free(call.job);
    return rc;
}
