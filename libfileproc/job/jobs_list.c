/* Owns: pages of jobs, newest first.
 * Must not know: how they come and go. */
#include <stdbool.h>
#include <string.h>

#include "core/options.h"
#include "job/job_row.h"
#include "job/jobs_private.h"

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
static fp_status build(fpi_list *l, const fp_job_query *q, fp_error *err)
{
    const char *state = q->state ? find_state(q->state) : NULL;
    bool by_state = state && !q->file_id && strcmp(state, "succeeded") != 0;
    bool sorted = by_state && strcmp(state, "running") == 0;
    const char *id = sorted ? "id || ''" : "id";

    if (q->state && !state)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "no job has the state %.32s", q->state);
    fpi_list_sql(l, "SELECT " FPI_JOB_COLUMNS " FROM jobs WHERE 1 = 1");
    if (q->file_id)
        fpi_list_sql(l, " AND file_id = $%zu", fpi_list_text(l, q->file_id));
    if (state)
        fpi_list_sql(l, by_state ? " AND state = '%s'" : " AND state || '' = '%s'", state);
    if (q->owner)
        fpi_list_sql(l, q->file_id || by_state ? " AND owner || '' = $%zu" : " AND owner = $%zu",
                     fpi_list_text(l, q->owner));
    if (q->cursor)
        fpi_list_sql(l, " AND %s < $%zu", id, fpi_list_text(l, q->cursor));
    fpi_list_sql(l, " ORDER BY %s DESC LIMIT $%zu", id, fpi_list_limit(l));
    return FILEPROC_OK;
}

fp_status fp_job_list(fp_jobs *jobs, const fp_job_query *query, fp_job_page **out, fp_error *err)
{
    fp_job_query q = FILEPROC_JOB_QUERY_INIT;
    fpi_list list = { .kind = &fpi_job_kind };
    fp_status rc;

    if (!jobs || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&q, sizeof(q), query, err);
    if (rc == FILEPROC_OK)
        rc = fpi_list_begin(&list, jobs->ctx, q.limit, q.cursor, err);
    if (rc == FILEPROC_OK)
        rc = build(&list, &q, err);
    if (rc == FILEPROC_OK)
        rc = fpi_list_read(&list, jobs->o.database, err);
    if (rc == FILEPROC_OK)
        *out = FPI_PAGE_SHOW(fp_job_page, list.page);
    return rc;
}
