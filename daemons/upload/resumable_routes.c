/* Owns: the resumable door's ways in; looking at an upload and ending it.
 * Must not know: how bytes arrive. */
#include <string.h>

#include <fileproc/catalog.h>

#include "cors.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"

#define TARGET_METHODS "POST, PUT, PATCH, OPTIONS"
#define UPLOAD_METHODS "HEAD, GET, PATCH, DELETE, OPTIONS"
/* How often an upload is looked at again that another process is just writing to. */
#define LOOKS 5

/* A file that was deleted is gone here, too. */
static bool check_file(fpd_resumable *r, const fp_upload *upload)
{
    FPD_CLEANUP(fp_file) file = NULL;
    fp_error err = { 0 };
    fp_status rc = fp_catalog_get(r->app->catalog, upload->file_id, &file, &err);

    if (rc == FILEPROC_ERR_NOTFOUND)
        fpd_resumable_gone(r);
    else if (rc < 0)
        fpd_resumable_error(r, &err);
    return rc == FILEPROC_OK;
}

static bool look(fpd_resumable *r, fp_upload **upload)
{
    fp_error err = { 0 };

    if (fp_upload_get(r->app->uploads, r->rq->parameters[0], upload, &err) == FILEPROC_OK)
        return true;
    fpd_resumable_error(r, &err);
    return false;
}

bool fpd_resumable_find(fpd_resumable *r, fp_upload **upload)
{
    if (!look(r, upload))
        return false;
    if (strcmp((*upload)->status, "cancelled") == 0) {
        fpd_resumable_gone(r);
        return false;
    }
    return !(*upload)->file_id || check_file(r, *upload);
}

void fpd_resumable_stop(fpd_resumable *r)
{
    (void)!fpd_intake_stop(r->app, r->rq->parameters[0], r->intake.upload_id ? &r->intake : NULL);
}

/* A request at another process, or one that could not be stopped here, loses its place by an append that begins where the upload is.
 * Then no offset but this one comes to be without a further request. */
static bool settle(fpd_resumable *r, fp_upload **upload)
{
    fp_error err = { 0 };

    for (int i = 0;; i++) {
        fp_append *append = NULL;
        fp_status rc;

        if ((*upload)->file_id || strcmp((*upload)->status, "failed") == 0 ||
            ((*upload)->flags & FILEPROC_UPLOAD_FINAL))
            return true;
        rc =
            fp_append_begin(r->app->uploads, (*upload)->id, (*upload)->offset, NULL, &append, &err);
        fp_append_free(append);
        if (rc == FILEPROC_OK)
            return true;
        if (rc != FILEPROC_ERR_CONFLICT || i == LOOKS)
            break;
        fp_upload_free(fpd_steal(upload));
        if (!look(r, upload))
            return false;
    }
    fpd_resumable_error(r, &err);
    return false;
}

/* ---- HEAD and GET ---- */

/* With the rules under which the last byte completes, an offset that is the length says that it is complete. */
static bool complete_whole(fpd_resumable *r, fp_upload **upload)
{
    fp_upload *done = NULL;
    fp_error err = { 0 };

    if ((*upload)->file_id || !fpd_resumable_is_whole(r, *upload))
        return true;
    if (fp_upload_complete(r->app->uploads, (*upload)->id, &done, &err) < 0) {
        fpd_resumable_error(r, &err);
        return false;
    }
    fp_upload_free(*upload);
    *upload = done;
    return true;
}

static bool refuses_fields(fpd_resumable *r)
{
    if (!fpd_resumable_is_before(r, 7) ||
        !(r->says_complete || fpd_request_header(r->rq, "Upload-Offset")))
        return false;
    fpd_resumable_bad_request(r, "Upload-Offset and Upload-Complete have no place here.");
    return true;
}

/* An upload that has failed has had its final answer. */
static void get_offset(fpd_request *rq, void *app)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    fpd_resumable r;

    fpd_resumable_read(&r, rq, app);
    if (refuses_fields(&r))
        return;
    fpd_resumable_stop(&r);
    if (!fpd_resumable_find(&r, &upload) || !settle(&r, &upload))
        return;
    if (strcmp(upload->status, "failed") == 0 || strcmp(upload->status, "cancelled") == 0) {
        fpd_resumable_gone(&r);
        return;
    }
    if (!complete_whole(&r, &upload))
        return;
    fpd_resumable_show_offset(&r, upload->offset);
    fpd_resumable_show_complete(&r, upload->file_id != NULL);
    if (!upload->size_unknown)
        fpd_reply_header(rq, "Upload-Length", "%llu", (unsigned long long)upload->size);
    fpd_resumable_show_limits(&r, upload);
    if (upload->file_id)
        fpd_resumable_show_digest(&r, upload);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_empty(rq, 204);
}

/* ---- DELETE ---- */

/* Who cancels has not heard that it is complete, or means the file: that has a place of its own. */
static void cancel(fpd_request *rq, void *data)
{
    fpd_app *app = data;
    fp_error err = { 0 };
    fpd_resumable r;

    fpd_resumable_read(&r, rq, app);
    if (refuses_fields(&r))
        return;
    if (fp_upload_cancel(app->uploads, rq->parameters[0], &err) < 0) {
        fpd_resumable_error(&r, &err);
        return;
    }
    fpd_resumable_stop(&r);
    fpd_reply_empty(rq, 204);
}

/* ---- OPTIONS ---- */

/* 200: Apple's background uploads ask for nothing else. */
static void answer_options(fpd_request *rq, void *app, const char *methods)
{
    fpd_resumable r;

    fpd_resumable_read(&r, rq, app);
    fpd_resumable_show_limits(&r, NULL);
    fpd_reply_header(rq, "Accept-Patch", FPD_PARTIAL_UPLOAD);
    fpd_cors_methods(rq, methods);
    fpd_reply(rq, 200, NULL, NULL, 0);
}

static void target_options(fpd_request *rq, void *app)
{
    answer_options(rq, app, TARGET_METHODS);
}

static void upload_options(fpd_request *rq, void *app)
{
    answer_options(rq, app, UPLOAD_METHODS);
}

/* HEAD comes by way of GET. */
static const fpd_route routes[] = {
    { FPD_METHOD_POST, "/v1/resumable", fpd_resumable_create, 0 },
    { FPD_METHOD_PUT, "/v1/resumable", fpd_resumable_create, 0 },
    { FPD_METHOD_PATCH, "/v1/resumable", fpd_resumable_create, 0 },
    { FPD_METHOD_OPTIONS, "/v1/resumable", target_options, 0 },
    { FPD_METHOD_GET, "/v1/resumable/{id}", get_offset, 0 },
    { FPD_METHOD_PATCH, "/v1/resumable/{id}", fpd_resumable_append, 0 },
    { FPD_METHOD_DELETE, "/v1/resumable/{id}", cancel, 0 },
    { FPD_METHOD_OPTIONS, "/v1/resumable/{id}", upload_options, 0 },
};

bool fpd_resumable_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
