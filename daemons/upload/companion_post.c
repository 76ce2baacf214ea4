/* Owns: a file that comes in one request, as S3's POST has it: a form with the fields key and file, in this order.
 * Must not know: how its bytes become durable. */
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "companion.h"
#include "forwarded.h"
#include "header_value.h"
#include "multipart.h"
#include "problem.h"
#include "reply.h"
#include "upload_routes.h"
#include "writers.h"

/* What a form may have around the bytes of the file. */
#define FORM_EXTRA (64u * 1024u)

/* One on its way in. A request that broke off has left what it brought; the next one sends all of it again, and so much of it
 * is passed over. */
typedef struct posting {
    fpd_request *rq;
    fpd_app *app;
    fpd_text key;
    fp_upload *upload; /* once the key is known */
    fp_append *append; /* NULL when nothing is missing */
    fpd_writer place;
    uint64_t seen; /* bytes of the file so far */
    fp_error err;
    bool in_key, in_file, has_file;
    bool answered; /* a problem was sent */
} posting;

static bool refuse(posting *p, int status, const char *code, const char *detail)
{
    fpd_problem(p->rq, status, code, "%s", detail);
    p->answered = true;
    return false;
}

/* ---- the form ---- */

static bool is_open(posting *p)
{
    if (strcmp(p->upload->status, "cancelled") == 0)
        return refuse(p, 409, "upload_cancelled", "The upload was cancelled.");
    if (strcmp(p->upload->status, "failed") == 0)
        return refuse(p, 409, "upload_cancelled", "The upload has failed.");
    return true;
}

static bool find_upload(posting *p)
{
    const size_t prefix = sizeof(FPD_COMPANION_KEY) - 1;
    const char *key = p->key.data;

    if (!key || p->key.failed || strncmp(key, FPD_COMPANION_KEY, prefix) != 0)
        return refuse(p, 404, "upload_not_found",
                      "In front of the field file there is no field key that we have given out.");
    return fp_upload_get(p->app->uploads, key + prefix, &p->upload, &p->err) == FILEPROC_OK &&
           is_open(p);
}

static bool begin_file(posting *p)
{
    bool whole;

    if (!find_upload(p))
        return false;
    whole = !p->upload->size_unknown && p->upload->offset == p->upload->size;
    if (whole || strcmp(p->upload->status, "completed") == 0)
        return true;
    if (fp_append_begin(p->app->uploads, p->upload->id, p->upload->offset, NULL, &p->append,
                        &p->err) < 0)
        return false;
    fpd_writer_enter(p->app->writers, &p->place, p->upload->id, FPD_WRITER_APPEND, &p->rq->wire);
    return true;
}

static bool part_begins(void *user_data, const fpd_multipart_head *head)
{
    posting *p = user_data;

    p->in_key = !p->has_file && !p->key.size && strcmp(head->name, "key") == 0;
    p->in_file = !p->has_file && strcmp(head->name, "file") == 0; /* what follows it is ignored */
    p->has_file = p->has_file || p->in_file;
    return !p->in_file || begin_file(p);
}

static bool take_bytes(posting *p, const char *data, size_t size)
{
    uint64_t known = p->append ? p->upload->offset : UINT64_MAX;
    size_t skip = p->seen >= known ? 0 : known - p->seen < size ? (size_t)(known - p->seen) : size;

    p->seen += size;
    return skip == size ||
           fp_append_write(p->append, data + skip, size - skip, &p->err) == FILEPROC_OK;
}

static bool part_data(void *user_data, const char *data, size_t size)
{
    posting *p = user_data;

    if (p->in_key)
        fpd_text_append(&p->key, data, size);
    return !p->in_file || take_bytes(p, data, size);
}

static bool part_ends(void *user_data)
{
    posting *p = user_data;

    p->in_key = p->in_file = false;
    return true;
}

/* ---- the body ---- */

static bool feed(posting *p, fpd_multipart *form, const char *data, size_t size)
{
    switch (fpd_multipart_feed(form, data, size)) {
    case FPD_MULTIPART_OK:
        return true;
    case FPD_MULTIPART_STOPPED: /* by one of the events above, which said why */
        return false;
    default:
        return refuse(p, 400, "bad_request", "The form is malformed.");
    }
}

/* Keeps what came before a cut. */
static bool end_early(posting *p, fpd_multipart *form, fpd_body_result result, const char *data,
                      size_t size)
{
    if (fpd_writer_leave(&p->place))
        return refuse(p, 409, "chunk_superseded", "A newer request has taken this one's place.");
    if (result == FPD_BODY_CUT && feed(p, form, data, size) && p->append)
        (void)!fp_append_commit(p->append, NULL, &p->err);
    if (!p->answered)
        fpd_body_problem(p->rq, result);
    p->answered = true;
    return false;
}

static bool receive(posting *p, fpd_multipart *form, uint64_t limit)
{
    FPD_MEMORY buf = fpd_memory(FPD_BODY_BUFFER);
    fpd_body_result result;
    size_t got = 0;

    if (!buf)
        return refuse(p, 503, "busy", "The server is out of memory.");
    if (!fpd_body_open(p->rq, limit)) {
        p->answered = true;
        return false;
    }
    while ((result = fpd_body_read(p->rq, buf, FPD_BODY_BUFFER, &got)) == FPD_BODY_OK)
        if (!feed(p, form, buf, got))
            return false;
    if (result != FPD_BODY_END)
        return end_early(p, form, result, buf, got);
    if (!fpd_multipart_done(form))
        return refuse(p, 400, "body_incomplete", "The form has no end.");
    return p->has_file || refuse(p, 422, "parameter_invalid", "The form has no field called file.");
}

static bool receive_form(posting *p)
{
    const fpd_multipart_events events = { part_begins, part_data, part_ends, p };
    const char *type = fpd_request_header(p->rq, "Content-Type");
    uint64_t limit = (uint64_t)fp_config_int(p->app->config, "MAX_FILE_SIZE") + FORM_EXTRA;
    fpd_multipart form;

    if (!type || !fpd_value_is(type, "multipart/form-data"))
        return refuse(p, 415, "unsupported_media_type", "The body must be multipart/form-data.");
    if (!fpd_multipart_init(&form, type, &events))
        return refuse(p, 400, "bad_request", "The form's boundary is missing or wrong.");
    return receive(p, &form, limit);
}

/* ---- the end ---- */

/* Its size is known now. What an earlier request has done of it is not done again. */
static fp_status finish(posting *p, fp_upload **done)
{
    bool more = p->append && p->seen > p->upload->offset;
    fp_status rc = more ? fp_append_commit(p->append, NULL, &p->err) : FILEPROC_OK;

    if (rc == FILEPROC_OK && p->append)
        rc = fp_upload_set_size(p->app->uploads, p->upload->id, p->seen, &p->err);
    return rc < 0 ? rc : fp_upload_complete(p->app->uploads, p->upload->id, done, &p->err);
}

/* As an S3 server says it; older releases of Uppy wait for ever without an ETag. */
static void tell_object(fpd_request *rq, const fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) url = FPD_TEXT_INIT(8u * 1024u);

    fpd_companion_location(rq, app, upload, &url);
    if (!url.failed)
        fpd_reply_header(rq, "Location", "%s", url.data);
    fpd_reply_header(rq, "ETag", "\"%s\"", upload->file_id);
}

void fpd_companion_post(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    posting p = { .rq = rq, .app = app, .key = FPD_TEXT_INIT(256) };
    FPD_CLEANUP(fp_upload) done = NULL;
    bool ok = receive_form(&p);

    (void)fpd_writer_leave(&p.place);
    ok = ok && finish(&p, &done) == FILEPROC_OK;
    fp_append_free(p.append);
    if (ok) {
        tell_object(rq, app, done);
        fpd_companion_completed(rq, app, done);
    } else if (!p.answered) {
        fpd_companion_problem(rq, app, &p.err);
    }
    fp_upload_free(p.upload);
    fpd_text_dispose(&p.key);
}

/* What Uppy makes of address and key is the file's address. */
void fpd_companion_posted(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error err = { 0 };
    char path[128];

    if (fp_upload_get(app->uploads, rq->parameters[0], &upload, &err) < 0) {
        fpd_companion_problem(rq, app, &err);
        return;
    }
    if (!upload->file_id) {
        fpd_problem(rq, 404, "file_not_found", "The upload is not complete.");
        return;
    }
    snprintf(path, sizeof(path), "/v1/files/%s/content", upload->file_id);
    fpd_forwarded_location(rq, app->limit.proxies, path);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_empty(rq, 302);
}
