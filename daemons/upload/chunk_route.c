/* Owns: receiving one chunk, bare or as a form's field, straight from the connection into the engine.
 * Must not know: how a chunk becomes durable. */
#include <string.h>

#include "body.h"
#include "content_digest.h"
#include "header_value.h"
#include "multipart.h"
#include "percentage.h"
#include "problem.h"
#include "query.h"
#include "reply.h"
#include "upload_routes.h"

/* What a form may have around the bytes of the chunk: boundaries, header lines, small other fields. */
#define FORM_EXTRA (64u * 1024u)

/* One chunk on its way in. */
typedef struct intake {
    fpd_request *rq;
    fpd_app *app;
    const char *upload_id;
    uint64_t index;
    fp_chunk *chunk;
    fpd_writer place; /* left as soon as nothing more is read */
    fp_error err;
    bool in_file;  /* inside the form's field `file` */
    bool has_file; /* it was there */
    bool answered; /* a problem was sent */
} intake;

static bool refuse(intake *in, int status, const char *code, const char *detail)
{
    fpd_problem(in->rq, status, code, "%s", detail);
    in->answered = true;
    return false;
}

/* chunk_index: no number is a mistyped parameter; a number that no upload has is out of range. */
static bool read_index(fpd_request *rq, uint64_t *index)
{
    char text[64];
    int64_t value = 0;
    bool found;

    if (!fpd_request_query(rq, "chunk_index", text, sizeof(text), &found))
        return false;
    switch (found ? fpd_number_parse(text, &value) : FPD_NUMBER_NONE) {
    case FPD_NUMBER_OK:
        *index = (uint64_t)value;
        return true;
    case FPD_NUMBER_NONE:
        fpd_problem(rq, 422, "parameter_invalid", "%s",
                    found ? "chunk_index is no integer."
                          : "The query parameter chunk_index is missing.");
        return false;
    default:
        fpd_problem(rq, 400, "chunk_index_invalid", "There is no chunk %s.", text);
        return false;
    }
}

/* Reads a Content-Digest; NULL is none. */
static bool read_digest(intake *in, const char *header, fpd_digest *digest,
                        fp_chunk_options *options)
{
    if (!header || !*header)
        return true;
    switch (fpd_content_digest_parse(header, digest)) {
    case FPD_DIGEST_OK:
        options->digest_algorithm = digest->algorithm;
        options->digest = digest->bytes;
        options->digest_size = digest->size;
        return true;
    case FPD_DIGEST_UNSUPPORTED:
        return refuse(in, 400, "digest_unsupported",
                      "Content-Digest has none of sha-256, sha, md5 and crc32c.");
    default:
        return refuse(in, 400, "bad_request", "Content-Digest is malformed.");
    }
}

static bool begin_chunk(intake *in, const char *digest_header)
{
    fp_chunk_options options = FILEPROC_CHUNK_OPTIONS_INIT;
    fpd_digest digest;

    if (!read_digest(in, digest_header, &digest, &options) ||
        fp_chunk_begin(in->app->uploads, in->upload_id, in->index, &options, &in->chunk, &in->err) <
            0)
        return false;
    fpd_writer_enter(in->app->writers, &in->place, in->upload_id, in->index, &in->rq->wire);
    return true;
}

static bool write_chunk(intake *in, const char *data, size_t size)
{
    return fp_chunk_write(in->chunk, data, size, &in->err) == FILEPROC_OK;
}

/* ---- the form ---- */

static bool part_begins(void *user_data, const fpd_multipart_head *head)
{
    intake *in = user_data;

    in->in_file = strcmp(head->name, "file") == 0;
    if (!in->in_file)
        return true;
    if (in->has_file)
        return refuse(in, 422, "parameter_invalid", "The form has two fields called file.");
    in->has_file = true;
    return begin_chunk(in, head->content_digest);
}

static bool part_data(void *user_data, const char *data, size_t size)
{
    intake *in = user_data;

    return !in->in_file || write_chunk(in, data, size);
}

static bool part_ends(void *user_data)
{
    intake *in = user_data;

    in->in_file = false;
    return true;
}

static bool feed_form(intake *in, fpd_multipart *form, const char *data, size_t size)
{
    switch (fpd_multipart_feed(form, data, size)) {
    case FPD_MULTIPART_OK:
        return true;
    case FPD_MULTIPART_STOPPED: /* by one of the events above, which said why */
        return false;
    case FPD_MULTIPART_TOO_LARGE:
        return refuse(in, 400, "bad_request",
                      "The form has too many parts or too long header lines.");
    default:
        return refuse(in, 400, "bad_request", "The form is malformed.");
    }
}

/* ---- the body ---- */

/* Takes the body through a buffer that lives only as long as the request. form is NULL for bare bytes. */
static bool receive(intake *in, fpd_multipart *form, uint64_t limit)
{
    fpd_request *rq = in->rq;
    size_t capacity = rq->body_kind == FPD_BODY_LENGTH && rq->body_length < FPD_BODY_BUFFER
                          ? (size_t)rq->body_length
                          : FPD_BODY_BUFFER;
    FPD_MEMORY buf = fpd_memory(capacity);
    fpd_body_result result;
    size_t got;

    if (!buf)
        return refuse(in, 503, "busy", "The server is out of memory.");
    if (!fpd_body_open(rq, limit)) {
        in->answered = true;
        return false;
    }
    while ((result = fpd_body_read(rq, buf, capacity, &got)) == FPD_BODY_OK)
        if (!(form ? feed_form(in, form, buf, got) : write_chunk(in, buf, got)))
            return false;
    if (fpd_writer_leave(&in->place) && result != FPD_BODY_END)
        return refuse(in, 409, "chunk_superseded", "A newer request sends this chunk.");
    if (result != FPD_BODY_END) {
        fpd_body_problem(rq, result);
        in->answered = true;
    }
    return result == FPD_BODY_END;
}

static bool refuse_length(intake *in, const char *of_what, uint64_t length)
{
    fpd_problem(in->rq, 400, "chunk_length_invalid", "Chunk %llu has %llu bytes, not %s%llu.",
                (unsigned long long)in->index, (unsigned long long)length, of_what,
                (unsigned long long)in->rq->body_length);
    in->answered = true;
    return false;
}

static bool receive_form(intake *in, const char *content_type, uint64_t length)
{
    const fpd_multipart_events events = { part_begins, part_data, part_ends, in };
    fpd_multipart form;

    /* RFC 9530: it would be the digest of the whole form, which nobody means. */
    if (fpd_request_header(in->rq, "Content-Digest"))
        return refuse(in, 400, "digest_unsupported",
                      "With a form, Content-Digest belongs into the header lines of the field.");
    if (!fpd_multipart_init(&form, content_type, &events))
        return refuse(in, 400, "bad_request", "The form's boundary is missing or wrong.");
    if (in->rq->body_kind == FPD_BODY_LENGTH && in->rq->body_length > length + FORM_EXTRA)
        return refuse_length(in, "a form of ", length);
    if (!receive(in, &form, length + FORM_EXTRA))
        return false;
    if (!fpd_multipart_done(&form))
        return refuse(in, 400, "body_incomplete", "The form has no end.");
    return in->has_file ||
           refuse(in, 422, "parameter_invalid", "The form has no field called file.");
}

/* A declared length is known to be wrong before a byte is read. */
static bool receive_bare(intake *in, uint64_t length)
{
    const fpd_request *rq = in->rq;

    if (rq->body_kind != FPD_BODY_CHUNKED && rq->body_length != length)
        return refuse_length(in, "", length);
    return begin_chunk(in, fpd_request_header(rq, "Content-Digest")) && receive(in, NULL, length);
}

/* Who sends a whole file as one chunk learns here that there are several. */
static bool fits(intake *in, uint64_t chunk_size, bool form)
{
    const fpd_request *rq = in->rq;

    if (rq->body_kind != FPD_BODY_LENGTH || rq->body_length <= chunk_size + (form ? FORM_EXTRA : 0))
        return true;
    fpd_problem(
        in->rq, 413, "body_too_large",
        "The body has %llu bytes, and a chunk of this upload %llu bytes at most: chunk_size.",
        (unsigned long long)rq->body_length, (unsigned long long)chunk_size);
    in->answered = true;
    return false;
}

/* Everything that can be refused without reading is, and before a chunk is begun, which would stop another sender of it.
 * What only the engine knows it says when the chunk begins. */
static bool receive_body(intake *in, const fp_upload *upload)
{
    const char *type = fpd_request_header(in->rq, "Content-Type");
    bool form = type && fpd_value_is(type, "multipart/form-data");
    uint64_t first, length = upload->chunk_size;

    if (in->index >= upload->total_chunks)
        return refuse(in, 400, "chunk_index_invalid", "There is no chunk of this index.");
    if (type && !form && !fpd_value_is(type, "application/octet-stream"))
        return refuse(
            in, 415, "unsupported_media_type",
            "A chunk is multipart/form-data with a field called file, or application/octet-stream.");
    if (!fits(in, upload->chunk_size, form))
        return false;
    first = in->index * upload->chunk_size;
    if (upload->size - first < length)
        length = upload->size - first;
    return form ? receive_form(in, type, length) : receive_bare(in, length);
}

static void answer_chunk(fpd_request *rq, const fp_upload *upload, uint64_t index)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(1024);

    fpd_text_printf(
        &json,
        "{\"upload_id\":\"%s\",\"chunk_index\":%llu,\"chunks_uploaded\":%llu,\"total_chunks\":%llu,"
        "\"percentage\":%.2f}",
        upload->id, (unsigned long long)index, (unsigned long long)upload->chunks_uploaded,
        (unsigned long long)upload->total_chunks,
        fpd_percentage(upload->chunks_uploaded, upload->total_chunks, false));
    fpd_reply_json(rq, 200, &json);
}

static bool check_open(intake *in, const fp_upload *upload)
{
    if (strcmp(upload->status, "completed") == 0)
        return refuse(in, 409, "upload_completed", "The upload is complete.");
    if (strcmp(upload->status, "cancelled") == 0)
        return refuse(in, 409, "upload_cancelled", "The upload was cancelled.");
    return true;
}

void fpd_put_chunk(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_upload) before = NULL;
    FPD_CLEANUP(fp_upload) after = NULL;
    intake in = { .rq = rq, .app = app, .upload_id = rq->parameters[0] };
    bool ok;

    if (!read_index(rq, &in.index))
        return;
    ok = fp_upload_get(app->uploads, in.upload_id, &before, &in.err) == FILEPROC_OK &&
         check_open(&in, before) && receive_body(&in, before);
    (void)fpd_writer_leave(&in.place);
    ok = ok && fp_chunk_commit(in.chunk, &after, &in.err) == FILEPROC_OK;
    fp_chunk_free(in.chunk);
    if (ok) {
        fpd_metric_count(app->chunks_uploaded, NULL, 1);
        answer_chunk(rq, after, in.index);
    } else if (!in.answered) {
        fpd_upload_problem(rq, app, &in.err);
    }
}
