/* Owns: the requests of a multipart upload.
 * Must not know: which bytes are which part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage_s3_private.h"
#include "storage/storage_s3_xml.h"

/* What the answers of all of them may hold. */
typedef struct answer {
    fpi_s3_xml *xml;
    char upload[FPI_S3_UPLOAD_ID_SIZE];
    char code[64]; /* of an <Error>, which can come with status 200, too */
    char etag[FPI_S3_ETAG_SIZE];
    /* ListParts */
    fpi_s3_tag tag;
    uint64_t size;
    bool truncated;
    uint32_t next;
    fp_status (*fn)(void *user_data, const fpi_s3_tag *tag, uint64_t size, fp_error *err);
    void *user_data;
} answer;

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static fp_status on_part_element(answer *a, const char *name, const char *text)
{
    if (strcmp(name, "PartNumber") == 0)
        a->tag.number = (uint32_t)strtoul(text, NULL, 10);
    else if (strcmp(name, "ETag") == 0)
        copy(a->tag.etag, sizeof(a->tag.etag), text);
    else if (strcmp(name, "Size") == 0)
        a->size = strtoull(text, NULL, 10);
    return FILEPROC_OK;
}

static fp_status end_of_part(answer *a, fp_error *err)
{
    if (a->tag.number < 1 || a->tag.number > FPI_S3_PARTS_MAX)
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL,
                             "a list of parts has a number out of range");
    a->next = a->tag.number;
    return a->fn ? a->fn(a->user_data, &a->tag, a->size, err) : FILEPROC_OK;
}

static fp_status on_element(void *user_data, const char *parent, const char *name, const char *text,
                            fp_error *err)
{
    answer *a = user_data;

    if (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0)
        copy(a->code, sizeof(a->code), text);
    else if (strcmp(name, "UploadId") == 0)
        copy(a->upload, sizeof(a->upload), strlen(text) < sizeof(a->upload) ? text : "");
    else if (strcmp(parent, "Part") == 0)
        return on_part_element(a, name, text);
    else if (strcmp(name, "Part") == 0)
        return end_of_part(a, err);
    else if (strcmp(name, "IsTruncated") == 0)
        a->truncated = strcmp(text, "true") == 0;
    else if (strcmp(parent, "CopyPartResult") == 0 && strcmp(name, "ETag") == 0)
        copy(a->etag, sizeof(a->etag), text);
    return FILEPROC_OK;
}

static fp_status feed(void *user_data, int status, const void *data, size_t size, fp_error *err)
{
    answer *a = user_data;

    (void)status;
    return fpi_s3_xml_feed(a->xml, data, size, err);
}

/* An answer that must be XML. With status 200 it may still be an error: long requests begin to answer before they know. */
static fp_status ask(fpi_s3_store *s, fpi_s3_call *call, answer *a, fp_error *err)
{
    FPI_CLEANUP(fpi_s3_xml) xml = NULL;
    fp_status rc = fpi_s3_xml_new(s->ctx, on_element, a, &xml, err);

    if (rc < 0)
        return rc;
    a->xml = xml;
    call->on_body = feed;
    call->user_data = a;
    rc = fpi_s3_run(s, call, err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_xml_finish(xml, err);
    if (rc == FILEPROC_OK && a->code[0]) {
        copy(call->code, sizeof(call->code), a->code);
        return fpi_s3_refused("s3", strcmp(a->code, "InternalError") == 0 ? 500 : 200, a->code,
                              err);
    }
    return rc;
}

fp_status fpi_s3_part_query(const fpi_s3_store *s, uint32_t number, const char *upload, fp_buf *out,
                            fp_error *err)
{
    fp_status rc = number ? fpi_buf_printf(s->ctx, out, err, "partNumber=%u&uploadId=", number)
                          : fpi_buf_text(s->ctx, out, "uploadId=", err);

    return rc < 0 ? rc : fpi_s3_encode(s->ctx, out, upload, false, err);
}

fp_status fpi_s3_multipart_create(fpi_s3_store *s, const char *name, const char *assembly,
                                  char upload[FPI_S3_UPLOAD_ID_SIZE], fp_error *err)
{
    char meta[sizeof(FPI_S3_META) + FPI_KEY_SEGMENT_MAX + 2];
    fpi_s3_call call = { .method = "POST",
                         .key = name,
                         .query = "uploads=",
                         .has_body = true,
                         .extra = { meta },
                         .extra_count = 1 };
    answer a = { 0 };
    fp_status rc;

    snprintf(meta, sizeof(meta), FPI_S3_META ":%s", assembly);
    rc = ask(s, &call, &a, err);
    if (rc < 0)
        return rc;
    if (!a.upload[0])
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the server gives no upload id");
    memcpy(upload, a.upload, sizeof(a.upload));
    return FILEPROC_OK;
}

static fp_status need_etag(fpi_s3_tag *tag, uint32_t number, const char *etag, fp_error *err)
{
    if (!*etag)
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the server gives no ETag for a part");
    tag->number = number;
    copy(tag->etag, sizeof(tag->etag), etag);
    return FILEPROC_OK;
}

fp_status fpi_s3_multipart_put(fpi_s3_store *s, const char *name, const char *upload,
                               fpi_http_piece data, const char *hash, fpi_s3_tag *tag,
                               fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    fpi_s3_call call = { .method = "PUT",
                         .key = name,
                         .has_body = true,
                         .pieces = { data },
                         .piece_count = 1,
                         .body_hash = hash };
    fp_status rc = fpi_s3_part_query(s, tag->number, upload, &query, err);

    call.query = query.data;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_run(s, &call, err);
    return rc < 0 ? rc : need_etag(tag, tag->number, call.etag, err);
}

fp_status fpi_s3_multipart_copy(fpi_s3_store *s, const char *name, const char *upload,
                                uint32_t number, const char *source, fpi_s3_tag *tag, fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) from = FILEPROC_BUF_INIT;
    fpi_s3_call call = {
        .method = "PUT", .key = name, .has_body = true, .patient = true, .extra_count = 1
    };
    answer a = { 0 };
    fp_status rc = fpi_s3_part_query(s, number, upload, &query, err);

    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(s->ctx, &from, err, "x-amz-copy-source:/%s/", s->bucket);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(s->ctx, &from, source, true, err);
    call.query = query.data;
    call.extra[0] = from.data;
    if (rc == FILEPROC_OK)
        rc = ask(s, &call, &a, err);
    return rc < 0 ? rc : need_etag(tag, number, a.etag, err);
}

static fp_status list_page(fpi_s3_store *s, const char *name, const char *upload, answer *a,
                           fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    fpi_s3_call call = { .method = "GET", .key = name };
    fp_status rc = FILEPROC_OK;

    if (a->next)
        rc = fpi_buf_printf(s->ctx, &query, err, "part-number-marker=%u&", a->next);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_part_query(s, 0, upload, &query, err);
    a->truncated = false;
    call.query = query.data;
    return rc < 0 ? rc : ask(s, &call, a, err);
}

fp_status fpi_s3_multipart_list(fpi_s3_store *s, const char *name, const char *upload,
                                fp_status (*fn)(void *user_data, const fpi_s3_tag *tag,
                                                uint64_t size, fp_error *err),
                                void *user_data, fp_error *err)
{
    answer a = { .fn = fn, .user_data = user_data };
    uint32_t before;
    fp_status rc;

    do {
        before = a.next;
        rc = list_page(s, name, upload, &a, err);
    } while (rc == FILEPROC_OK && a.truncated && a.next > before);
    return rc;
}

static fp_status complete_body(const fpi_s3_store *s, const fpi_s3_tag *tags, size_t count,
                               fp_buf *out, fp_error *err)
{
    fp_status rc = fpi_buf_text(s->ctx, out, "<CompleteMultipartUpload>", err);

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        if (!tags[i].number)
            continue;
        rc = fpi_buf_printf(s->ctx, out, err, "<Part><PartNumber>%u</PartNumber><ETag>",
                            tags[i].number);
        for (const char *c = tags[i].etag; rc == FILEPROC_OK && *c; c++)
            rc = *c == '"' ? fpi_buf_text(s->ctx, out, "&quot;", err)
                 : *c == '&' || *c == '<' || *c == '>'
                     ? fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "an ETag is none")
                     : fpi_buf_append(s->ctx, out, c, 1, err);
        if (rc == FILEPROC_OK)
            rc = fpi_buf_text(s->ctx, out, "</ETag></Part>", err);
    }
    return rc < 0 ? rc : fpi_buf_text(s->ctx, out, "</CompleteMultipartUpload>", err);
}

fp_status fpi_s3_multipart_complete(fpi_s3_store *s, const char *name, const char *upload,
                                    const fpi_s3_tag *tags, size_t count, bool exclusive,
                                    fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) body = FILEPROC_BUF_INIT;
    fpi_s3_call call = {
        .method = "POST", .key = name, .has_body = true, .patient = true, .piece_count = 1
    };
    bool conditional = false;
    answer a = { 0 };
    fp_status rc = fpi_s3_part_query(s, 0, upload, &query, err);

    if (rc == FILEPROC_OK && exclusive)
        rc = fpi_s3_conditional(s, &conditional, err);
    if (rc == FILEPROC_OK)
        rc = complete_body(s, tags, count, &body, err);
    if (rc < 0)
        return rc;
    call.query = query.data;
    call.pieces[0] = (fpi_http_piece){ body.data, body.size };
    if (conditional)
        call.extra[call.extra_count++] = "if-none-match:*";
    return ask(s, &call, &a, err);
}

fp_status fpi_s3_multipart_abort(fpi_s3_store *s, const char *name, const char *upload,
                                 fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    fpi_s3_call call = { .method = "DELETE", .key = name };
    fp_error ours = { 0 };
    fp_status rc = fpi_s3_part_query(s, 0, upload, &query, err);

    if (rc < 0)
        return rc;
    call.query = query.data;
    rc = fpi_s3_run(s, &call, &ours);
    if (rc == FILEPROC_ERR_NOTFOUND)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = ours;
    return rc;
}
