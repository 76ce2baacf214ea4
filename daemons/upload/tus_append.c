/* Owns: bytes that arrive at the tus door: where they go, and what the client hears.
 * Must not know: how they are read and become durable. */
#include <string.h>

#include "header_value.h"
#include "intake.h"
#include "log.h"
#include "problem.h"
#include "reply.h"
#include "tus.h"
#include "tus_checksum.h"
#include "upload_routes.h"

bool fpd_tus_check_type(fpd_request *rq)
{
    const char *type = fpd_request_header(rq, "Content-Type");

    if (type && fpd_value_is(type, FPD_TUS_BODY_TYPE))
        return true;
    fpd_problem(rq, 415, "unsupported_media_type", "Bytes of an upload are " FPD_TUS_BODY_TYPE ".");
    return false;
}

#define CHECKSUM "Upload-Checksum"
#define CHECKSUM_MAX 128u

static void checksum_problem(fpd_request *rq, fpd_digest_result result)
{
    if (result == FPD_DIGEST_UNSUPPORTED)
        fpd_problem(rq, 400, "digest_unsupported", CHECKSUM " has none of " FPD_TUS_CHECKSUMS ".");
    else
        fpd_problem(rq, 400, "bad_request", CHECKSUM " is malformed, or missing in the trailer.");
}

/* A header that is there and can't be used is a failure: else bytes would count that nobody has checked. */
static bool read_checksum(fpd_request *rq, fpd_digest *digest, const fpd_digest **checked)
{
    const char *header = fpd_request_header(rq, CHECKSUM);
    fpd_digest_result result;

    if (!header)
        return true;
    result = fpd_tus_checksum_parse(header, digest);
    if (result == FPD_DIGEST_OK)
        *checked = digest;
    else
        checksum_problem(rq, result);
    return result == FPD_DIGEST_OK;
}

/* Whether the checksum is announced to come behind the body. */
static bool comes_later(const fpd_request *rq)
{
    const char *trailer = fpd_request_header(rq, "Trailer");

    return rq->body_kind == FPD_BODY_CHUNKED && trailer && fpd_list_has(trailer, CHECKSUM) &&
           !fpd_request_header(rq, CHECKSUM);
}

static bool take_trailer(fpd_intake *in, const fpd_chunked *body, fpd_digest *digest)
{
    fpd_digest_result *result = in->user_data;
    char value[CHECKSUM_MAX];

    *result = FPD_DIGEST_MALFORMED;
    if (fpd_chunked_trailer(body, CHECKSUM, value, sizeof(value)) == FPD_TRAILER_FOUND)
        *result = fpd_tus_checksum_parse(value, digest);
    return *result == FPD_DIGEST_OK;
}

bool fpd_tus_check_checksum(fpd_request *rq)
{
    const fpd_digest *checked = NULL;
    fpd_digest digest;

    return read_checksum(rq, &digest, &checked);
}

static bool replace(fp_upload **upload, fp_upload *other)
{
    fp_upload_free(*upload);
    *upload = other;
    return true;
}

/* The bytes of a partial upload are durable; what becomes of those that wait for it is another matter, which is come back to. */
static bool complete_waiting(fpd_app *app, const fp_upload *upload)
{
    fp_error err = { 0 };

    if (fp_upload_complete_waiting(app->uploads, upload->id, &err) < 0)
        fpd_log(FILEPROC_LOG_WARN, "upload", "what waits for %s: %s", upload->id, err.message);
    return true;
}

/* One that can't be put together now will be, unless a piece of it is gone: so it is not finished, and that is no failure. Its size
 * may be known by now. */
static bool complete_final(fpd_request *rq, fpd_app *app, fp_upload **upload)
{
    fp_upload *done = NULL;
    fp_error err = { 0 };
    fp_status rc;

    if ((*upload)->flags & FILEPROC_UPLOAD_JOINING)
        return true;
    rc = fp_upload_complete(app->uploads, (*upload)->id, &done, &err);
    if (rc == FILEPROC_OK)
        return replace(upload, done);
    if (rc == FILEPROC_ERR_IO || rc == FILEPROC_ERR_QUOTA)
        fpd_log(FILEPROC_LOG_WARN, "upload", "%s: %s", (*upload)->id, err.message);
    if (rc != FILEPROC_ERR_NOTFOUND && rc != FILEPROC_ERR_CORRUPT &&
        fp_upload_get(app->uploads, (*upload)->id, &done, &err) == FILEPROC_OK)
        return replace(upload, done);
    fpd_tus_problem(rq, app, &err);
    return false;
}

bool fpd_tus_complete(fpd_request *rq, fpd_app *app, fp_upload **upload)
{
    fp_upload *done = NULL;
    fp_error err = { 0 };

    if ((*upload)->file_id)
        return true;
    if ((*upload)->flags & FILEPROC_UPLOAD_FINAL)
        return complete_final(rq, app, upload);
    if ((*upload)->size_unknown || (*upload)->offset != (*upload)->size)
        return true;
    if ((*upload)->flags & FILEPROC_UPLOAD_PARTIAL)
        return complete_waiting(app, *upload);
    if (fp_upload_complete(app->uploads, (*upload)->id, &done, &err) == FILEPROC_OK)
        return replace(upload, done);
    fpd_tus_problem(rq, app, &err);
    return false;
}

bool fpd_tus_append(fpd_request *rq, fpd_app *app, const fp_upload *upload, uint64_t offset,
                    fp_upload **out)
{
    fpd_digest digest;
    fpd_digest_result behind = FPD_DIGEST_OK;
    fpd_intake in = { .rq = rq, .app = app, .user_data = &behind };
    fpd_intake_result result;

    if (!read_checksum(rq, &digest, &in.digest))
        return false;
    if (comes_later(rq))
        in.on_trailer = take_trailer;
    result = fpd_intake_run(&in, upload, offset, out);
    if (result == FPD_INTAKE_OK)
        return fpd_tus_complete(rq, app, out);
    if (result == FPD_INTAKE_ERROR)
        fpd_tus_problem(rq, app, &in.err);
    else if (result == FPD_INTAKE_TRAILER)
        checksum_problem(rq, behind);
    else if (result != FPD_INTAKE_ANSWERED)
        fpd_intake_problem(rq, result);
    return false;
}

/* ---- PATCH ---- */

static bool read_offset(fpd_request *rq, uint64_t *offset)
{
    const char *header = fpd_request_header(rq, "Upload-Offset");

    if (header)
        return fpd_tus_number(rq, "Upload-Offset", header, offset);
    fpd_problem(rq, 400, "bad_request", "Upload-Offset is missing.");
    return false;
}

static bool mismatch(fpd_request *rq, const fp_upload *upload, uint64_t offset)
{
    fpd_problem(rq, 409, "offset_mismatch", "The upload is at offset %llu, not at %llu.",
                (unsigned long long)upload->offset, (unsigned long long)offset);
    return false;
}

/* Upload-Length, where a client declares it late, or says it once more. */
static bool take_length(fpd_request *rq, fpd_app *app, fp_upload **upload)
{
    const char *header = fpd_request_header(rq, "Upload-Length");
    fp_upload *after = NULL;
    fp_error err = { 0 };
    uint64_t size = 0;

    if (!header)
        return true;
    if (!fpd_tus_number(rq, "Upload-Length", header, &size))
        return false;
    if ((*upload)->file_id) {
        if (size == (*upload)->size)
            return true;
        fpd_problem(rq, 400, "length_invalid", "The upload has another length.");
        return false;
    }
    if (fp_upload_set_size(app->uploads, (*upload)->id, size, &err) < 0 ||
        fp_upload_get(app->uploads, (*upload)->id, &after, &err) < 0) {
        fpd_tus_problem(rq, app, &err);
        return false;
    }
    fp_upload_free(*upload);
    *upload = after;
    return true;
}

/* A completed upload takes nothing more; that it is complete may be news to a client whose connection broke. */
static bool patch(fpd_request *rq, fpd_app *app, fp_upload *upload, uint64_t offset,
                  fp_upload **after)
{
    fp_error err = { 0 };

    if (!upload->file_id || rq->body_kind != FPD_BODY_NONE)
        return fpd_tus_append(rq, app, upload, offset, after);
    if (fp_upload_get(app->uploads, upload->id, after, &err) == FILEPROC_OK)
        return true;
    fpd_tus_problem(rq, app, &err);
    return false;
}

void fpd_tus_patch(fpd_request *rq, fpd_app *app)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_CLEANUP(fp_upload) after = NULL;
    uint64_t offset = 0;

    if (!fpd_tus_find(rq, app, &upload))
        return;
    if (upload->flags & FILEPROC_UPLOAD_FINAL) {
        fpd_problem(rq, 403, "upload_final",
                    "A final upload takes no bytes: it has those of its pieces.");
        return;
    }
    if (!fpd_tus_check_type(rq) || !read_offset(rq, &offset) || !fpd_tus_check_checksum(rq))
        return;
    if ((offset != upload->offset && !mismatch(rq, upload, offset)) ||
        !take_length(rq, app, &upload) || !patch(rq, app, upload, offset, &after))
        return;
    fpd_reply_header(rq, "Upload-Offset", "%llu", (unsigned long long)after->offset);
    fpd_tus_expires(rq, after);
    fpd_reply_empty(rq, 204);
}
