/* Owns: a request's body on its way into an upload, straight from the connection into the engine.
 * Must not know: which protocol the request is of; how bytes become durable. */
#include "intake.h"

#include "body.h"
#include "problem.h"

#define CHUNKED_BUFFER (32u * 1024u)

/* Of a body in the chunked coding the server gives nothing that did not fill the buffer when the connection breaks, so that one is
 * small. */
static size_t buffer_size(const fpd_request *rq)
{
    if (rq->body_kind == FPD_BODY_CHUNKED)
        return CHUNKED_BUFFER;
    return rq->body_length < FPD_BODY_BUFFER ? (size_t)rq->body_length + 1 : FPD_BODY_BUFFER;
}

/* A connection that broke keeps what came, unless that can't be checked any more. */
static void keep(fpd_intake *in, fp_append *append, const char *data, size_t size)
{
    if (in->digest)
        return;
    if (fp_append_write(append, data, size, &in->err) == FILEPROC_OK)
        (void)!fp_append_commit(append, NULL, &in->err);
}

/* Through a buffer that lives only as long as the request. */
static fpd_intake_result receive(fpd_intake *in, fp_append *append, uint64_t limit)
{
    fpd_request *rq = in->rq;
    size_t capacity = buffer_size(rq);
    FPD_MEMORY buf = fpd_memory(capacity);
    fpd_body_result result;
    size_t got;

    if (!buf)
        return FPD_INTAKE_NO_MEMORY;
    if (rq->body_kind == FPD_BODY_LENGTH && rq->body_length > limit)
        return FPD_INTAKE_TOO_LARGE;
    (void)!fpd_body_open(rq, limit);
    while ((result = fpd_body_read(rq, buf, capacity, &got)) == FPD_BODY_OK) {
        if (fp_append_write(append, buf, got, &in->err) < 0)
            return FPD_INTAKE_ERROR;
        if (in->on_bytes)
            in->on_bytes(in);
    }
    if (fpd_writer_leave(&in->place) && result != FPD_BODY_END)
        return FPD_INTAKE_SUPERSEDED;
    if (result == FPD_BODY_CUT)
        keep(in, append, buf, got);
    return result == FPD_BODY_END   ? FPD_INTAKE_OK
           : result == FPD_BODY_CUT ? FPD_INTAKE_CUT
                                    : FPD_INTAKE_TOO_LARGE;
}

static fp_status begin(fpd_intake *in, const fp_upload *upload, uint64_t offset, fp_append **append)
{
    fp_append_options options = FILEPROC_APPEND_OPTIONS_INIT;
    fp_status rc;

    if (in->digest) {
        options.digest_algorithm = in->digest->algorithm;
        options.digest = in->digest->bytes;
        options.digest_size = in->digest->size;
    }
    if (in->rq->body_kind == FPD_BODY_LENGTH)
        options.length = in->rq->body_length;
    rc = fp_append_begin(in->app->uploads, upload->id, offset, &options, append, &in->err);
    if (rc == FILEPROC_OK)
        fpd_writer_enter(in->app->writers, &in->place, upload->id, FPD_WRITER_APPEND,
                         &in->rq->wire);
    return rc;
}

fpd_intake_result fpd_intake_run(fpd_intake *in, const fp_upload *upload, uint64_t offset,
                                 fp_upload **out)
{
    uint64_t end = upload->size_unknown ? (uint64_t)fp_config_int(in->app->config, "MAX_FILE_SIZE")
                                        : upload->size;
    fp_append *append = NULL;
    fpd_intake_result result;

    if (begin(in, upload, offset, &append) < 0)
        return FPD_INTAKE_ERROR;
    result = receive(in, append, end > offset ? end - offset : 0);
    (void)fpd_writer_leave(&in->place);
    if (result == FPD_INTAKE_OK && fp_append_commit(append, out, &in->err) < 0)
        result = FPD_INTAKE_ERROR;
    fp_append_free(append);
    return result;
}

void fpd_intake_problem(fpd_request *rq, fpd_intake_result result)
{
    if (result == FPD_INTAKE_NO_MEMORY)
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    else if (result == FPD_INTAKE_SUPERSEDED)
        fpd_problem(rq, 409, "chunk_superseded", "A newer request has taken this one's place.");
    else
        fpd_body_problem(rq, result == FPD_INTAKE_TOO_LARGE ? FPD_BODY_TOO_LARGE : FPD_BODY_CUT);
}
