/* Owns: the record of an upload that callers see: its memory, and how it looks as JSON.
 * Must not know: where its members come from. */
#include "upload/upload_record.h"

#include <string.h>

#include "core/buf_private.h"
#include "core/json.h"

/* What a caller sees is the first member; the texts stand behind. */
typedef struct upload_record {
    fp_upload upload;
    const fp_allocator *a;
    char texts[];
} upload_record;

enum { TEXT_COUNT = 11 };

static void list_texts(fp_upload *u, const char **texts[TEXT_COUNT])
{
    texts[0] = &u->id;
    texts[1] = &u->filename;
    texts[2] = &u->mime_type;
    texts[3] = &u->owner;
    texts[4] = &u->metadata;
    texts[5] = &u->file_id;
    texts[6] = &u->job_id;
    texts[7] = &u->sha256;
    texts[8] = &u->storage_url;
    texts[9] = &u->note;
    texts[10] = &u->expected_sha256;
}

fp_status fpi_upload_copy(const fp_context *ctx, const fp_upload *from, fp_upload **out,
                          fp_error *err)
{
    fp_upload copy = *from;
    const char **texts[TEXT_COUNT];
    size_t size = 0;
    upload_record *r;
    char *end;

    list_texts(&copy, texts);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        size += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    r = fpi_alloc(&ctx->a, sizeof(*r) + size);
    if (!r)
        return fpi_no_memory(err);
    end = r->texts;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        size_t length = *texts[i] ? strlen(*texts[i]) + 1 : 0;

        if (!length)
            continue;
        memcpy(end, *texts[i], length);
        *texts[i] = end;
        end += length;
    }
    copy.struct_size = sizeof(copy);
    r->upload = copy;
    r->a = &ctx->a;
    *out = &r->upload;
    return FILEPROC_OK;
}

void fp_upload_free(fp_upload *upload)
{
    if (upload)
        fpi_free(((upload_record *)upload)->a, upload);
}

static fp_status set_text(json_t *o, const char *key, const char *text, fp_error *err)
{
    return fpi_json_set(o, key, fpi_json_string(text), err);
}

static fp_status set_number(json_t *o, const char *key, uint64_t number, fp_error *err)
{
    return fpi_json_set(o, key, json_integer((json_int_t)number), err);
}

static fp_status set_identity(json_t *o, const fp_upload *u, fp_error *err)
{
    fp_status rc = set_text(o, "id", u->id, err);

    if (rc == FILEPROC_OK)
        rc = set_text(o, "filename", u->filename, err);
    if (rc == FILEPROC_OK)
        rc = u->size_unknown ? fpi_json_set(o, "size", json_null(), err)
                             : set_number(o, "size", u->size, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "mime_type", u->mime_type, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "user_id", u->owner, err);
    return rc;
}

static fp_status set_progress(json_t *o, const fp_upload *u, fp_error *err)
{
    fp_status rc = set_text(o, "status", u->status, err);

    if (rc == FILEPROC_OK)
        rc = set_number(o, "chunks_uploaded", u->chunks_uploaded, err);
    if (rc == FILEPROC_OK)
        rc = set_number(o, "total_chunks", u->total_chunks, err);
    if (rc == FILEPROC_OK)
        rc = set_number(o, "bytes_received", u->bytes_received, err);
    if (rc == FILEPROC_OK)
        rc = set_number(o, "chunk_size", u->chunk_size, err);
    return rc;
}

static fp_status set_times(json_t *o, const fp_upload *u, fp_error *err)
{
    fp_status rc = fpi_json_set(o, "created_at", fpi_json_time(u->created_at_ms), err);

    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "updated_at", fpi_json_time(u->updated_at_ms), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "expires_at", fpi_json_time(u->expires_at_ms), err);
    return rc;
}

static fp_status set_outcome(json_t *o, const fp_upload *u, fp_error *err)
{
    fp_status rc = set_text(o, "file_id", u->file_id, err);

    if (rc == FILEPROC_OK)
        rc = set_text(o, "processing_job_id", u->job_id, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "sha256", u->sha256, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "expected_sha256", u->expected_sha256, err);
    return rc;
}

/* In hundredths: jansson would print 33.33 with all of a double's digits, and printf with the locale's comma. */
static uint64_t hundredths_done(const fp_upload *u)
{
    if (u->size_unknown)
        return 0;
    if (u->total_chunks == 0)
        return 10000;
    return (u->chunks_uploaded * 10000 + u->total_chunks / 2) / u->total_chunks;
}

/* metadata is shown as it was given: taken apart and written again, its numbers would look otherwise. */
static fp_status append_rest(fp_context *ctx, const fp_upload *u, fp_buf *json, fp_error *err)
{
    uint64_t done = hundredths_done(u);

    json->size--; /* the closing brace */
    return fpi_buf_printf(ctx, json, err, ",\"percentage\":%llu.%02llu,\"metadata\":%s}",
                          (unsigned long long)(done / 100), (unsigned long long)(done % 100),
                          u->metadata ? u->metadata : "null");
}

fp_status fp_upload_to_json(fp_context *ctx, const fp_upload *upload, fp_buf *out, fp_error *err)
{
    FPI_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    FPI_CLEANUP(json_t) o = NULL;
    fp_status rc;

    if (!ctx || !upload || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    o = json_object();
    if (!o)
        return fpi_no_memory(err);
    rc = set_identity(o, upload, err);
    if (rc == FILEPROC_OK)
        rc = set_progress(o, upload, err);
    if (rc == FILEPROC_OK)
        rc = set_times(o, upload, err);
    if (rc == FILEPROC_OK)
        rc = set_outcome(o, upload, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_dump(ctx, o, &json, err);
    if (rc == FILEPROC_OK)
        rc = append_rest(ctx, upload, &json, err);
    return rc < 0 ? rc : fpi_buf_append(ctx, out, json.data, json.size, err);
}
