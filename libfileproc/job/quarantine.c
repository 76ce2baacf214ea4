/* Owns: how a file goes into quarantine and comes out of it: the checks as a job, the transaction of a decision, who is told.
 * Must not know: uploads; how a check works; what a person may ask for (quarantine_desk.c).
 *
 * The job that checks a file is one like others, with `gate` set: only it runs while the file is in quarantine. What it found is written
 * with its end, in one transaction: the file's state, the row in `quarantine`, the file's own job, the events. So a crash before that
 * commit leaves the file as it was, and the job to be run again. */
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/options.h"
#include "database/database_private.h"
#include "event/outbox.h"
#include "job/jobs_private.h"
#include "pipeline/pipeline_private.h"

#define CHECKS_MAX 16u
#define CHECKS_TEXT_MAX 2048u

/* ---- the settings ---- */

static fp_status check_one(const fp_pipelines *pls, const char *name, fp_error *err)
{
    const fpi_operation *op = fpi_operations_find(&pls->ops, name);

    if (!op)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_OPERATION_UNKNOWN,
                                "checks: there is no operation %.64s%s", name,
                                strcmp(name, "clamav.scan") == 0 ? " without a clamd" : "");
    if (!fpi_operation_accepts(op, "application/octet-stream") ||
        !fpi_operation_accepts(op, "image/png"))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
                                "checks: %.64s does not take every type, so what it is meant for "
                                "could be sent as another",
                                name);
    return FILEPROC_OK;
}

static fp_status add_check(const fp_pipelines *pls, json_t *steps, const char *text, size_t size,
                           fp_error *err)
{
    FPI_CLEANUP(json_t) step = json_object();
    char name[80];
    fp_status rc;

    while (size && text[0] == ' ')
        text++, size--;
    while (size && text[size - 1] == ' ')
        size--;
    if (size == 0 || size >= sizeof(name) || json_array_size(steps) == CHECKS_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "checks must be 1 to %u names of operations with commas between",
                             CHECKS_MAX);
    memcpy(name, text, size);
    name[size] = '\0';
    rc = check_one(pls, name, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "operation", json_string(name), err);
    if (rc == FILEPROC_OK && json_array_append(steps, step) != 0)
        rc = fpi_no_memory(err);
    return rc;
}

static fp_status resolve_checks(const fp_context *ctx, fp_pipelines *pls, const char *checks,
                                char **definition, fp_error *err)
{
    FPI_CLEANUP(json_t) pipeline = json_object();
    FPI_CLEANUP(json_t) steps = json_array();
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) resolved = FILEPROC_BUF_INIT;
    fp_status rc = steps ? FILEPROC_OK : fpi_no_memory(err);

    if (strnlen(checks, CHECKS_TEXT_MAX) == CHECKS_TEXT_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "checks is too long");
    for (const char *at = checks; rc == FILEPROC_OK && at;) {
        size_t size = strcspn(at, ",");

        rc = add_check(pls, steps, at, size, err);
        at = at[size] ? at + size + 1 : NULL;
    }
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(pipeline, "steps", json_incref(steps), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_dump(ctx, pipeline, &text, err);
    if (rc == FILEPROC_OK)
        rc = fp_pipelines_resolve(pls, text.data, NULL, &resolved, err);
    if (rc < 0)
        return rc;
    *definition = fpi_strdup(&ctx->a, resolved.data);
    return *definition ? FILEPROC_OK : fpi_no_memory(err);
}

static bool is_action(uint32_t action, uint32_t last)
{
    return action <= last;
}

fp_status fpi_quarantine_open(const fp_context *ctx, fp_pipelines *pls,
                              const fp_quarantine_options *options, fpi_quarantine *out,
                              fp_error *err)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;
    fp_status rc = fpi_options_import(&o, sizeof(o), options, err);

    if (rc < 0)
        return rc;
    if (!is_action(o.on_unscannable, FILEPROC_QUARANTINE_REJECT) ||
        !is_action(o.on_mismatch, FILEPROC_QUARANTINE_REJECT) ||
        !is_action(o.on_scanner_down, FILEPROC_QUARANTINE_RETRY) || o.keep_rejected > 1)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a setting of quarantine is out of range");
    if (!o.on_scanner_down)
        o.on_scanner_down = FILEPROC_QUARANTINE_RETRY;
    if (o.checks && o.checks[0])
        rc = resolve_checks(ctx, pls, o.checks, &out->definition, err);
    o.checks = NULL;
    out->o = o;
    return rc;
}

void fpi_quarantine_close(const fp_context *ctx, fpi_quarantine *q)
{
    fpi_free(&ctx->a, fpi_steal(&q->definition));
}

bool fpi_quarantine_is_on(const fp_jobs *jobs)
{
    return jobs->quarantine.definition != NULL;
}

bool fpi_quarantine_waits(const fp_jobs *jobs, const char *error_code)
{
    return jobs->quarantine.o.on_scanner_down == FILEPROC_QUARANTINE_RETRY &&
           fpi_quarantine_scanner_is_down(error_code);
}

/* ---- going in ---- */

fp_status fpi_quarantine_begin(fp_jobs *jobs, fp_tx *tx, const char *scan_job_id,
                               const char *file_id, const char *owner, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(file_id), FILEPROC_V_TEXT(scan_job_id),
                                FILEPROC_V_INT(fpi_now_ms(jobs->ctx)) };
    fp_status rc = fpi_job_insert_gate(jobs, tx, scan_job_id, file_id, owner,
                                       jobs->quarantine.definition, err);

    if (rc < 0)
        return rc;
    return fp_tx_exec(tx,
                      "INSERT INTO quarantine (file_id, state, scan_job_id, created_at)"
                      " VALUES ($1, 'scanning', $2, $3)"
                      " ON CONFLICT (file_id) DO UPDATE SET state = 'scanning', scan_job_id = $2,"
                      " verdict = NULL, reason = NULL, step = NULL, decided_at = NULL",
                      params, 3, NULL, err);
}

/* ---- coming out ---- */

static const char *const row_states[] = { [FPI_QUARANTINE_RELEASE] = "released",
                                          [FPI_QUARANTINE_HOLD] = "held",
                                          [FPI_QUARANTINE_REJECT] = "rejected" };
static const char *const events[] = { [FPI_QUARANTINE_RELEASE] = FPI_EVENT_FILE_RELEASED,
                                      [FPI_QUARANTINE_HOLD] = FPI_EVENT_FILE_HELD,
                                      [FPI_QUARANTINE_REJECT] = FPI_EVENT_FILE_REJECTED };

/* From which states: the settings decide once, a person also about what is held, and takes back a rejection whose bytes are there. */
#define BY_SETTINGS "state = 'scanning'"
#define BY_PERSON "state IN ('scanning', 'held')"
#define BY_PERSON_RELEASING                                                                        \
    "(state IN ('scanning', 'held') OR (state = 'rejected' AND removal = 0))"
#define DECIDE(condition)                                                                          \
    "UPDATE quarantine SET state = $2, verdict = COALESCE($3, verdict),"                           \
    " reason = CASE WHEN $3 IS NULL THEN reason ELSE $4 END,"                                      \
    " step = CASE WHEN $3 IS NULL THEN step ELSE $5 END,"                                          \
    " decided_by = $6, note = $7, removal = $8, decided_at = $9"                                   \
    " WHERE file_id = $1 AND " condition " RETURNING created_at"

static const char *decide_sql(const fpi_decision *d)
{
    if (!d->by)
        return DECIDE(BY_SETTINGS);
    return d->action == FPI_QUARANTINE_RELEASE ? DECIDE(BY_PERSON_RELEASING) : DECIDE(BY_PERSON);
}

static fp_status write_row(const fp_jobs *jobs, fp_tx *tx, fpi_decision *d, int64_t now,
                           fp_error *err)
{
    bool removal = d->action == FPI_QUARANTINE_REJECT && !jobs->quarantine.o.keep_rejected;
    const fp_value params[] = {
        FILEPROC_V_TEXT(d->file_id), FILEPROC_V_TEXT(row_states[d->action]),
        FILEPROC_V_TEXT(d->verdict), FILEPROC_V_TEXT(d->reason),
        FILEPROC_V_TEXT(d->step),    FILEPROC_V_TEXT(d->by),
        FILEPROC_V_TEXT(d->note),    FILEPROC_V_INT(removal),
        FILEPROC_V_INT(now),
    };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc =
        fp_tx_query(tx, decide_sql(d), params, sizeof(params) / sizeof(*params), &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    d->made = rc == FILEPROC_OK && more;
    if (d->made)
        d->waited_ms = now - fp_rows_int64(rows, 0);
    return rc;
}

static fp_status one_id(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                        char id[FPI_UUID_SIZE], fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, sql, params, count, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK && more)
        snprintf(id, FPI_UUID_SIZE, "%s", fp_rows_text(rows, 0));
    return rc;
}

/* The file's own job has waited with a time that never comes. */
static fp_status move_job(fp_jobs *jobs, fp_tx *tx, fpi_decision *d, int64_t now, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(d->file_id), FILEPROC_V_INT(now),
                                FILEPROC_V_INT(FPI_JOB_HELD) };
    fp_status rc;

    if (d->action == FPI_QUARANTINE_RELEASE)
        return one_id(tx,
                      "UPDATE jobs SET run_at = $2 WHERE file_id = $1 AND gate = 0"
                      " AND state = 'queued' AND run_at = $3 RETURNING id",
                      params, 3, d->job_id, err);
    rc = one_id(tx,
                "UPDATE jobs SET state = 'cancelled', fence = fence + 1, finished_at = $2"
                " WHERE file_id = $1 AND gate = 0 AND state = 'queued' AND run_at = $3"
                " RETURNING id",
                params, 3, d->job_id, err);
    if (rc == FILEPROC_OK && d->job_id[0])
        rc = fpi_job_append_event(jobs, tx, d->job_id, d->file_id, "cancelled", NULL, err);
    return rc;
}

/* A check that a person did not wait for. The fence moves on, so a worker that is at it can't commit. */
static fp_status end_check(fp_jobs *jobs, fp_tx *tx, fpi_decision *d, int64_t now, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(d->file_id), FILEPROC_V_INT(now) };
    fp_status rc;

    if (!d->by)
        return FILEPROC_OK;
    rc = one_id(tx,
                "UPDATE jobs SET state = 'cancelled', fence = fence + 1, finished_at = $2"
                " WHERE file_id = $1 AND gate = 1 AND state IN ('queued', 'running') RETURNING id",
                params, 2, d->scan_job_id, err);
    if (rc == FILEPROC_OK && d->scan_job_id[0])
        rc = fpi_job_append_event(jobs, tx, d->scan_job_id, d->file_id, "cancelled", NULL, err);
    return rc;
}

static fp_status append_event(fp_jobs *jobs, fp_tx *tx, const fpi_decision *d, const fp_file *file,
                              fp_error *err)
{
    FPI_DISPOSE(fp_buf) data = FILEPROC_BUF_INIT;
    fpi_json_object o;
    fp_status rc;

    fpi_json_begin(&o, jobs->ctx, &data, 512, err);
    fpi_json_add_text(&o, "id", file->id);
    fpi_json_add_text(&o, "filename", file->filename);
    fpi_json_add_integer(&o, "size", file->size);
    fpi_json_add_text(&o, "mime_type", file->mime_type);
    fpi_json_add_text(&o, "detected_mime_type", file->detected_mime_type);
    fpi_json_add_text(&o, "sha256", file->sha256);
    fpi_json_add_text(&o, "owner", file->owner);
    fpi_json_add_text(&o, "verdict", d->verdict);
    fpi_json_add_text(&o, "reason", d->reason);
    fpi_json_add_text(&o, "step", d->step);
    fpi_json_add_text(&o, "decided_by", d->by);
    fpi_json_add_text(&o, "note", d->note);
    rc = fpi_json_end(&o);
    return rc < 0 ? rc
                  : fpi_outbox_append(jobs->ctx, tx, events[d->action], file->id, data.data, err);
}

/* The file's row comes before the jobs', as where a file is deleted. */
fp_status fpi_quarantine_decide(fp_jobs *jobs, fp_tx *tx, fpi_decision *d, fp_error *err)
{
    static const char *const file_states[] = { [FPI_QUARANTINE_RELEASE] = "available",
                                               [FPI_QUARANTINE_HOLD] = "quarantined",
                                               [FPI_QUARANTINE_REJECT] = "rejected" };
    FPI_CLEANUP(fp_file) file = NULL;
    int64_t now = fpi_now_ms(jobs->ctx);
    fp_status rc;

    d->made = false;
    d->job_id[0] = d->scan_job_id[0] = '\0';
    rc = write_row(jobs, tx, d, now, err);
    if (rc == FILEPROC_OK && d->made)
        rc = fpi_catalog_move(jobs->o.catalog, tx, d->file_id, file_states[d->action], &file, err);
    d->made = d->made && file; /* else it is being deleted */
    if (rc == FILEPROC_OK && d->made)
        rc = end_check(jobs, tx, d, now, err);
    if (rc == FILEPROC_OK && d->made && d->action != FPI_QUARANTINE_HOLD)
        rc = move_job(jobs, tx, d, now, err);
    if (rc == FILEPROC_OK && d->made)
        rc = append_event(jobs, tx, d, file, err);
    return rc;
}

static void tell(fp_jobs *jobs, const fp_quarantine_notice *notice)
{
    const fp_quarantine_options *o = &jobs->quarantine.o;

    if (o->on_outcome)
        o->on_outcome(o->user_data, notice);
}

void fpi_quarantine_tell(fp_jobs *jobs, const fpi_decision *d)
{
    const fp_quarantine_notice notice = { .struct_size = sizeof(notice),
                                          .file_id = d->file_id,
                                          .outcome = row_states[d->action],
                                          .verdict = d->verdict,
                                          .reason = d->reason,
                                          .step = d->step,
                                          .waited_ms = d->waited_ms };

    if (!d->made)
        return;
    if (d->scan_job_id[0])
        fpi_job_changed(jobs, d->scan_job_id, d->file_id, "cancelled", 0.0);
    if (d->job_id[0] && d->action == FPI_QUARANTINE_RELEASE)
        fpi_job_ring(jobs, d->job_id, d->file_id);
    else if (d->job_id[0])
        fpi_job_changed(jobs, d->job_id, d->file_id, "cancelled", 0.0);
    tell(jobs, &notice);
}

void fpi_quarantine_tell_retry(fp_jobs *jobs, const char *file_id, const char *reason)
{
    const fp_quarantine_notice notice = {
        .struct_size = sizeof(notice), .file_id = file_id, .outcome = "retried", .reason = reason
    };

    tell(jobs, &notice);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

void fpi_quarantine_conclude(fp_jobs *jobs, const char *file_id, const char *steps,
                             const char *error_code, fpi_judgement *j, fpi_decision *d)
{
    fpi_quarantine_judge(&jobs->quarantine.o, steps, error_code, j);
    *d = (fpi_decision){ .file_id = file_id,
                         .action = j->action,
                         .verdict = j->verdict,
                         .reason = or_null(j->reason),
                         .step = or_null(j->step) };
}
