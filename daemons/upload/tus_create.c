/* Owns: tus creation: what an upload is to be, and its first bytes when they come along.
 * Must not know: how bytes arrive. */
#include <string.h>

#include "problem.h"
#include "reply.h"
#include "tus.h"
#include "tus_metadata.h"
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

static bool create(fpd_request *rq, fpd_app *app, fp_upload_request *request, fp_upload **upload)
{
    const char *header = fpd_request_header(rq, "Upload-Metadata");
    FPD_DISPOSE(fpd_tus_metadata) metadata = FPD_TUS_METADATA_INIT;
    FPD_DISPOSE(fpd_text) note = FPD_TEXT_INIT(FPD_TUS_METADATA_MAX + sizeof(FPD_TUS_NOTE));
    fp_error err = { 0 };

    if (!read_metadata(rq, header ? header : "", &metadata))
        return false;
    fpd_text_printf(&note, FPD_TUS_NOTE "%s", header ? header : "");
    if (note.failed) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    }
    request->filename = metadata.filename.size ? metadata.filename.data : UNNAMED;
    request->mime_type = metadata.type.size ? metadata.type.data : UNTYPED;
    request->owner = metadata.owner.size ? metadata.owner.data : NULL;
    request->metadata = metadata.json.size ? metadata.json.data : NULL;
    request->note = note.data;
    if (!fpd_rate_limit_owner(&app->limit, rq, request->owner))
        return false;
    if (fp_upload_create(app->uploads, request, upload, &err) < 0) {
        fpd_tus_problem(rq, app, &err);
        return false;
    }
    fpd_count_upload(app, FPD_UPLOAD_INITIATED);
    return true;
}

/* What can be refused is, before there is an upload. Location stands also in the answer to bytes that were not taken: they can be
 * sent again there. */
void fpd_tus_create(fpd_request *rq, fpd_app *app)
{
    bool with_upload = rq->body_kind != FPD_BODY_NONE;
    fp_upload_request request = FILEPROC_UPLOAD_REQUEST_INIT;
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_CLEANUP(fp_upload) after = NULL;

    if (fpd_request_header(rq, "Upload-Concat")) {
        (void)bad_request(rq, "Uploads can't be put together here.");
        return;
    }
    if ((with_upload && (!fpd_tus_check_type(rq) || !fpd_tus_check_checksum(rq))) ||
        !read_length(rq, &request) || !create(rq, app, &request, &upload))
        return;
    fpd_reply_header(rq, "Location", "/v1/tus/%s", upload->id);
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
