/* Owns: the routes of jobs, operations and pipelines.
 * Must not know: uploads. */
#include "job_routes.h"

#include <string.h>

#include "json_body.h"
#include "page.h"
#include "problem.h"
#include "quarantine_routes.h"
#include "reply.h"

static void answer_job(fpd_request *rq, fpd_app *app, int status, const fp_job *job)
{
    FPD_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (fp_job_to_json(app->ctx, job, &json, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json_buf(rq, status, &json);
}

/* The member `pipeline`: a name, or an object that goes on as text; NULL, the default of the file's type, when it is absent.
 * *text is memory of malloc(). */
static bool take_pipeline(fpd_request *rq, const json_t *body, char **text)
{
    const json_t *pipeline = json_object_get(body, "pipeline");

    if (!pipeline || json_is_null(pipeline))
        return true;
    if (!json_is_string(pipeline) && !json_is_object(pipeline)) {
        fpd_problem(rq, 422, "parameter_invalid",
                    "pipeline must be a name, or an object with steps.");
        return false;
    }
    *text = json_is_string(pipeline) ? fpd_memory_copy(json_string_value(pipeline))
                                     : json_dumps(pipeline, FPD_JSON_FLAGS);
    if (!*text)
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    return *text != NULL;
}

static void create_job(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, true);
    FPD_CLEANUP(fp_job) job = NULL;
    FPD_MEMORY pipeline = NULL;
    fp_error err = { 0 };

    if (!body || !take_pipeline(rq, body, &pipeline))
        return;
    if (fp_job_create(app->jobs, rq->parameters[0], pipeline, &job, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    fpd_reply_header(rq, "Location", "/v1/jobs/%s", job->id);
    answer_job(rq, app, 202, job);
}

static void get_job(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_job) job = NULL;
    fp_error err = { 0 };

    if (fp_job_get(app->jobs, rq->parameters[0], &job, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        answer_job(rq, app, 200, job);
}

static void cancel_job(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_job) job = NULL;
    fp_error err = { 0 };

    if (fp_job_cancel(app->jobs, rq->parameters[0], &err) < 0 ||
        fp_job_get(app->jobs, rq->parameters[0], &job, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        answer_job(rq, app, 200, job);
}

static bool is_state(const char *state)
{
    static const char *const states[] = { "queued", "running",   "succeeded",
                                          "failed", "cancelled", "dead" };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        if (strcmp(states[i], state) == 0)
            return true;
    return false;
}

static fp_status write_item(fp_context *ctx, const void *page, size_t index, fp_buf *json,
                            fp_error *err)
{
    return fp_job_to_json(ctx, ((const fp_job_page *)page)->items[index], json, err);
}

static void list_jobs(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    fp_job_query query = FILEPROC_JOB_QUERY_INIT;
    FPD_CLEANUP(fp_job_page) shown = NULL;
    char owner[256], file_id[64], state[32];
    fpd_page_request page;
    fp_error err = { 0 };

    if (!fpd_page_request_read(rq, &page) ||
        !fpd_page_filter(rq, "owner", owner, sizeof(owner), &query.owner) ||
        !fpd_page_filter(rq, "file_id", file_id, sizeof(file_id), &query.file_id) ||
        !fpd_page_filter(rq, "state", state, sizeof(state), &query.state))
        return;
    if (query.state && !is_state(query.state)) {
        fpd_problem(rq, 422, "parameter_invalid", "No job has the state %s.", query.state);
        return;
    }
    query.cursor = page.cursor;
    query.limit = page.limit;
    if (fp_job_list(app->jobs, &query, &shown, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        fpd_page_answer(rq, app->ctx, shown, shown->count, shown->next, write_item);
}

static void list_operations(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (fp_pipelines_describe(app->pipelines, &json, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        fpd_reply_json_buf(rq, 200, &json);
}

static const fpd_route routes[] = {
    { FPD_METHOD_POST, "/v1/files/{id}/jobs", create_job, 0 },
    { FPD_METHOD_GET, "/v1/jobs", list_jobs, 0 },
    { FPD_METHOD_GET, "/v1/jobs/{id}", get_job, 0 },
    { FPD_METHOD_POST, "/v1/jobs/{id}/cancel", cancel_job, 0 },
    { FPD_METHOD_DELETE, "/v1/jobs/{id}", cancel_job, 0 },
    { FPD_METHOD_GET, "/v1/operations", list_operations, 0 },
};

bool fpd_job_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app) &&
           fpd_quarantine_routes_add(router, app);
}
