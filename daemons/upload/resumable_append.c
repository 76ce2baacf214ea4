/* Owns: appending at the resumable door: whether the bytes of a request belong where they say.
 * Must not know: how they are read and become durable. */
#include <string.h>

#include "header_value.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"

bool fpd_resumable_length(fpd_resumable *r, uint64_t offset, uint64_t *length, bool *known)
{
    bool implied = r->complete && r->rq->body_kind != FPD_BODY_CHUNKED;
    uint64_t end = offset + r->rq->body_length;

    *known = r->has_length || implied;
    *length = r->has_length ? r->length : implied ? end : 0;
    if (!r->has_length || !implied || r->length == end)
        return true;
    fpd_resumable_inconsistent(r, "Upload-Length is not the length that Content-Length tells of.");
    return false;
}

static bool check_type(fpd_resumable *r)
{
    const char *type = fpd_request_header(r->rq, "Content-Type");

    if (fpd_resumable_is_before(r, 6) || (type && fpd_value_is(type, FPD_PARTIAL_UPLOAD)))
        return true;
    fpd_resumable_show_complete(r, false);
    fpd_reply_header(r->rq, "Accept-Patch", FPD_PARTIAL_UPLOAD);
    fpd_problem(r->rq, 415, "unsupported_media_type",
                "Bytes of an upload are " FPD_PARTIAL_UPLOAD ".");
    return false;
}

static bool check_fields(fpd_resumable *r)
{
    if (!r->says_complete)
        fpd_resumable_bad_request(r, "Upload-Complete is missing, or is not ?0 or ?1.");
    else if (!r->has_offset)
        fpd_resumable_bad_request(r, "Upload-Offset is missing, or is no number of bytes.");
    else
        return true;
    return false;
}

/* The answer to the request that completed it may have been lost. Only one that changes nothing gets it again, and where a draft
 * does not forbid that. */
static void append_to_complete(fpd_resumable *r, const fp_upload *upload)
{
    bool empty = r->rq->body_kind == FPD_BODY_NONE;

    if (fpd_resumable_is_before(r, 8))
        fpd_resumable_already_complete(r);
    else if (r->offset != upload->offset)
        fpd_resumable_mismatch(r, upload);
    else if (!empty || (r->has_length && r->length != upload->size))
        fpd_resumable_inconsistent(r, "The upload is complete, and has no more bytes.");
    else if (!r->complete)
        fpd_resumable_already_complete(r);
    else
        fpd_resumable_finish(r, upload);
}

/* Declares what this request says of the length. An append that was under way ends with that. */
static bool take_length(fpd_resumable *r, fp_upload **upload)
{
    fp_upload *after = NULL;
    fp_error err = { 0 };
    uint64_t length = 0;
    bool known = false;

    if (!fpd_resumable_length(r, r->offset, &length, &known))
        return false;
    if (!known || (!(*upload)->size_unknown && length == (*upload)->size))
        return true;
    if (!(*upload)->size_unknown) {
        fpd_resumable_inconsistent(r, "The upload was said to have another length.");
        return false;
    }
    if (fp_upload_set_size(r->app->uploads, (*upload)->id, length, &err) < 0 ||
        fp_upload_get(r->app->uploads, (*upload)->id, &after, &err) < 0) {
        fpd_resumable_error(r, &err);
        return false;
    }
    fp_upload_free(*upload);
    *upload = after;
    return true;
}

static bool fits(fpd_resumable *r, const fp_upload *upload)
{
    if (upload->size_unknown || r->rq->body_length <= upload->size - r->offset)
        return true;
    fpd_resumable_exceeded(r, upload);
    return false;
}

static void append(fpd_resumable *r, fp_upload **upload, const fpd_digest *digest)
{
    if (r->offset != (*upload)->offset)
        fpd_resumable_mismatch(r, *upload);
    else if (take_length(r, upload) && fits(r, *upload))
        fpd_resumable_receive(r, *upload, r->offset, digest,
                              fpd_resumable_is_before(r, 7) ? 201 : 204);
}

/* Who is where the upload is takes the place of whoever is at work there, as the engine has it. Else that one is ended first, so that the
 * offset that is told is one that holds. */
static bool find(fpd_resumable *r, fp_upload **upload)
{
    if (!fpd_resumable_find(r, upload))
        return false;
    if ((*upload)->file_id || r->offset == (*upload)->offset)
        return true;
    fpd_resumable_stop(r);
    fp_upload_free(fpd_steal(upload));
    return fpd_resumable_find(r, upload);
}

static void serve(fpd_resumable *r)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    const fpd_digest *digest = NULL;
    fpd_digest place;

    if (!check_type(r) || !check_fields(r) || !fpd_resumable_content_digest(r, &place, &digest) ||
        !find(r, &upload))
        return;
    if (strcmp(upload->status, "failed") == 0)
        fpd_resumable_finish(r, upload);
    else if (upload->file_id)
        append_to_complete(r, upload);
    else
        append(r, &upload, digest);
}

/* Who comes later ends it wherever it is, so that it can't append at an offset that it has looked at before. */
void fpd_resumable_append(fpd_request *rq, void *app)
{
    fpd_resumable r;

    fpd_resumable_read(&r, rq, app);
    r.upload_id = rq->parameters[0];
    fpd_intake_enter(&r.intake, r.upload_id);
    serve(&r);
    fpd_intake_leave(&r.intake);
}
