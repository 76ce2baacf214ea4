/* Owns: a job in the hands of one worker: taking it, keeping it, writing results under its fence, giving it out of hand.
 * Must not know: how results are made.
 *
 * Every statement here that changes a claimed row says "AND fence = the claim's AND state = 'running'". Whoever takes the job
 * away (another claim, the rescuer, a cancellation, a deletion) moves the fence, so what comes too late changes nothing. */
#include "job/job_claim.h"

#include <string.h>

#include "database/database_private.h"
#include "job/job_batch.h"

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

fp_status fpi_claim_take(fpi_claim *claim, bool *taken, fp_error *err)
{
    fpi_visit visit = { .next = claim };
    fp_status rc = fpi_desk_visit(claim->jobs, &visit, err);

    if (rc < 0)
        return rc;
    *taken = visit.taken;
    if (visit.taken)
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

const char *fpi_claim_state(fpi_claim_fate fate)
{
    static const char *const states[] = {
        [FPI_FATE_RUNNING] = "running", [FPI_FATE_SUCCEEDED] = "succeeded",
        [FPI_FATE_FAILED] = "failed",   [FPI_FATE_DEAD] = "dead",
        [FPI_FATE_RETRY] = "queued",    [FPI_FATE_RETURNED] = "queued",
    };

    return states[fate];
}

bool fpi_claim_is_end(fpi_claim_fate fate)
{
    return fate == FPI_FATE_SUCCEEDED || fate == FPI_FATE_FAILED || fate == FPI_FATE_DEAD;
}

typedef struct write_call {
    fpi_claim *claim;
    const fpi_claim_commit *commit;
    fpi_decision *decision; /* of a check's end; NULL: it is none */
} write_call;

/* A step's end is a sign of life, too. */
static fp_status write_checkpoint(const write_call *w, fp_tx *tx, bool *ours, fp_error *err)
{
    const fpi_claim *c = w->claim;
    const fp_value params[] = {
        FILEPROC_V_TEXT(c->id),
        FILEPROC_V_INT(c->fence),
        FILEPROC_V_TEXT(w->commit->steps),
        FILEPROC_V_REAL(w->commit->progress),
    };
    uint64_t changed = 0;
    fp_status rc = fp_tx_exec(tx,
                              "UPDATE jobs SET steps = COALESCE($3, steps), progress = $4"
                              " WHERE id = $1 AND fence = $2 AND state = 'running'",
                              params, 4, &changed, err);

    *ours = changed != 0;
    return rc;
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
    bool ours = false;
    fp_status rc;

    rc = m->fate == FPI_FATE_RUNNING ? write_checkpoint(w, tx, &ours, err)
                                     : fpi_batch_end(w->claim, m, tx, &ours, err);
    if (rc == FILEPROC_OK && !ours)
        rc = lost(err);
    for (size_t i = 0; rc == FILEPROC_OK && i < m->output_count; i++)
        rc = fpi_catalog_insert(cat, tx, &m->outputs[i], err);
    if (rc == FILEPROC_OK && has_learnt(m))
        rc = fpi_catalog_learn(cat, tx, c->file_id, m->detected_mime_type, m->sha256, m->info_key,
                               m->info_member, err);
    if (rc == FILEPROC_OK && fpi_claim_is_end(m->fate))
        rc = fpi_job_append_event(c->jobs, tx, c->id, c->file_id, fpi_claim_state(m->fate),
                                  m->error_code, err);
    if (rc == FILEPROC_OK && w->decision)
        rc = fpi_quarantine_decide(c->jobs, tx, w->decision, err);
    return rc;
}

/* What is more than the job's row has a transaction of its own. */
static fp_status write_alone(fpi_claim *claim, const fpi_claim_commit *commit,
                             fpi_decision *decision, fp_error *err)
{
    write_call call = { claim, commit, decision };
    /* The job's row, taken first, keeps others out; but what is learnt of a file is read, merged and written. */
    uint32_t flags = has_learnt(commit) ? 0 : FILEPROC_TX_READ_COMMITTED;
    bool changes_file = has_learnt(commit) || decision;
    fp_status rc;

    if (changes_file)
        fpi_catalog_changing(claim->jobs->o.catalog, claim->file_id);
    rc = fp_database_transact(claim->jobs->o.database, flags, write_body, &call, err);
    if (changes_file)
        fpi_catalog_changed(claim->jobs->o.catalog, claim->file_id);
    return rc;
}

/* Of a job that checks a file in quarantine: its end is what becomes of the file. */
static fp_status write_gate(fpi_claim *claim, const fpi_claim_commit *m, fp_error *err)
{
    bool end = fpi_claim_is_end(m->fate);
    fpi_judgement judgement;
    fpi_decision d;
    fp_status rc;

    fpi_quarantine_conclude(claim->jobs, claim->file_id, m->steps ? m->steps : claim->steps,
                            m->error_code, &judgement, &d);
    rc = write_alone(claim, m, end ? &d : NULL, err);
    if (rc < 0)
        return rc;
    fpi_job_changed(claim->jobs, claim->id, claim->file_id, fpi_claim_state(m->fate), m->progress);
    if (end)
        fpi_quarantine_tell(claim->jobs, &d);
    else if (m->fate == FPI_FATE_RETRY && fpi_quarantine_scanner_is_down(m->error_code))
        fpi_quarantine_tell_retry(claim->jobs, claim->file_id, m->error_code);
    return FILEPROC_OK;
}

fp_status fpi_claim_write(fpi_claim *claim, const fpi_claim_commit *commit, fpi_claim *next,
                          bool *taken, fp_error *err)
{
    bool alone = commit->fate == FPI_FATE_RUNNING || commit->output_count || has_learnt(commit);
    fpi_visit visit = { .ended = claim, .commit = commit, .next = next };
    fp_status rc;

    *taken = false;
    if (claim->gate)
        return write_gate(claim, commit, err);
    rc = alone ? write_alone(claim, commit, NULL, err) : fpi_desk_visit(claim->jobs, &visit, err);
    if (rc < 0)
        return rc;
    *taken = visit.taken;
    if (visit.taken)
        fpi_job_changed(next->jobs, next->id, next->file_id, "running", next->progress);
    if (!alone && !visit.kept)
        return lost(err);
    fpi_job_changed(claim->jobs, claim->id, claim->file_id, fpi_claim_state(commit->fate),
                    commit->progress);
    return FILEPROC_OK;
}
