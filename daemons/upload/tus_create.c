/* Owns: tus creation: what an upload is to be, and its first bytes when they come along.
 * Must not know: how bytes arrive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forwarded.h"
#include "problem.h"
#include "reply.h"
#include "tus.h"
#include "tus_concat.h"
#include "tus_metadata.h"
#include "tus_note.h"
#include "upload_routes.h"

#define UNNAMED "unnamed"
#define UNTYPED "application/octet-stream"

static bool bad_request(fpd_request *rq, const char *detail)
{
    fpd_problem(rq, 400, "bad_request", "%s", detail);
    return false;
}

/* Either the length, or that it comes later. */
static bool read_length(fpd_request *rq, fp_upload_request *request)
{
    const char *length = fpd_request_header(rq, "Upload-Length");
    const char *deferred = fpd_request_header(rq, "Upload-Defer-Length");

    if (length && deferred)
        return bad_request(rq, "Upload-Length and Upload-Defer-Length exclude each other.");
    if (length)
        return fpd_tus_number(rq, "Upload-Length", length, &request->size);
    if (!deferred)
        return bad_request(rq, "Upload-Length or Upload-Defer-Length is needed.");
    if (strcmp(deferred, "1") != 0)
        return bad_request(rq, "Upload-Defer-Length can only be 1.");
    request->size_unknown = 1;
    return true;
}

static bool read_metadata(fpd_request *rq, const char *header, fpd_tus_metadata *metadata)
{
    switch (fpd_tus_metadata_parse(header, metadata)) {
    case FPD_TUS_METADATA_OK:
        return true;
    case FPD_TUS_METADATA_TOO_LONG:
        fpd_problem(rq, 431, "metadata_invalid", "Upload-Metadata may have at most %u bytes.",
                    FPD_TUS_METADATA_MAX);
        return false;
    case FPD_TUS_METADATA_NO_MEMORY:
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    default:
        fpd_problem(rq, 400, "metadata_invalid",
                    "Upload-Metadata is no list of different keys with values in base64.");
        return false;
    }
}

/* What is asked for, as the headers say. */
typedef struct plan {
    const char *concat_header; /* or NULL */
    fpd_tus_concat *concat;    /* of a final upload; memory of malloc() */
    fp_upload_request request;
} plan;

static bool make(fpd_request *rq, fpd_app *app, const plan *p, fp_upload **upload)
{
    const char *ids[FPD_TUS_CONCAT_IDS];
    fp_error err = { 0 };
    fp_status rc;

    for (size_t i = 0; p->concat && i < p->concat->count; i++)
        ids[i] = p->concat->ids[i];
    rc = p->concat
             ? fp_upload_concat(app->uploads, &p->request, ids, p->concat->count, upload, &err)
             : fp_upload_create(app->uploads, &p->request, upload, &err);
    if (rc < 0) {
        fpd_tus_problem(rq, app, &err);
        return false;
    }
    fpd_count_upload(app, FPD_UPLOAD_INITIATED);
    return true;
}

static bool create(fpd_request *rq, fpd_app *app, plan *p, fp_upload **upload)
{
    const char *header = fpd_request_header(rq, "Upload-Metadata");
    FPD_DISPOSE(fpd_tus_metadata) metadata = FPD_TUS_METADATA_INIT;
    FPD_DISPOSE(fpd_text) note = FPD_TEXT_INIT(FPD_TUS_NOTE_MAX);

    if (!read_metadata(rq, header ? header : "", &metadata))
        return false;
    fpd_tus_note_write(&note, p->concat_header, header);
    if (note.failed) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    }
    p->request.filename = metadata.filename.size ? metadata.filename.data : UNNAMED;
    p->request.mime_type = metadata.type.size ? metadata.type.data : UNTYPED;
    p->request.owner = metadata.owner.size ? metadata.owner.data : NULL;
    p->request.metadata = metadata.json.size ? metadata.json.data : NULL;
    p->request.note = note.data;
    return fpd_rate_limit_owner(&app->limit, rq, p->request.owner) && make(rq, app, p, upload);
}

static bool concat_problem(fpd_request *rq, fpd_tus_concat_kind kind)
{
    if (kind == FPD_TUS_CONCAT_TOO_LONG)
        fpd_problem(rq, 431, "concat_invalid", "Upload-Concat may have at most %u bytes.",
                    FPD_TUS_CONCAT_MAX);
    else
        fpd_problem(rq, 400, "concat_invalid",
                    "Upload-Concat is neither \"partial\" nor \"final;\" and addresses of uploads "
                    "with single spaces between them.");
    return false;
}

/* The pieces are all that a final upload has: no length, no bytes of its own. */
static bool check_final(fpd_request *rq)
{
    if (rq->body_kind == FPD_BODY_NONE && !fpd_request_header(rq, "Upload-Length") &&
        !fpd_request_header(rq, "Upload-Defer-Length"))
        return true;
    fpd_problem(rq, 400, "concat_invalid",
                "A final upload has neither Upload-Length nor a body: the partial uploads have.");
    return false;
}

/* Upload-Concat, or else a length. */
static bool read_plan(fpd_request *rq, plan *p)
{
    fpd_tus_concat_kind kind;

    p->concat_header = fpd_request_header(rq, "Upload-Concat");
    if (!p->concat_header)
        return read_length(rq, &p->request);
    p->concat = calloc(1, sizeof(*p->concat));
    if (!p->concat) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    }
    kind = fpd_tus_concat_parse(p->concat_header, p->concat);
    if (kind == FPD_TUS_CONCAT_FINAL)
        return check_final(rq);
    if (kind != FPD_TUS_CONCAT_PARTIAL)
        return concat_problem(rq, kind);
    free(p->concat);
    p->concat = NULL;
    p->request.flags = FILEPROC_UPLOAD_PARTIAL;
    return read_length(rq, &p->request);
}

static void tell_location(fpd_request *rq, const fpd_app *app, const fp_upload *upload)
{
    char path[sizeof("/v1/tus/") + FPD_TUS_ID_SIZE];

    snprintf(path, sizeof(path), "/v1/tus/%s", upload->id);
    fpd_forwarded_location(rq, app->limit.proxies, path);
}

/* What can be refused is, before there is an upload. Location stands also in the answer to bytes that were not taken: they can be
 * sent again there. */
void fpd_tus_create(fpd_request *rq, fpd_app *app)
{
    bool with_upload = rq->body_kind != FPD_BODY_NONE;
    plan p = { .request = FILEPROC_UPLOAD_REQUEST_INIT };
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_CLEANUP(fp_upload) after = NULL;
    bool made = (!with_upload || (fpd_tus_check_type(rq) && fpd_tus_check_checksum(rq))) &&
                read_plan(rq, &p) && create(rq, app, &p, &upload);

    free(p.concat);
    if (!made)
        return;
    tell_location(rq, app, upload);
    if (with_upload) {
        if (!fpd_tus_append(rq, app, upload, 0, &after))
            return;
        fpd_reply_header(rq, "Upload-Offset", "%llu", (unsigned long long)after->offset);
    } else {
        after = fpd_steal(&upload);
        if (!fpd_tus_complete(rq, app, &after))
            return;
    }
    fpd_tus_expires(rq, after);
    fpd_reply(rq, 201, NULL, NULL, 0);
}
