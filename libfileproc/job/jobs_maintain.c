/* Owns: the rescuer: what has to be done for jobs whose worker is gone, whose time has come, that left something behind.
 * Must not know: how jobs run.
 *
 * Any number of processes may do this at once: each change is bound to the fence that was read, so it happens once. */
#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "core/uuid.h"
#include "database/database_private.h"
#include "event/outbox.h"
#include "job/job_output.h"
#include "job/job_process.h"
#include "job/job_retry.h"
#include "job/job_steps.h"
#include "job/jobs_private.h"

/* Jobs in one transaction. */
#define BATCH 64
/* Ended jobs that one call forgets. */
#define FORGET_BATCH 1000
/* Events are kept for a day. */
#define EVENT_AGE_MS (INT64_C(24) * 3600 * 1000)

#define LOST_DETAIL "the worker gave no sign of life any more"

/* A job that was found running without a worker, or with something to clean up. */
typedef struct stray {
    char id[FPI_UUID_SIZE];
    char file_id[FPI_UUID_SIZE];
    int64_t fence;
    int64_t attempt;
    int64_t max_attempts;
    double progress;
    char *steps;
    bool gone;  /* its process has ended for certain */
    bool dead;  /* no attempt is left */
    bool moved; /* by us */
    bool gate;  /* it decides about its file */
    fpi_judgement judgement;
    fpi_decision decision;
} stray;

typedef struct stray_batch {
    fp_jobs *jobs;
    int64_t now;
    char last[FPI_UUID_SIZE]; /* where the next batch begins */
    size_t seen;              /* rows of this one, strays or not */
    size_t count;
    stray strays[BATCH];
} stray_batch;

static void forget(stray_batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        fpi_free(&b->jobs->ctx->a, b->strays[i].steps);
    b->count = 0;
    b->seen = 0;
}

static bool is_lost(const stray_batch *b, fp_rows *rows, bool *gone)
{
    *gone = fpi_worker_gone(fp_rows_text(rows, 7));
    return *gone || fp_rows_int64(rows, 8) <= b->now;
}

static fp_status add_stray(stray_batch *b, fp_rows *rows, fp_error *err)
{
    stray s = { .fence = fp_rows_int64(rows, 2),
                .attempt = fp_rows_int64(rows, 3),
                .max_attempts = fp_rows_int64(rows, 4),
                .progress = fp_rows_double(rows, 5) };

    b->seen++;
    snprintf(b->last, sizeof(b->last), "%s", fp_rows_text(rows, 0));
    if (!is_lost(b, rows, &s.gone))
        return FILEPROC_OK;
    memcpy(s.id, b->last, sizeof(s.id));
    snprintf(s.file_id, sizeof(s.file_id), "%s", fp_rows_text(rows, 1));
    s.dead = s.attempt >= s.max_attempts;
    s.gate = fp_rows_int64(rows, 9) != 0;
    s.steps = fpi_strdup(&b->jobs->ctx->a, fp_rows_text(rows, 6));
    if (!s.steps)
        return fpi_no_memory(err);
    b->strays[b->count++] = s;
    return FILEPROC_OK;
}

/* All that run are read, not only those whose lease is over: most workers that die are of this machine, and of these it can be
 * told at once. There are never more than there are workers. */
static fp_status find_lost(fp_tx *tx, void *user_data, fp_error *err)
{
    stray_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(b->last), FILEPROC_V_INT(BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    forget(b);
    rc = fp_tx_query(tx,
                     "SELECT id, file_id, fence, attempt, max_attempts, progress, steps, worker,"
                     " lease_until, gate FROM jobs WHERE state = 'running' AND id || '' > $1"
                     " ORDER BY id || '' LIMIT $2",
                     params, 2, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more)
        rc = add_stray(b, rows, err);
    return rc;
}

/* The steps of a job that ends; as they are, when they can't be read. */
static fp_status failed_steps(const fp_jobs *jobs, const stray *s, fp_buf *text, fp_error *err)
{
    FPI_CLEANUP(json_t) steps = NULL;
    fp_status rc = fpi_steps_parse(s->steps, &steps, err);

    if (rc == FILEPROC_ERR_CORRUPT)
        return FILEPROC_OK;
    if (rc < 0)
        return rc;
    fpi_steps_fail(steps);
    return fpi_json_dump(jobs->ctx, steps, text, err);
}

/* The file that a check could not be made of. */
static fp_status decide_one(const stray_batch *b, fp_tx *tx, stray *s, fp_error *err)
{
    if (!s->moved || !s->dead || !s->gate)
        return FILEPROC_OK;
    fpi_quarantine_conclude(b->jobs, s->file_id, s->steps, "worker_lost", &s->judgement,
                            &s->decision);
    return fpi_quarantine_decide(b->jobs, tx, &s->decision, err);
}

/* The lease's end becomes the time to look for what the worker left: now when it is gone, later when it may still be at it. A worker
 * that is stopped in the middle of a transaction holds its job's row: with skip_locked nobody waits for that, and the others of the
 * batch are rescued meanwhile. */
static fp_status rescue_one(const stray_batch *b, fp_tx *tx, stray *s, fp_error *err)
{
    const fp_jobs_options *o = &b->jobs->o;
    FPI_DISPOSE(fp_buf) steps = FILEPROC_BUF_INIT;
    int64_t wait = fpi_backoff_ms(b->jobs->ctx, o->backoff_base_ms, o->backoff_cap_ms, s->attempt);
    const fp_value none = FILEPROC_V_NULL, now = FILEPROC_V_INT(b->now);
    fp_status rc = s->dead ? failed_steps(b->jobs, s, &steps, err) : FILEPROC_OK;
    const fp_value params[] = {
        FILEPROC_V_TEXT(s->id),
        FILEPROC_V_INT(s->fence),
        FILEPROC_V_TEXT(s->dead ? "dead" : "queued"),
        FILEPROC_V_TEXT(steps.data),
        FILEPROC_V_INT(b->now + wait),
        FILEPROC_V_INT(s->gone ? b->now : b->now + o->lease_ms),
        s->dead ? now : none,
    };
    uint64_t changed = 0;
    char sql[512];

    snprintf(
        sql, sizeof(sql),
        "UPDATE jobs SET state = $3, fence = fence + 1, worker = NULL,"
        " steps = COALESCE($4, steps), run_at = $5, lease_until = $6, finished_at = $7,"
        " error_code = 'worker_lost', error_detail = '" LOST_DETAIL "', error_permanent = 0"
        " WHERE id = (SELECT id FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running'%s)",
        fpi_database_skip_locked(b->jobs->o.database));
    if (rc == FILEPROC_OK)
        rc = fp_tx_exec(tx, sql, params, sizeof(params) / sizeof(*params), &changed, err);
    s->moved = rc == FILEPROC_OK && changed;
    if (s->moved && s->dead)
        rc = fpi_job_append_event(b->jobs, tx, s->id, s->file_id, "dead", "worker_lost", err);
    return rc < 0 ? rc : decide_one(b, tx, s, err);
}

static fp_status rescue_body(fp_tx *tx, void *user_data, fp_error *err)
{
    stray_batch *b = user_data;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < b->count; i++)
        rc = rescue_one(b, tx, &b->strays[i], err);
    return rc;
}

/* Files change with it only where a check ends for good. */
static fp_status rescue_batch(stray_batch *b, fp_error *err)
{
    bool decides = false;
    fp_status rc;

    for (size_t i = 0; i < b->count; i++)
        decides = decides || (b->strays[i].gate && b->strays[i].dead);
    if (decides)
        fpi_catalog_changing(b->jobs->o.catalog, NULL);
    rc = fp_database_transact(b->jobs->o.database, FILEPROC_TX_READ_COMMITTED, rescue_body, b, err);
    if (decides)
        fpi_catalog_changed(b->jobs->o.catalog, NULL);
    return rc;
}

static fp_status mark_clean(fp_tx *tx, void *user_data, fp_error *err)
{
    const stray *s = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(s->id), FILEPROC_V_INT(s->fence) };

    return fp_tx_exec(tx,
                      "UPDATE jobs SET lease_until = NULL"
                      " WHERE id = $1 AND fence = $2 AND state <> 'running'",
                      params, 2, NULL, err);
}

/* No claim up to this fence can commit any more. What can't be removed now is tried again. */
static void clean_one(fp_jobs *jobs, stray *s)
{
    fp_error e = { 0 };
    fp_status rc = fpi_job_output_clean(jobs, s->id, s->fence, &e);

    if (rc == FILEPROC_OK)
        rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READ_COMMITTED, mark_clean, s, &e);
    if (rc < 0)
        fpi_log(jobs->ctx, FILEPROC_LOG_DEBUG, "job", "leftovers of %s: %s", s->id, e.message);
}

static void tell_rescued(stray_batch *b, fp_jobs_maintenance *did)
{
    for (size_t i = 0; i < b->count; i++) {
        stray *s = &b->strays[i];

        if (!s->moved)
            continue;
        did->rescued += !s->dead;
        did->dead += s->dead;
        fpi_job_changed(b->jobs, s->id, s->file_id, s->dead ? "dead" : "queued", s->progress);
        if (s->dead && s->gate)
            fpi_quarantine_tell(b->jobs, &s->decision);
        s->fence++;
        if (s->gone)
            clean_one(b->jobs, s);
    }
}

static fp_status rescue(fp_jobs *jobs, fp_jobs_maintenance *did, fp_error *err)
{
    fp_database *db = jobs->o.database;
    stray_batch b = { .jobs = jobs, .now = fpi_now_ms(jobs->ctx) };
    size_t seen;
    fp_status rc;

    do {
        rc = fp_database_transact(db, FILEPROC_TX_READONLY, find_lost, &b, err);
        seen = b.seen;
        if (rc == FILEPROC_OK && b.count)
            rc = rescue_batch(&b, err);
        if (rc == FILEPROC_OK)
            tell_rescued(&b, did);
        forget(&b);
    } while (rc == FILEPROC_OK && seen == BATCH);
    return rc;
}

static fp_status find_leftovers(fp_tx *tx, void *user_data, fp_error *err)
{
    stray_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_INT(b->now), FILEPROC_V_INT(BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    forget(b);
    rc = fp_tx_query(tx,
                     "SELECT id, fence FROM jobs WHERE state <> 'running' AND lease_until IS NOT"
                     " NULL AND lease_until <= $1 ORDER BY lease_until LIMIT $2",
                     params, 2, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more) {
        stray *s = &b->strays[b->count++];

        *s = (stray){ .fence = fp_rows_int64(rows, 1) };
        snprintf(s->id, sizeof(s->id), "%s", fp_rows_text(rows, 0));
    }
    return rc;
}

/* One batch in each call: none of it is urgent. */
static fp_status clean(fp_jobs *jobs, fp_error *err)
{
    stray_batch b = { .jobs = jobs, .now = fpi_now_ms(jobs->ctx) };
    fp_status rc =
        fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, find_leftovers, &b, err);

    for (size_t i = 0; rc == FILEPROC_OK && i < b.count; i++)
        clean_one(jobs, &b.strays[i]);
    forget(&b);
    return rc;
}

typedef struct count_call {
    int64_t now;
    uint64_t queued, running;
    char due[FPI_UUID_SIZE]; /* a job whose time has come; "" when there is none */
} count_call;

static fp_status count_state(fp_tx *tx, const char *sql, uint64_t *count, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, sql, NULL, 0, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK)
        *count = (uint64_t)fp_rows_int64(rows, 0);
    return rc;
}

static fp_status count_body(fp_tx *tx, void *user_data, fp_error *err)
{
    count_call *c = user_data;
    const fp_value params[] = { FILEPROC_V_INT(c->now) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    c->due[0] = '\0';
    rc = count_state(tx, "SELECT COUNT(*) FROM jobs WHERE state = 'queued'", &c->queued, err);
    if (rc == FILEPROC_OK)
        rc = count_state(tx, "SELECT COUNT(*) FROM jobs WHERE state = 'running'", &c->running, err);
    if (rc == FILEPROC_OK)
        rc = fp_tx_query(tx,
                         "SELECT id FROM jobs WHERE state = 'queued' AND run_at <= $1"
                         " ORDER BY run_at, id LIMIT 1",
                         params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK && more)
        snprintf(c->due, sizeof(c->due), "%s", fp_rows_text(rows, 0));
    return rc;
}

/* One doorbell is enough: the worker that hears it goes on as long as it finds jobs, and those that sleep look by themselves
 * now and then. One for each job would pile up while all workers are busy. */
static void ring_for_due(fp_jobs *jobs, const count_call *c)
{
    fp_error e = { 0 };

    if (c->due[0] && fp_queue_send(jobs->o.queue, FPI_JOB_TOPIC, c->due, strlen(c->due), &e) < 0)
        fpi_log(jobs->ctx, FILEPROC_LOG_DEBUG, "job", "no doorbell: %s", e.message);
}

static fp_status count_and_ring(fp_jobs *jobs, fp_jobs_maintenance *did, fp_error *err)
{
    count_call call = { .now = fpi_now_ms(jobs->ctx) };
    fp_status rc =
        fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, count_body, &call, err);

    if (rc < 0)
        return rc;
    ring_for_due(jobs, &call);
    did->queued = call.queued;
    did->running = call.running;
    return FILEPROC_OK;
}

typedef struct forget_call {
    int64_t before_ms;
    uint64_t forgotten;
} forget_call;

/* What still has leftovers to be looked for stays until they are gone. The files that a job made stay: they are the file's. Nothing
 * ends before it begins, and ids begin with the time of creation, so the primary key finds the oldest; an index of ends would cost
 * every job a write. */
static fp_status forget_body(fp_tx *tx, void *user_data, fp_error *err)
{
    forget_call *c = user_data;
    char id[FPI_UUID_SIZE];
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(c->before_ms),
                                FILEPROC_V_INT(FORGET_BATCH) };

    fpi_uuid7_first(c->before_ms, id);
    return fp_tx_exec(tx,
                      "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id < $1"
                      " AND finished_at < $2 AND lease_until IS NULL"
                      " AND state NOT IN ('queued', 'running') ORDER BY id LIMIT $3)",
                      params, 3, &c->forgotten, err);
}

/* One batch in each call: a backlog of years must not hold up who waits for the writer. */
static fp_status forget_ended(fp_jobs *jobs, fp_jobs_maintenance *did, fp_error *err)
{
    forget_call call = { fpi_now_ms(jobs->ctx) - jobs->o.retention_ms, 0 };
    fp_status rc;

    if (!jobs->o.retention_ms)
        return FILEPROC_OK;
    rc =
        fp_database_transact(jobs->o.database, FILEPROC_TX_READ_COMMITTED, forget_body, &call, err);
    if (rc == FILEPROC_OK)
        did->forgotten = call.forgotten;
    return rc;
}

static fp_status prune_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_jobs *jobs = user_data;

    return fpi_outbox_prune(tx, fpi_now_ms(jobs->ctx) - EVENT_AGE_MS, err);
}

fp_status fp_jobs_maintain(fp_jobs *jobs, fp_jobs_maintenance *did, fp_error *err)
{
    fp_jobs_maintenance ours = FILEPROC_JOBS_MAINTENANCE_INIT;
    fp_status rc;

    if (!jobs)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "jobs is NULL");
    rc = rescue(jobs, &ours, err);
    if (rc == FILEPROC_OK)
        rc = clean(jobs, err);
    if (rc == FILEPROC_OK)
        rc = fp_quarantine_sweep(jobs, NULL, err);
    if (rc == FILEPROC_OK)
        rc = count_and_ring(jobs, &ours, err);
    if (rc == FILEPROC_OK)
        rc = forget_ended(jobs, &ours, err);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READ_COMMITTED, prune_body, jobs,
                                  err);
    return rc == FILEPROC_OK && did ? fpi_options_export(did, &ours, sizeof(ours), err) : rc;
}
