/* Owns: pages of jobs, newest first.
 * Must not know: how they come and go. */
#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "core/uuid.h"
#include "database/database_private.h"
#include "job/job_row.h"
#include "job/jobs_private.h"

#define DEFAULT_LIMIT 50u
#define MAX_LIMIT 1000u

/* A statement in the making. Each combination of conditions has its own text, so each is kept prepared. */
typedef struct list_call {
    fp_jobs *jobs;
    size_t limit;
    fp_job_page *page;
    size_t count; /* of params */
    fp_value params[4];
    size_t size; /* of sql */
    char sql[768];
} list_call;

/* The number that the parameter has in the statement. */
static size_t add_param(list_call *c, fp_value value)
{
    c->params[c->count++] = value;
    return c->count;
}

static size_t add_text(list_call *c, const char *text)
{
    return add_param(c, (fp_value)FILEPROC_V_TEXT(text));
}

/* The pieces are all ours and fit. */
static void add_sql(list_call *c, const char *fmt, ...) FILEPROC_PRINTF(2, 3);
static void add_sql(list_call *c, const char *fmt, ...)
{
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(c->sql + c->size, sizeof(c->sql) - c->size, fmt, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof(c->sql) - c->size);
    c->size += (size_t)size;
}

/* NULL for what is no state. */
static const char *find_state(const char *name)
{
    static const char *const states[] = { "queued", "running",   "succeeded",
                                          "failed", "cancelled", "dead" };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        if (strcmp(states[i], name) == 0)
            return states[i];
    return NULL;
}

/* The planner knows nothing of the rows, so it is led to the narrowest index: a file has few jobs; then come the states that
 * are rare, whose indexes hold only them; an owner may have a million. An index of one state wants the state as a
 * literal, and a condition or an order on an expression offers no index. Those that run are indexed in another order, but
 * sorting these few is better than looking for them among all jobs. */
static fp_status build(list_call *c, const fp_job_query *q, fp_error *err)
{
    const char *state = q->state ? find_state(q->state) : NULL;
    bool by_state = state && !q->file_id && strcmp(state, "succeeded") != 0;
    bool sorted = by_state && strcmp(state, "running") == 0;
    const char *id = sorted ? "id || ''" : "id";

    if (q->state && !state)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "no job has the state %.32s", q->state);
    add_sql(c, "SELECT " FPI_JOB_COLUMNS " FROM jobs WHERE 1 = 1");
    if (q->file_id)
        add_sql(c, " AND file_id = $%zu", add_text(c, q->file_id));
    if (state)
        add_sql(c, by_state ? " AND state = '%s'" : " AND state || '' = '%s'", state);
    if (q->owner)
        add_sql(c, q->file_id || by_state ? " AND owner || '' = $%zu" : " AND owner = $%zu",
                add_text(c, q->owner));
    if (q->cursor)
        add_sql(c, " AND %s < $%zu", id, add_text(c, q->cursor));
    add_sql(c, " ORDER BY %s DESC LIMIT $%zu", id,
            add_param(c, (fp_value)FILEPROC_V_INT(c->limit + 1)));
    return FILEPROC_OK;
}

/* One row more than wanted says that there is a next page. */
static fp_status fill_page(list_call *c, fp_rows *rows, fp_error *err)
{
    int32_t more = 0;
    fp_status rc;

    while ((rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more) {
        fp_job *job = NULL;

        if (c->page->count == c->limit) {
            fpi_job_page_continue(c->page);
            return FILEPROC_OK;
        }
        rc = fpi_job_from_row(c->jobs->ctx, rows, &job, err);
        if (rc < 0)
            return rc;
        fpi_job_page_add(c->page, job);
    }
    return rc;
}

static fp_status list_body(fp_tx *tx, void *user_data, fp_error *err)
{
    list_call *c = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    fp_status rc;

    fp_job_page_free(fpi_steal(&c->page));
    rc = fpi_job_page_new(c->jobs->ctx, c->limit, &c->page, err);
    if (rc == FILEPROC_OK)
        rc = fp_tx_query(tx, c->sql, c->params, c->count, &rows, err);
    return rc < 0 ? rc : fill_page(c, rows, err);
}

fp_status fp_job_list(fp_jobs *jobs, const fp_job_query *query, fp_job_page **out, fp_error *err)
{
    fp_job_query q = FILEPROC_JOB_QUERY_INIT;
    list_call call = { .jobs = jobs };
    fp_status rc;

    if (!jobs || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&q, sizeof(q), query, err);
    if (rc < 0)
        return rc;
    if (q.limit > MAX_LIMIT)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "limit is over %u", MAX_LIMIT);
    if (q.cursor && !fpi_uuid_valid(q.cursor))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CURSOR_INVALID,
                                "the cursor is not one of ours");
    call.limit = q.limit ? q.limit : DEFAULT_LIMIT;
    rc = build(&call, &q, err);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, list_body, &call, err);
    if (rc < 0)
        fp_job_page_free(call.page);
    else
        *out = call.page;
    return rc;
}
