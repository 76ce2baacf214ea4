/* Owns: the routes of files over the catalog: lists, rows, deletion.
 * Must not know: uploads and jobs. */
#include "file_routes.h"

#include <stdio.h>

#include "page.h"
#include "problem.h"
#include "range.h"
#include "reply.h"

static fp_status write_item(fp_context *ctx, const void *page, size_t index, fp_buf *json,
                            fp_error *err)
{
    return fp_file_to_json(ctx, ((const fp_file_page *)page)->items[index], json, err);
}

static void answer_page(fpd_request *rq, fpd_app *app, const fp_file_query *query)
{
    FPD_CLEANUP(fp_file_page) page = NULL;
    fp_error err = { 0 };

    if (fp_catalog_list(app->catalog, query, &page, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        fpd_page_answer(rq, app->ctx, page, page->count, page->next, write_item);
}

static void list_files(fpd_request *rq, void *user_data)
{
    fp_file_query query = FILEPROC_FILE_QUERY_INIT;
    char owner[256], mime_type[256];
    fpd_page_request page;

    if (!fpd_page_request_read(rq, &page) ||
        !fpd_page_filter(rq, "owner", owner, sizeof(owner), &query.owner) ||
        !fpd_page_filter(rq, "mime_type", mime_type, sizeof(mime_type), &query.mime_type))
        return;
    query.cursor = page.cursor;
    query.limit = page.limit;
    answer_page(rq, user_data, &query);
}

static void list_derivatives(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    fp_file_query query = FILEPROC_FILE_QUERY_INIT;
    FPD_CLEANUP(fp_file) parent = NULL;
    fpd_page_request page;
    fp_error err = { 0 };

    if (!fpd_page_request_read(rq, &page))
        return;
    if (fp_catalog_get(app->catalog, rq->parameters[0], &parent, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    query.parent_id = parent->id;
    query.cursor = page.cursor;
    query.limit = page.limit;
    answer_page(rq, app, &query);
}

/* Clients may keep it, but have to ask each time whether it is still so: 304 then. */
static void get_file(fpd_request *rq, void *user_data)
{
    const char *none_match = fpd_request_header(rq, "If-None-Match");
    fpd_app *app = user_data;
    FPD_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    uint64_t tag = 0;
    char etag[24];

    if (fp_catalog_get_json(app->catalog, rq->parameters[0], &json, &tag, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)tag);
    fpd_reply_header(rq, "Cache-Control", "private, no-cache");
    fpd_reply_header(rq, "ETag", "%s", etag);
    if (none_match && fpd_etag_listed(none_match, etag))
        fpd_reply_empty(rq, 304);
    else
        fpd_reply_json_buf(rq, 200, &json);
}

static void delete_file(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    fp_error err = { 0 };

    if (fp_catalog_delete(app->catalog, rq->parameters[0], &err) < 0)
        fpd_problem_error(rq, &err);
    else
        fpd_reply_empty(rq, 204);
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/v1/files", list_files, 0 },
    { FPD_METHOD_GET, "/v1/files/{id}", get_file, 0 },
    { FPD_METHOD_DELETE, "/v1/files/{id}", delete_file, 0 },
    { FPD_METHOD_GET, "/v1/files/{id}/content", fpd_get_content, 0 },
    { FPD_METHOD_GET, "/v1/files/{id}/derivatives", list_derivatives, 0 },
};

bool fpd_file_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
