/* Owns: the routes of files in quarantine: who is in it, and what a person decides.
 * Must not know: how a file is checked. */
#include "quarantine_routes.h"

#include <fileproc/quarantine.h>

#include "json_body.h"
#include "page.h"
#include "problem.h"
#include "reply.h"
#include "scoped.h"

FPD_DEFINE_CLEANUP(fp_quarantine, fp_quarantine_free)
FPD_DEFINE_CLEANUP(fp_quarantine_page, fp_quarantine_page_free)

static void answer_record(fpd_request *rq, fpd_app *app, int status)
{
    FPD_CLEANUP(fp_quarantine) record = NULL;
    FPD_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (fp_quarantine_get(app->jobs, rq->parameters[0], &record, &err) < 0 ||
        fp_quarantine_to_json(app->ctx, record, &json, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json_buf(rq, status, &json);
}

static void get_record(fpd_request *rq, void *user_data)
{
    answer_record(rq, user_data, 200);
}

typedef fp_status (*decision)(fp_jobs *jobs, const char *file_id, const char *by, const char *note,
                              fp_error *err);

/* Who decides, and why, is asked for: both are kept, and told in the event. */
static void decide(fpd_request *rq, fpd_app *app, decision make)
{
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, false);
    const char *by, *note;
    fp_error err = { 0 };

    if (!body || !fpd_json_string(rq, body, "by", true, &by) ||
        !fpd_json_string(rq, body, "note", true, &note))
        return;
    if (make(app->jobs, rq->parameters[0], by, note, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        answer_record(rq, app, 200);
}

static void release_file(fpd_request *rq, void *user_data)
{
    decide(rq, user_data, fp_quarantine_release);
}

static void reject_file(fpd_request *rq, void *user_data)
{
    decide(rq, user_data, fp_quarantine_reject);
}

static void rescan_file(fpd_request *rq, void *user_data)
{
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, true);
    fpd_app *app = user_data;
    fp_error err = { 0 };

    if (!body)
        return;
    if (fp_quarantine_rescan(app->jobs, rq->parameters[0], &err) < 0)
        fpd_problem_error(rq, &err);
    else
        answer_record(rq, app, 202);
}

static fp_status write_item(fp_context *ctx, const void *page, size_t index, fp_buf *json,
                            fp_error *err)
{
    return fp_quarantine_to_json(ctx, ((const fp_quarantine_page *)page)->items[index], json, err);
}

static void list_quarantine(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    fp_quarantine_query query = FILEPROC_QUARANTINE_QUERY_INIT;
    FPD_CLEANUP(fp_quarantine_page) shown = NULL;
    fpd_page_request page;
    fp_error err = { 0 };
    char state[32];

    if (!fpd_page_request_read(rq, &page) ||
        !fpd_page_filter(rq, "state", state, sizeof(state), &query.state))
        return;
    query.cursor = page.cursor;
    query.limit = page.limit;
    if (fp_quarantine_list(app->jobs, &query, &shown, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        fpd_page_answer(rq, app->ctx, shown, shown->count, shown->next, write_item);
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/v1/quarantine", list_quarantine, 0 },
    { FPD_METHOD_GET, "/v1/files/{id}/quarantine", get_record, 0 },
    { FPD_METHOD_POST, "/v1/files/{id}/release", release_file, 0 },
    { FPD_METHOD_POST, "/v1/files/{id}/reject", reject_file, 0 },
    { FPD_METHOD_POST, "/v1/files/{id}/rescan", rescan_file, 0 },
};

bool fpd_quarantine_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
