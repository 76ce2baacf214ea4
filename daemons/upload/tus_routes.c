/* Owns: the tus door's ways in: versions and methods; looking at an upload and ending it.
 * Must not know: how bytes arrive. */
#include <string.h>

#include <fileproc/catalog.h>

#include "clock.h"
#include "cors.h"
#include "problem.h"
#include "reply.h"
#include "tus.h"
#include "tus_checksum.h"
#include "tus_note.h"
#include "upload_routes.h"

#define VERSION "1.0.0"
#define EXTENSIONS                                                                                 \
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,"         \
    "checksum-trailer,concatenation,concatenation-unfinished"
#define COLLECTION_METHODS "POST, OPTIONS"
#define UPLOAD_METHODS "HEAD, PATCH, DELETE, OPTIONS"

void fpd_tus_problem(fpd_request *rq, fpd_app *app, const fp_error *err)
{
    int32_t reason = strcmp(err->domain, "fileproc") == 0 ? err->cause : FILEPROC_REASON_NONE;

    if (reason == FILEPROC_REASON_UPLOAD_CANCELLED)
        fpd_problem(rq, 410, "upload_cancelled", "The upload was cancelled.");
    else if (reason == FILEPROC_REASON_DIGEST_MISMATCH)
        fpd_problem(rq, 460, "digest_mismatch",
                    "The checksum of the bytes is another; they were dropped.");
    else
        fpd_upload_problem(rq, app, err);
}

bool fpd_tus_number(fpd_request *rq, const char *name, const char *value, uint64_t *number)
{
    uint64_t n = 0;

    if (!*value || value[strspn(value, "0123456789")] != '\0') {
        fpd_problem(rq, 400, "bad_request", "%s is not one decimal number.", name);
        return false;
    }
    for (; *value; value++) {
        uint64_t digit = (uint64_t)(*value - '0');

        if (n > ((uint64_t)INT64_MAX - digit) / 10) {
            fpd_problem(rq, 413, "size_too_large", "%s is larger than any upload.", name);
            return false;
        }
        n = n * 10 + digit;
    }
    *number = n;
    return true;
}

void fpd_tus_expires(fpd_request *rq, const fp_upload *upload)
{
    char date[FPD_HTTP_DATE_SIZE];

    if (strcmp(upload->status, "completed") == 0)
        return;
    fpd_http_date(upload->expires_at_ms, date);
    fpd_reply_header(rq, "Upload-Expires", "%s", date);
}

/* ---- HEAD ---- */

/* A file that was deleted is gone here, too. */
static bool has_file(fpd_request *rq, fpd_app *app, const fp_upload *upload)
{
    FPD_CLEANUP(fp_file) file = NULL;
    fp_error err = { 0 };
    fp_status rc = fp_catalog_get(app->catalog, upload->file_id, &file, &err);

    if (rc == FILEPROC_ERR_NOTFOUND)
        fpd_problem(rq, 410, "file_not_found", "The file of this upload was deleted.");
    else if (rc < 0)
        fpd_tus_problem(rq, app, &err);
    return rc == FILEPROC_OK;
}

bool fpd_tus_find(fpd_request *rq, fpd_app *app, fp_upload **upload)
{
    fp_error err = { 0 };

    if (fp_upload_get(app->uploads, rq->parameters[0], upload, &err) < 0) {
        fpd_tus_problem(rq, app, &err);
        return false;
    }
    if (strcmp((*upload)->status, "completed") == 0)
        return has_file(rq, app, *upload);
    if (strcmp((*upload)->status, "cancelled") != 0 && strcmp((*upload)->status, "failed") != 0)
        return true;
    fpd_problem(rq, 410, "upload_cancelled", "The upload is gone.");
    return false;
}

/* Of an upload that others are put together to, there is no offset before that is done. */
static void show_place(fpd_request *rq, const fp_upload *upload)
{
    bool final = (upload->flags & FILEPROC_UPLOAD_FINAL) != 0;

    if (!final || upload->file_id)
        fpd_reply_header(rq, "Upload-Offset", "%llu", (unsigned long long)upload->offset);
    if (!upload->size_unknown)
        fpd_reply_header(rq, "Upload-Length", "%llu", (unsigned long long)upload->size);
    else if (!final)
        fpd_reply_header(rq, "Upload-Defer-Length", "1");
}

static void answer_head(fpd_request *rq, const fp_upload *upload)
{
    show_place(rq, upload);
    fpd_tus_note_show(rq, upload);
    fpd_tus_expires(rq, upload);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply(rq, 200, NULL, NULL, 0);
}

/* A client that sees all its bytes here takes the upload for finished, so it is, or the answer is no offset. */
static void head(fpd_request *rq, fpd_app *app)
{
    FPD_CLEANUP(fp_upload) upload = NULL;

    if (fpd_tus_find(rq, app, &upload) && fpd_tus_complete(rq, app, &upload))
        answer_head(rq, upload);
}

/* ---- DELETE ---- */

static void terminate(fpd_request *rq, fpd_app *app)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error err = { 0 };
    fp_status rc;

    if (!fpd_tus_find(rq, app, &upload))
        return;
    rc = upload->file_id ? fp_catalog_delete(app->catalog, upload->file_id, &err)
                         : fp_upload_cancel(app->uploads, upload->id, &err);
    if (rc < 0)
        fpd_tus_problem(rq, app, &err);
    else
        fpd_reply_empty(rq, 204);
}

/* ---- the way in ---- */

/* X-HTTP-Method-Override is the method when it is there, whatever the request line says. */
static const char *method_of(const fpd_request *rq)
{
    const char *method = fpd_request_header(rq, "X-HTTP-Method-Override");

    return method ? method : rq->head->method;
}

static void answer_options(fpd_request *rq, fpd_app *app, const char *methods)
{
    fpd_reply_header(rq, "Tus-Resumable", VERSION);
    fpd_reply_header(rq, "Tus-Version", VERSION);
    fpd_reply_header(rq, "Tus-Extension", EXTENSIONS);
    fpd_reply_header(rq, "Tus-Checksum-Algorithm", FPD_TUS_CHECKSUMS);
    fpd_reply_header(rq, "Tus-Max-Size", "%lld",
                     (long long)fp_config_int(app->config, "MAX_FILE_SIZE"));
    fpd_cors_options(rq, methods);
}

/* Of two bytes might go to the wrong place, or be checked against the wrong checksum. */
static bool check_repetition(fpd_request *rq)
{
    static const char *const names[] = {
        "Tus-Resumable", "X-HTTP-Method-Override", "Upload-Length",   "Upload-Defer-Length",
        "Upload-Offset", "Upload-Metadata",        "Upload-Checksum", "Upload-Concat",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!fpd_request_header_once(rq, names[i]))
            return false;
    return true;
}

/* Whether the client speaks our version, and clearly; else nothing of the request is looked at. */
static bool check_head(fpd_request *rq)
{
    const char *version = fpd_request_header(rq, "Tus-Resumable");

    fpd_reply_header(rq, "Tus-Resumable", VERSION);
    if (!check_repetition(rq))
        return false;
    if (version && strcmp(version, VERSION) == 0)
        return true;
    fpd_reply_header(rq, "Tus-Version", VERSION);
    fpd_problem(rq, 412, "version_unsupported", "%s",
                version ? "The version of tus spoken here is " VERSION "."
                        : "Tus-Resumable is missing; it must be " VERSION ".");
    return false;
}

static void refuse_method(fpd_request *rq, const char *methods)
{
    fpd_reply_header(rq, "Allow", "%s", methods);
    fpd_problem(rq, 405, "method_not_allowed", "This path has no such method; it has %s.", methods);
}

static void serve_collection(fpd_request *rq, void *user_data)
{
    const char *method = method_of(rq);

    if (strcmp(method, "OPTIONS") == 0)
        answer_options(rq, user_data, COLLECTION_METHODS);
    else if (!check_head(rq))
        return;
    else if (strcmp(method, "POST") == 0)
        fpd_tus_create(rq, user_data);
    else
        refuse_method(rq, COLLECTION_METHODS);
}

static void serve_upload(fpd_request *rq, void *user_data)
{
    const char *method = method_of(rq);

    if (strcmp(method, "OPTIONS") == 0)
        answer_options(rq, user_data, UPLOAD_METHODS);
    else if (!check_head(rq))
        return;
    else if (strcmp(method, "HEAD") == 0)
        head(rq, user_data);
    else if (strcmp(method, "PATCH") == 0)
        fpd_tus_patch(rq, user_data);
    else if (strcmp(method, "DELETE") == 0)
        terminate(rq, user_data);
    else
        refuse_method(rq, UPLOAD_METHODS);
}

/* Every method that a header can replace has its route. HEAD comes by way of GET. */
static const fpd_route routes[] = {
    { FPD_METHOD_POST, "/v1/tus", serve_collection, 0 },
    { FPD_METHOD_GET, "/v1/tus", serve_collection, 0 },
    { FPD_METHOD_PUT, "/v1/tus", serve_collection, 0 },
    { FPD_METHOD_OPTIONS, "/v1/tus", serve_collection, 0 },
    { FPD_METHOD_GET, "/v1/tus/{id}", serve_upload, 0 },
    { FPD_METHOD_PATCH, "/v1/tus/{id}", serve_upload, 0 },
    { FPD_METHOD_DELETE, "/v1/tus/{id}", serve_upload, 0 },
    { FPD_METHOD_POST, "/v1/tus/{id}", serve_upload, 0 },
    { FPD_METHOD_PUT, "/v1/tus/{id}", serve_upload, 0 },
    { FPD_METHOD_OPTIONS, "/v1/tus/{id}", serve_upload, 0 },
};

bool fpd_tus_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
