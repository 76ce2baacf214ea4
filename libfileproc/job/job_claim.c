/* Owns: a job in the hands of one worker: taking it, keeping it, writing results under its fence, giving it out of hand.
 * Must not know: how results are made.
 *
 * Every statement here that changes a claimed row says "AND fence = the claim's AND state = 'running'". Whoever takes the job
 * away (another claim, the rescuer, a cancellation, a deletion) moves the fence, so what comes too late changes nothing. */
#include "job/job_claim.h"

#include <stdio.h>
#include <string.h>

#include "database/database_private.h"

void fpi_claim_dispose(fpi_claim *c)
{
    const fp_allocator *a = &c->jobs->ctx->a;

    fpi_free(a, fpi_steal(&c->definition));
    fpi_free(a, fpi_steal(&c->steps));
    fp_file_free(fpi_steal(&c->file));
}

static fp_status lost(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_LEASE_LOST,
                            "the job was taken away from this worker");
}

bool fpi_claim_is_lost(const fp_error *err)
{
    return err->code == FILEPROC_ERR_CONFLICT && err->cause == FILEPROC_REASON_LEASE_LOST &&
           strcmp(err->domain, "fileproc") == 0;
}

typedef struct due_call {
    int64_t run_at_ms;
} due_call;

static fp_status due_body(fp_tx *tx, void *user_data, fp_error *err)
{
    due_call *c = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    c->run_at_ms = INT64_MAX;
    rc = fp_tx_query(tx,
                     "SELECT run_at FROM jobs WHERE state = 'queued' ORDER BY run_at, id LIMIT 1",
                     NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK && more)
        c->run_at_ms = fp_rows_int64(rows, 0);
    return rc;
}

fp_status fpi_claim_due(fp_jobs *jobs, int64_t *run_at_ms, fp_error *err)
{
    due_call call;
    fp_status rc =
        fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, due_body, &call, err);

    if (rc == FILEPROC_OK)
        *run_at_ms = call.run_at_ms;
    return rc;
}

static fp_status copy_row(fpi_claim *c, fp_rows *rows, fp_error *err)
{
    const fp_allocator *a = &c->jobs->ctx->a;

    snprintf(c->id, sizeof(c->id), "%s", fp_rows_text(rows, 0));
    snprintf(c->file_id, sizeof(c->file_id), "%s", fp_rows_text(rows, 1));
    c->fence = fp_rows_int64(rows, 2);
    c->attempt = fp_rows_int64(rows, 3);
    c->max_attempts = fp_rows_int64(rows, 4);
    c->progress = fp_rows_double(rows, 5);
    c->definition = fpi_strdup(a, fp_rows_text(rows, 6));
    c->steps = fpi_strdup(a, fp_rows_text(rows, 7));
    return c->definition && c->steps ? FILEPROC_OK : fpi_no_memory(err);
}

/* With skip_locked two workers do not wait for one another's row, and then find it taken. */
static fp_status claim_row(fpi_claim *c, fp_tx *tx, bool *found, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(c->worker), FILEPROC_V_INT(c->renewed_ms),
                                FILEPROC_V_INT(c->renewed_ms + c->jobs->o.lease_ms) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    char sql[512];
    fp_status rc;

    snprintf(sql, sizeof(sql),
             "UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1,"
             " worker = $1, lease_until = $3, started_at = COALESCE(started_at, $2)"
             " WHERE id = (SELECT id FROM jobs WHERE state = 'queued' AND run_at <= $2"
             " ORDER BY run_at, id LIMIT 1%s) AND state = 'queued'"
             " RETURNING id, file_id, fence, attempt, max_attempts, progress, definition, steps",
             fpi_database_skip_locked(c->jobs->o.database));
    rc = fp_tx_query(tx, sql, params, 3, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    *found = more != 0;
    return rc < 0 || !more ? rc : copy_row(c, rows, err);
}

/* A file that goes takes its jobs with it; this is for a job that was queued beside that. */
static fp_status cancel_row(const fpi_claim *c, fp_tx *tx, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(c->id), FILEPROC_V_INT(c->renewed_ms) };

    return fp_tx_exec(tx,
                      "UPDATE jobs SET state = 'cancelled', attempt = attempt - 1, worker = NULL,"
                      " finished_at = $2 WHERE id = $1",
                      params, 2, NULL, err);
}

/* *gone says that the file is not there any more. */
static fp_status read_file(fpi_claim *c, fp_tx *tx, bool *gone, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = fpi_catalog_read(c->jobs->o.catalog, tx, c->file_id, &c->file, &e);

    *gone = rc == FILEPROC_ERR_NOTFOUND ||
            (rc == FILEPROC_OK && strcmp(c->file->state, "available") != 0);
    if (rc < 0 && !*gone && err)
        *err = e;
    return *gone ? FILEPROC_OK : rc;
}

typedef struct take_call {
    fpi_claim *claim;
    bool taken;
} take_call;

static fp_status take_body(fp_tx *tx, void *user_data, fp_error *err)
{
    take_call *call = user_data;
    fpi_claim *c = call->claim;
    bool found = true, gone = true;
    fp_status rc = FILEPROC_OK;

    call->taken = false;
    c->renewed_ms = fpi_now_ms(c->jobs->ctx);
    while (rc == FILEPROC_OK && found && gone) {
        fpi_claim_dispose(c);
        rc = claim_row(c, tx, &found, err);
        if (rc < 0 || !found)
            return rc;
        rc = read_file(c, tx, &gone, err);
        if (rc == FILEPROC_OK && gone)
            rc = cancel_row(c, tx, err);
    }
    call->taken = rc == FILEPROC_OK;
    return rc;
}

/* Once the row is taken, nobody else changes it before this is committed; what deletes its file waits for it. */
fp_status fpi_claim_take(fpi_claim *claim, bool *taken, fp_error *err)
{
    take_call call = { .claim = claim };
    fp_status rc = fp_database_transact(claim->jobs->o.database, FILEPROC_TX_READ_COMMITTED,
                                        take_body, &call, err);

    if (rc < 0 || !call.taken)
        fpi_claim_dispose(claim);
    if (rc < 0)
        return rc;
    *taken = call.taken;
    if (call.taken)
        fpi_job_changed(claim->jobs, claim->id, claim->file_id, "running", claim->progress);
    return FILEPROC_OK;
}

static fp_status check_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fpi_claim *c = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(c->id), FILEPROC_V_INT(c->fence) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT 1 FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running'",
                     params, 2, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc == FILEPROC_OK && !more ? lost(err) : rc;
}

fp_status fpi_claim_check(const fpi_claim *claim, fp_error *err)
{
    return fp_database_transact(claim->jobs->o.database, FILEPROC_TX_READONLY, check_body,
                                (void *)claim, err);
}

static fp_status renew_body(fp_tx *tx, void *user_data, fp_error *err)
{
    fpi_claim *c = user_data;
    int64_t now = fpi_now_ms(c->jobs->ctx);
    const fp_value params[] = { FILEPROC_V_TEXT(c->id), FILEPROC_V_INT(c->fence),
                                FILEPROC_V_INT(now + c->jobs->o.lease_ms) };
    uint64_t changed = 0;
    fp_status rc;

    rc = fp_tx_exec(tx,
                    "UPDATE jobs SET lease_until = $3"
                    " WHERE id = $1 AND fence = $2 AND state = 'running'",
                    params, 3, &changed, err);
    if (rc == FILEPROC_OK && !changed)
        return lost(err);
    if (rc == FILEPROC_OK)
        c->renewed_ms = now;
    return rc;
}

fp_status fpi_claim_renew(fpi_claim *claim, fp_error *err)
{
    return fp_database_transact(claim->jobs->o.database, FILEPROC_TX_READ_COMMITTED, renew_body,
                                claim, err);
}

typedef struct write_call {
    fpi_claim *claim;
    const fpi_claim_commit *commit;
} write_call;

static const char *state_of(fpi_claim_fate fate)
{
    static const char *const states[] = {
        [FPI_FATE_RUNNING] = "running", [FPI_FATE_SUCCEEDED] = "succeeded",
        [FPI_FATE_FAILED] = "failed",   [FPI_FATE_DEAD] = "dead",
        [FPI_FATE_RETRY] = "queued",    [FPI_FATE_RETURNED] = "queued",
    };

    return states[fate];
}

static bool is_end(fpi_claim_fate fate)
{
    return fate == FPI_FATE_SUCCEEDED || fate == FPI_FATE_FAILED || fate == FPI_FATE_DEAD;
}

/* A step's end is a sign of life, too. */
static fp_status write_checkpoint(const write_call *w, fp_tx *tx, uint64_t *changed, fp_error *err)
{
    const fpi_claim *c = w->claim;
    const fp_value params[] = {
        FILEPROC_V_TEXT(c->id),
        FILEPROC_V_INT(c->fence),
        FILEPROC_V_TEXT(w->commit->steps),
        FILEPROC_V_REAL(w->commit->progress),
    };

    return fp_tx_exec(tx,
                      "UPDATE jobs SET steps = COALESCE($3, steps), progress = $4"
                      " WHERE id = $1 AND fence = $2 AND state = 'running'",
                      params, 4, changed, err);
}

/* When to look for what may be left in the storage. A first claim that ends in order has left nothing. After a later one it
 * is looked for once more: an earlier worker may have been slow instead of dead. */
static fp_value leftover_time(const write_call *w, int64_t now)
{
    const fpi_claim *c = w->claim;

    if (w->commit->dirty)
        return (fp_value)FILEPROC_V_INT(now);
    if (c->fence > 1)
        return (fp_value)FILEPROC_V_INT(now + c->jobs->o.lease_ms);
    return (fp_value)FILEPROC_V_NULL;
}

static fp_status write_fate(const write_call *w, fp_tx *tx, uint64_t *changed, fp_error *err)
{
    const fpi_claim_commit *m = w->commit;
    const fpi_claim *c = w->claim;
    int64_t now = fpi_now_ms(c->jobs->ctx);
    const fp_value none = FILEPROC_V_NULL, ended = FILEPROC_V_INT(now),
                   later = FILEPROC_V_INT(m->run_at_ms);
    const fp_value params[] = {
        FILEPROC_V_TEXT(c->id),
        FILEPROC_V_INT(c->fence),
        FILEPROC_V_TEXT(state_of(m->fate)),
        FILEPROC_V_TEXT(m->steps),
        FILEPROC_V_REAL(m->progress),
        FILEPROC_V_TEXT(m->result),
        FILEPROC_V_TEXT(m->error_code),
        FILEPROC_V_TEXT(m->error_detail),
        FILEPROC_V_INT(m->fate == FPI_FATE_FAILED),
        is_end(m->fate) ? ended : none,
        is_end(m->fate) ? none : later,
        FILEPROC_V_INT(m->fate == FPI_FATE_RETURNED),
        leftover_time(w, now),
    };

    return fp_tx_exec(tx,
                      "UPDATE jobs SET state = $3, steps = COALESCE($4, steps), progress = $5,"
                      " result = $6, error_code = CASE WHEN $12 = 0 THEN $7 ELSE error_code END,"
                      " error_detail = CASE WHEN $12 = 0 THEN $8 ELSE error_detail END,"
                      " error_permanent = $9, finished_at = $10, run_at = COALESCE($11, run_at),"
                      " attempt = attempt - $12, lease_until = $13, worker = NULL"
                      " WHERE id = $1 AND fence = $2 AND state = 'running'",
                      params, sizeof(params) / sizeof(*params), changed, err);
}

static bool has_learnt(const fpi_claim_commit *m)
{
    return m->detected_mime_type || m->sha256 || m->info_key;
}

static fp_status write_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const write_call *w = user_data;
    const fpi_claim_commit *m = w->commit;
    const fpi_claim *c = w->claim;
    fp_catalog *cat = c->jobs->o.catalog;
    uint64_t changed = 0;
    fp_status rc;

    rc = m->fate == FPI_FATE_RUNNING ? write_checkpoint(w, tx, &changed, err)
                                     : write_fate(w, tx, &changed, err);
    if (rc == FILEPROC_OK && !changed)
        rc = lost(err);
    for (size_t i = 0; rc == FILEPROC_OK && i < m->output_count; i++)
        rc = fpi_catalog_insert(cat, tx, &m->outputs[i], err);
    if (rc == FILEPROC_OK && has_learnt(m))
        rc = fpi_catalog_learn(cat, tx, c->file_id, m->detected_mime_type, m->sha256, m->info_key,
                               m->info_member, err);
    if (rc == FILEPROC_OK && is_end(m->fate))
        rc = fpi_job_append_event(c->jobs, tx, c->id, c->file_id, state_of(m->fate), m->error_code,
                                  err);
    return rc;
}

fp_status fpi_claim_write(fpi_claim *claim, const fpi_claim_commit *commit, fp_error *err)
{
    write_call call = { claim, commit };
    /* The job's row, taken first, keeps others out; but what is learnt of a file is read, merged and written. */
    uint32_t flags = has_learnt(commit) ? 0 : FILEPROC_TX_READ_COMMITTED;
    fp_status rc = fp_database_transact(claim->jobs->o.database, flags, write_body, &call, err);

    if (rc == FILEPROC_OK)
        fpi_job_changed(claim->jobs, claim->id, claim->file_id, state_of(commit->fate),
                        commit->progress);
    return rc;
}
