/* Owns: the transaction in which jobs end and others are claimed.
 * Must not know: who waits for it.
 *
 * The ends come first, in the order of their ids, so that two who lock the same rows (the deletion of a file locks its jobs) don't
 * wait for each other; then their events; then the claims, which wait for nobody. */
#include "job/job_batch.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf_private.h"
#include "database/database_private.h"
#include "event/outbox.h"

_Static_assert(FPI_DESK_MAX <= FPI_CATALOG_READ_MAX, "the files of a batch are read at once");
_Static_assert(FPI_DESK_MAX <= FPI_OUTBOX_EACH_MAX, "the events of a batch are written at once");

/* ---- ends ---- */

#define FATE_COLUMNS 13u

/* When to look for what may be left in the storage. A first claim that ends in order has left nothing. After a later one it
 * is looked for once more: an earlier worker may have been slow instead of dead. */
static fp_value leftover_time(const fpi_claim *c, const fpi_claim_commit *m, int64_t now)
{
    if (m->dirty)
        return (fp_value)FILEPROC_V_INT(now);
    if (c->fence > 1)
        return (fp_value)FILEPROC_V_INT(now + c->jobs->o.lease_ms);
    return (fp_value)FILEPROC_V_NULL;
}

static void fill_fate(const fpi_claim *c, const fpi_claim_commit *m, fp_value *row)
{
    int64_t now = fpi_now_ms(c->jobs->ctx);
    bool end = fpi_claim_is_end(m->fate);
    const fp_value none = FILEPROC_V_NULL, ended = FILEPROC_V_INT(now),
                   later = FILEPROC_V_INT(m->run_at_ms);
    const fp_value values[FATE_COLUMNS] = {
        FILEPROC_V_TEXT(c->id),
        FILEPROC_V_INT(c->fence),
        FILEPROC_V_TEXT(fpi_claim_state(m->fate)),
        FILEPROC_V_TEXT(m->steps),
        FILEPROC_V_REAL(m->progress),
        FILEPROC_V_TEXT(m->result),
        FILEPROC_V_TEXT(m->error_code),
        FILEPROC_V_TEXT(m->error_detail),
        FILEPROC_V_INT(m->fate == FPI_FATE_FAILED),
        end ? ended : none,
        end ? none : later,
        FILEPROC_V_INT(m->fate == FPI_FATE_RETURNED),
        leftover_time(c, m, now),
    };

    memcpy(row, values, sizeof(values));
}

static fp_status write_fates(fp_tx *tx, const fp_value *rows, size_t count, uint64_t *changed,
                             fp_error *err)
{
    return fpi_tx_exec_each(
        tx,
        "UPDATE jobs SET state = $3, steps = COALESCE($4, steps), progress = $5,"
        " result = $6, error_code = CASE WHEN $12 = 0 THEN $7 ELSE error_code END,"
        " error_detail = CASE WHEN $12 = 0 THEN $8 ELSE error_detail END,"
        " error_permanent = $9, finished_at = $10, run_at = COALESCE($11, run_at),"
        " attempt = attempt - $12, lease_until = $13, worker = NULL"
        " WHERE id = $1 AND fence = $2 AND state = 'running'",
        rows, FATE_COLUMNS, count, changed, err);
}

fp_status fpi_batch_end(fpi_claim *claim, const fpi_claim_commit *commit, fp_tx *tx, bool *changed,
                        fp_error *err)
{
    fp_value row[FATE_COLUMNS];
    uint64_t n = 0;
    fp_status rc;

    fill_fate(claim, commit, row);
    rc = write_fates(tx, row, 1, &n, err);
    *changed = n != 0;
    return rc;
}

typedef struct batch {
    fp_jobs *jobs;
    fpi_visit **visits;
    size_t count;
    size_t ended_count;             /* visits that hand in something ... */
    fpi_visit *ended[FPI_DESK_MAX]; /* ... by the ids of their jobs */
} batch;

/* ... of which most are the same: a first claim that has succeeded in order. Those of a transaction are written by one statement, in
 * which each row finds its values by its id: a join would be for the planner to get wrong. */

#define PLAIN_COLUMNS 4u

static bool is_plain(const fpi_visit *v)
{
    const fpi_claim_commit *m = v->commit;

    return m->fate == FPI_FATE_SUCCEEDED && v->ended->fence == 1 && !m->dirty && m->steps &&
           m->result && m->progress >= 1.0;
}

typedef struct sql_text {
    size_t size;
    char text[8192];
} sql_text;

/* The pieces are all ours and fit. */
static void add_sql(sql_text *sql, const char *fmt, ...) FILEPROC_PRINTF(2, 3);
static void add_sql(sql_text *sql, const char *fmt, ...)
{
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(sql->text + sql->size, sizeof(sql->text) - sql->size, fmt, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof(sql->text) - sql->size);
    sql->size += (size_t)size;
}

/* The parameter of each row that belongs to the row's id; $1 is none of a row. */
static void add_choice(sql_text *sql, size_t rows, size_t column)
{
    add_sql(sql, "CASE id");
    for (size_t i = 0; i < rows; i++)
        add_sql(sql, " WHEN $%zu THEN $%zu", 2 + i * PLAIN_COLUMNS, 2 + i * PLAIN_COLUMNS + column);
    add_sql(sql, " END");
}

static void write_plain_sql(sql_text *sql, size_t rows)
{
    sql->size = 0;
    add_sql(sql, "UPDATE jobs SET state = 'succeeded', progress = 1, error_code = NULL,"
                 " error_detail = NULL, error_permanent = 0, lease_until = NULL, worker = NULL,"
                 " finished_at = $1, steps = ");
    add_choice(sql, rows, 2);
    add_sql(sql, ", result = ");
    add_choice(sql, rows, 3);
    add_sql(sql, " WHERE id IN (");
    for (size_t i = 0; i < rows; i++)
        add_sql(sql, i ? ", $%zu" : "$%zu", 2 + i * PLAIN_COLUMNS);
    add_sql(sql, ") AND state || '' = 'running' AND fence = ");
    add_choice(sql, rows, 1);
    add_sql(sql, " RETURNING id");
}

/* A few texts are enough: what is left of one repeats the last row. */
static size_t plain_size(size_t count)
{
    size_t size = 4;

    while (size < count)
        size *= 2;
    return size;
}

static void note_kept(fpi_visit **visits, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(visits[i]->ended->id, id) == 0)
            visits[i]->kept = true;
}

static fp_status write_plain(fp_jobs *jobs, fp_tx *tx, fpi_visit **visits, size_t count,
                             fp_error *err)
{
    fp_value params[1 + FPI_DESK_MAX * PLAIN_COLUMNS] = { FILEPROC_V_INT(fpi_now_ms(jobs->ctx)) };
    size_t size = plain_size(count);
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    sql_text sql;
    fp_status rc;

    for (size_t i = 0; i < size; i++) {
        const fpi_visit *v = visits[i < count ? i : count - 1];
        fp_value *row = &params[1 + i * PLAIN_COLUMNS];

        row[0] = (fp_value)FILEPROC_V_TEXT(v->ended->id);
        row[1] = (fp_value)FILEPROC_V_INT(v->ended->fence);
        row[2] = (fp_value)FILEPROC_V_TEXT(v->commit->steps);
        row[3] = (fp_value)FILEPROC_V_TEXT(v->commit->result);
    }
    write_plain_sql(&sql, size);
    rc = fp_tx_query(tx, sql.text, params, 1 + size * PLAIN_COLUMNS, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more)
        note_kept(visits, count, fp_rows_text(rows, 0));
    return rc;
}

static fp_status write_others(fp_tx *tx, fpi_visit **visits, size_t count, fp_error *err)
{
    fp_value rows[FPI_DESK_MAX * FATE_COLUMNS] = { FILEPROC_V_NULL };
    uint64_t changed[FPI_DESK_MAX] = { 0 };
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        fill_fate(visits[i]->ended, visits[i]->commit, &rows[i * FATE_COLUMNS]);
    rc = write_fates(tx, rows, count, changed, err);
    for (size_t i = 0; i < count; i++)
        visits[i]->kept = changed[i] != 0;
    return rc;
}

static fp_status write_ends(batch *b, fp_tx *tx, fp_error *err)
{
    fpi_visit *plain[FPI_DESK_MAX], *others[FPI_DESK_MAX];
    size_t plain_count = 0, other_count = 0;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; i < b->ended_count; i++)
        if (is_plain(b->ended[i]))
            plain[plain_count++] = b->ended[i];
        else
            others[other_count++] = b->ended[i];
    if (plain_count > 1)
        rc = write_plain(b->jobs, tx, plain, plain_count, err);
    else if (plain_count)
        others[other_count++] = plain[0];
    return rc < 0 || !other_count ? rc : write_others(tx, others, other_count, err);
}

static bool has_event(const fpi_visit *v)
{
    return v->kept && fpi_claim_is_end(v->commit->fate);
}

static fp_status describe(const batch *b, const fpi_visit *v, fp_buf *data, fp_error *err)
{
    return fpi_job_event_data(b->jobs, v->ended->id, v->ended->file_id,
                              fpi_claim_state(v->commit->fate), v->commit->error_code, data, err);
}

static fp_status write_events(const batch *b, fp_tx *tx, fp_error *err)
{
    fpi_outbox_new events[FPI_DESK_MAX];
    fp_buf data[FPI_DESK_MAX];
    size_t count = 0;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < b->ended_count; i++) {
        const fpi_visit *v = b->ended[i];

        if (!has_event(v))
            continue;
        data[count] = (fp_buf)FILEPROC_BUF_INIT;
        rc = describe(b, v, &data[count], err);
        events[count] = (fpi_outbox_new){ FPI_EVENT_JOB_FINISHED, v->ended->id, data[count].data };
        count++;
    }
    if (rc == FILEPROC_OK)
        rc = fpi_outbox_append_each(b->jobs->ctx, tx, events, count, err);
    for (size_t i = 0; i < count; i++)
        fp_buf_dispose(&data[i]);
    return rc;
}

/* ---- claims ---- */

static fp_status copy_row(fpi_claim *c, fp_rows *rows, fp_error *err)
{
    const fp_allocator *a = &c->jobs->ctx->a;

    snprintf(c->id, sizeof(c->id), "%s", fp_rows_text(rows, 0));
    snprintf(c->file_id, sizeof(c->file_id), "%s", fp_rows_text(rows, 1));
    c->fence = fp_rows_int64(rows, 2);
    c->attempt = fp_rows_int64(rows, 3);
    c->max_attempts = fp_rows_int64(rows, 4);
    c->progress = fp_rows_double(rows, 5);
    c->gate = fp_rows_int64(rows, 8) != 0;
    c->definition = fpi_strdup(a, fp_rows_text(rows, 6));
    c->steps = fpi_strdup(a, fp_rows_text(rows, 7));
    return c->definition && c->steps ? FILEPROC_OK : fpi_no_memory(err);
}

/* The limit is part of the text: by it the planner sees that a prepared plan is as good as one made anew for it each time. With
 * skip_locked two processes do not wait for one another's rows, and then find them taken. */
static fp_status query_claims(const fp_jobs *jobs, fp_tx *tx, const fp_value *params, size_t wanted,
                              fp_rows **rows, fp_error *err)
{
    char sql[640];

    snprintf(sql, sizeof(sql),
             "UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1,"
             " worker = $1, lease_until = $3, started_at = COALESCE(started_at, $2)"
             " WHERE %s FROM jobs WHERE state = 'queued' AND run_at <= $2"
             " ORDER BY run_at, id LIMIT %zu%s AND state = 'queued'"
             " RETURNING id, file_id, fence, attempt, max_attempts, progress, definition, steps,"
             " gate",
             fpi_database_pick_begin(jobs->o.database), wanted,
             fpi_database_pick_end(jobs->o.database));
    return fp_tx_query(tx, sql, params, 3, rows, err);
}

/* At most one job for each of the visits; *count says for how many of them there was one. Workers of one process have names of one
 * beginning, by which the rescuer knows them; the row has that of the first. */
static fp_status claim_rows(const batch *b, fp_tx *tx, fpi_visit **wanting, size_t wanted,
                            size_t *count, fp_error *err)
{
    int64_t now = fpi_now_ms(b->jobs->ctx);
    const fp_value params[] = { FILEPROC_V_TEXT(wanting[0]->next->worker), FILEPROC_V_INT(now),
                                FILEPROC_V_INT(now + b->jobs->o.lease_ms) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = query_claims(b->jobs, tx, params, wanted, &rows, err);

    *count = 0;
    while (rc == FILEPROC_OK && *count < wanted &&
           (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more) {
        fpi_claim *c = wanting[(*count)++]->next;

        c->renewed_ms = now;
        rc = copy_row(c, rows, err);
    }
    return rc;
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

static fp_status read_files(const batch *b, fp_tx *tx, fpi_visit **wanting, size_t count,
                            fp_error *err)
{
    const char *ids[FPI_DESK_MAX];
    fp_file *files[FPI_DESK_MAX];
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        ids[i] = wanting[i]->next->file_id;
    rc = fpi_catalog_read_each(b->jobs->o.catalog, tx, ids, count, files, err);
    for (size_t i = 0; i < count; i++)
        wanting[i]->next->file = files[i];
    return rc;
}

static bool has_file(const fpi_claim *c)
{
    return c->file && strcmp(c->file->state, c->gate ? "quarantined" : "available") == 0;
}

/* Those of the visits that got a job whose file is there are done; the others stand in *wanting again, from its beginning. */
static fp_status settle_claims(fp_tx *tx, fpi_visit **wanting, size_t count, size_t *left,
                               fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    *left = 0;
    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fpi_visit *v = wanting[i];

        v->taken = has_file(v->next);
        if (v->taken)
            continue;
        rc = cancel_row(v->next, tx, err);
        fpi_claim_dispose(v->next);
        wanting[(*left)++] = v;
    }
    return rc;
}

/* Once a row is taken, nobody else changes it before this is committed; what deletes its file waits for it. */
static fp_status claim(const batch *b, fp_tx *tx, fp_error *err)
{
    fpi_visit *wanting[FPI_DESK_MAX];
    size_t wanted = 0, count;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; i < b->count; i++)
        if (b->visits[i]->next)
            wanting[wanted++] = b->visits[i];
    while (rc == FILEPROC_OK && wanted) {
        rc = claim_rows(b, tx, wanting, wanted, &count, err);
        if (rc < 0 || !count)
            return rc;
        rc = read_files(b, tx, wanting, count, err);
        if (rc == FILEPROC_OK)
            rc = settle_claims(tx, wanting, count, &wanted, err);
    }
    return rc;
}

/* ---- both ---- */

/* The body may run more than once. */
static void begin(const batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        fpi_visit *v = b->visits[i];

        v->kept = v->taken = false;
        if (v->next)
            fpi_claim_dispose(v->next);
    }
}

static fp_status write_body(fp_tx *tx, void *user_data, fp_error *err)
{
    batch *b = user_data;
    fp_status rc = FILEPROC_OK;

    begin(b);
    if (b->ended_count)
        rc = write_ends(b, tx, err);
    if (rc == FILEPROC_OK && b->ended_count)
        rc = write_events(b, tx, err);
    return rc < 0 ? rc : claim(b, tx, err);
}

static int by_id(const void *a, const void *b)
{
    const fpi_visit *const *x = a, *const *y = b;

    return strcmp((*x)->ended->id, (*y)->ended->id);
}

fp_status fpi_batch_write(fp_jobs *jobs, fpi_visit **visits, size_t count, fp_error *err)
{
    batch b = { .jobs = jobs, .visits = visits, .count = count };
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        if (visits[i]->ended)
            b.ended[b.ended_count++] = visits[i];
    qsort(b.ended, b.ended_count, sizeof(b.ended[0]), by_id);
    rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READ_COMMITTED, write_body, &b, err);
    for (size_t i = 0; i < count; i++)
        if (visits[i]->next && (rc < 0 || !visits[i]->taken))
            fpi_claim_dispose(visits[i]->next);
    return rc;
}
