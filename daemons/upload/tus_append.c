/* Owns: bytes that arrive at the tus door, straight from the connection into the engine.
 * Must not know: how they become durable. */
#include <string.h>

#include "body.h"
#include "header_value.h"
#include "problem.h"
#include "reply.h"
#include "tus.h"
#include "tus_checksum.h"
#include "upload_routes.h"

#define CHUNKED_BUFFER (32u * 1024u)

bool fpd_tus_check_type(fpd_request *rq)
{
    const char *type = fpd_request_header(rq, "Content-Type");

    if (type && fpd_value_is(type, FPD_TUS_BODY_TYPE))
        return true;
    fpd_problem(rq, 415, "unsupported_media_type", "Bytes of an upload are " FPD_TUS_BODY_TYPE ".");
    return false;
}

/* A header that is there and can't be used is a failure: else bytes would count that nobody has checked. */
static bool read_checksum(fpd_request *rq, fpd_digest *digest, fp_append_options *options)
{
    const char *header = fpd_request_header(rq, "Upload-Checksum");

    if (!header)
        return true;
    switch (fpd_tus_checksum_parse(header, digest)) {
    case FPD_DIGEST_OK:
        options->digest_algorithm = digest->algorithm;
        options->digest = digest->bytes;
        options->digest_size = digest->size;
        return true;
    case FPD_DIGEST_UNSUPPORTED:
        fpd_problem(rq, 400, "digest_unsupported",
                    "Upload-Checksum has none of " FPD_TUS_CHECKSUMS ".");
        return false;
    default:
        fpd_problem(rq, 400, "bad_request", "Upload-Checksum is malformed.");
        return false;
    }
}

bool fpd_tus_check_checksum(fpd_request *rq)
{
    fp_append_options options = FILEPROC_APPEND_OPTIONS_INIT;
    fpd_digest digest;

    return read_checksum(rq, &digest, &options);
}

bool fpd_tus_complete(fpd_request *rq, fpd_app *app, fp_upload **upload)
{
    fp_upload *done = NULL;
    fp_error err = { 0 };

    if ((*upload)->file_id || (*upload)->size_unknown || (*upload)->offset != (*upload)->size)
        return true;
    if (fp_upload_complete(app->uploads, (*upload)->id, &done, &err) < 0) {
        fpd_tus_problem(rq, app, &err);
        return false;
    }
    fp_upload_free(*upload);
    *upload = done;
    return true;
}

/* ---- the body ---- */

/* One body on its way in. */
typedef struct intake {
    fpd_request *rq;
    fpd_app *app;
    fp_append *append;
    bool checked; /* against a checksum */
    fp_error err;
} intake;

static bool fail(intake *in)
{
    fpd_tus_problem(in->rq, in->app, &in->err);
    return false;
}

/* A connection that broke keeps what came, unless that can't be checked any more. */
static void keep(intake *in, const char *data, size_t size)
{
    if (in->checked)
        return;
    if (fp_append_write(in->append, data, size, &in->err) == FILEPROC_OK)
        (void)!fp_append_commit(in->append, NULL, &in->err);
}

/* Of a body in the chunked coding the server gives nothing that did not fill the buffer when the connection breaks, so that one is
 * small. */
static size_t buffer_size(const fpd_request *rq)
{
    if (rq->body_kind == FPD_BODY_CHUNKED)
        return CHUNKED_BUFFER;
    return rq->body_length < FPD_BODY_BUFFER ? (size_t)rq->body_length + 1 : FPD_BODY_BUFFER;
}

/* Through a buffer that lives only as long as the request. */
static bool receive(intake *in, uint64_t limit)
{
    fpd_request *rq = in->rq;
    size_t capacity = buffer_size(rq);
    FPD_MEMORY buf = fpd_memory(capacity);
    fpd_body_result result;
    size_t got;

    if (!buf) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    }
    if (!fpd_body_open(rq, limit))
        return false;
    while ((result = fpd_body_read(rq, buf, capacity, &got)) == FPD_BODY_OK)
        if (fp_append_write(in->append, buf, got, &in->err) < 0)
            return fail(in);
    if (result == FPD_BODY_END)
        return true;
    if (result == FPD_BODY_CUT)
        keep(in, buf, got);
    fpd_body_problem(rq, result);
    return false;
}

static bool begin(intake *in, const fp_upload *upload, uint64_t offset)
{
    fp_append_options options = FILEPROC_APPEND_OPTIONS_INIT;
    fpd_digest digest;

    if (!read_checksum(in->rq, &digest, &options))
        return false;
    in->checked = options.digest_algorithm != NULL;
    if (in->rq->body_kind == FPD_BODY_LENGTH)
        options.length = in->rq->body_length;
    return fp_append_begin(in->app->uploads, upload->id, offset, &options, &in->append, &in->err) ==
               FILEPROC_OK ||
           fail(in);
}

bool fpd_tus_append(fpd_request *rq, fpd_app *app, const fp_upload *upload, uint64_t offset,
                    fp_upload **out)
{
    uint64_t end =
        upload->size_unknown ? (uint64_t)fp_config_int(app->config, "MAX_FILE_SIZE") : upload->size;
    intake in = { .rq = rq, .app = app };
    bool ok = begin(&in, upload, offset) && receive(&in, end > offset ? end - offset : 0);

    if (ok && fp_append_commit(in.append, out, &in.err) < 0)
        ok = fail(&in);
    fp_append_free(in.append);
    return ok && fpd_tus_complete(rq, app, out);
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

    if (!fpd_tus_check_type(rq) || !read_offset(rq, &offset) || !fpd_tus_check_checksum(rq) ||
        !fpd_tus_find(rq, app, &upload))
        return;
    if ((offset != upload->offset && !mismatch(rq, upload, offset)) ||
        !take_length(rq, app, &upload) || !patch(rq, app, upload, offset, &after))
        return;
    fpd_reply_header(rq, "Upload-Offset", "%llu", (unsigned long long)after->offset);
    fpd_tus_expires(rq, after);
    fpd_reply_empty(rq, 204);
}
