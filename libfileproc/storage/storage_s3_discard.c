/* Owns: removing what is staged: of one assembly, and uploads that nobody knows of any more.
 * Must not know: how assemblies are written. */
#include <string.h>

#include "core/digest.h"
#include "core/timestamp.h"
#include "storage/storage_s3_private.h"
#include "storage/storage_s3_xml.h"

#define DELETE_MAX 1000u
#define REAP_MAX 1000u

/* Names, each with a NUL behind it. */
typedef struct names {
    fpi_s3_store *s;
    fp_buf text;
    size_t count;
    bool state;
} names;

static void names_dispose(names *n)
{
    fp_buf_dispose(&n->text);
}
FPI_DEFINE_DISPOSE(names, names_dispose)

static fp_status add_name(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    names *n = user_data;
    const char *end = strchr(e->key, FPI_S3_ID_END);
    fp_status rc;

    if (strcmp(end + 1, "u") ==
        0) { /* goes last: it is what finds the upload again when this is interrupted */
        n->state = true;
        return FILEPROC_OK;
    }
    rc = fpi_buf_text(n->s->ctx, &n->text, n->s->prefix, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_append(n->s->ctx, &n->text, e->key, strlen(e->key) + 1, err);
    n->count += rc == FILEPROC_OK;
    return rc;
}

static fp_status find_names(names *n, const char *id, fp_error *err)
{
    char *begin = fpi_printf(&n->s->ctx->a, FPI_S3_STAGED "%s%c", id, FPI_S3_ID_END);
    fp_status rc;

    if (!begin)
        return fpi_no_memory(err);
    rc = fpi_s3_list_names(n->s, begin, "", 1000, add_name, n, err);
    fpi_free(&n->s->ctx->a, begin);
    return rc;
}

typedef struct deletion {
    fpi_s3_xml *xml;
    char code[64];
} deletion;

static fp_status on_deleted(void *user_data, const char *parent, const char *name, const char *text,
                            fp_error *err)
{
    deletion *d = user_data;
    size_t n = strlen(text);

    (void)err;
    if (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0 && n < sizeof(d->code))
        memcpy(d->code, text, n + 1);
    return FILEPROC_OK;
}

static fp_status feed(void *user_data, int status, const void *data, size_t size, fp_error *err)
{
    deletion *d = user_data;

    (void)status;
    return fpi_s3_xml_feed(d->xml, data, size, err);
}

/* Keys are ours: none has a character that XML would want escaped. */
static fp_status delete_body(const names *n, const char **at, size_t count, fp_buf *body,
                             fp_error *err)
{
    fp_status rc = fpi_buf_text(n->s->ctx, body, "<Delete><Quiet>true</Quiet>", err);

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++, *at += strlen(*at) + 1)
        rc = fpi_buf_printf(n->s->ctx, body, err, "<Object><Key>%s</Key></Object>", *at);
    return rc < 0 ? rc : fpi_buf_text(n->s->ctx, body, "</Delete>", err);
}

static fp_status delete_many(names *n, const char **at, size_t count, fp_error *err)
{
    FPI_DISPOSE(fp_buf) body = FILEPROC_BUF_INIT;
    FPI_CLEANUP(fpi_s3_xml) xml = NULL;
    char digest[] = "content-md5:AAAAAAAAAAAAAAAAAAAAAA==";
    deletion d = { 0 };
    fpi_s3_call call = { .method = "POST",
                         .query = "delete=",
                         .extra = { digest },
                         .extra_count = 1,
                         .piece_count = 1,
                         .has_body = true,
                         .on_body = feed,
                         .user_data = &d };
    unsigned char md5[FPI_DIGEST_MAX];
    fpi_digest sum;
    fp_status rc = delete_body(n, at, count, &body, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_xml_new(n->s->ctx, on_deleted, &d, &xml, err);
    if (rc < 0)
        return rc;
    d.xml = xml;
    call.pieces[0] = (fpi_http_piece){ body.data, body.size };
    fpi_digest_init(&sum, FPI_DIGEST_MD5);
    fpi_digest_update(&sum, body.data, body.size);
    fpi_digest_value(&sum, md5);
    fpi_base64(md5, 16, digest + strlen("content-md5:"));
    rc = fpi_s3_run(n->s, &call, err);
    if (rc == FILEPROC_OK && d.code[0])
        return fpi_s3_refused("s3 delete", 200, d.code, err);
    return rc;
}

static fp_status delete_names(names *n, fp_error *err)
{
    const char *at = n->text.data;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && n->count) {
        size_t count = n->count < DELETE_MAX ? n->count : DELETE_MAX;

        if (count > 1) {
            rc = delete_many(n, &at, count, err);
        } else {
            rc = fpi_s3_delete(n->s, at, err);
            at += strlen(at) + 1;
        }
        n->count -= count;
    }
    return rc;
}

static fp_status abort_upload(fpi_s3_store *s, const fpi_s3_state *st, fp_error *err)
{
    char *name = NULL;
    fp_status rc;

    if (!st->upload[0])
        return FILEPROC_OK;
    rc = fpi_s3_name(s, st->key, "", &name, err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_abort(s, name, st->upload, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}

static fp_status end_upload(fpi_s3_store *s, const char *id, fp_error *err)
{
    fpi_s3_state *st = fpi_alloc(&s->ctx->a, sizeof(*st));
    fp_error ours = { 0 };
    fp_status rc;

    if (!st)
        return fpi_no_memory(err);
    rc = fpi_s3_state_load(s, id, st, &ours);
    if (rc == FILEPROC_OK)
        rc = abort_upload(s, st, &ours);
    fpi_free(&s->ctx->a, st);
    /* A state that can't be read names no upload: the reaper finds it by its age. */
    if (rc == FILEPROC_OK || rc == FILEPROC_ERR_NOTFOUND || rc == FILEPROC_ERR_CORRUPT)
        return FILEPROC_OK;
    if (err)
        *err = ours;
    return rc;
}

fp_status fpi_s3_discard(void *self, const char *id, uint32_t flags, fp_error *err)
{
    fpi_s3_store *s = self;
    FPI_DISPOSE(names) n = { .s = s };
    char *name = NULL;
    fp_status rc = find_names(&n, id, err);

    (void)flags;
    if (rc == FILEPROC_OK && n.state)
        rc = end_upload(s, id, err);
    if (rc == FILEPROC_OK)
        rc = delete_names(&n, err);
    if (rc == FILEPROC_OK && n.state)
        rc = fpi_s3_staged_name(s, id, 'u', "", &name, err);
    if (rc == FILEPROC_OK && name)
        rc = fpi_s3_delete(s, name, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}

/* An upload under our prefix that is old: it is aborted unless the state of an assembly names it. */
typedef struct upload {
    char key[FPI_S3_KEY_MAX + 1];
    char id[FPI_S3_UPLOAD_ID_SIZE];
    int64_t begun_ms;
    bool known;
} upload;

typedef struct reaping {
    fpi_s3_store *s;
    fpi_s3_xml *xml;
    int64_t before_ms;
    upload next; /* the one that is read */
    upload *uploads;
    size_t count;
    bool truncated;
    char marker[FPI_S3_KEY_MAX + 1], id_marker[FPI_S3_UPLOAD_ID_SIZE];
    names states;
} reaping;

static void copy(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    if (n >= size)
        n = 0;
    memcpy(out, text, n);
    out[n] = '\0';
}

static void end_of_upload(reaping *r)
{
    size_t prefix = strlen(r->s->prefix);

    if (r->next.begun_ms && r->next.begun_ms < r->before_ms && r->count < REAP_MAX &&
        strncmp(r->next.key, r->s->prefix, prefix) == 0 &&
        fpi_key_check(r->next.key + prefix, NULL) == FILEPROC_OK)
        r->uploads[r->count++] = r->next;
    r->next = (upload){ .key = "" };
}

static fp_status on_upload_element(void *user_data, const char *parent, const char *name,
                                   const char *text, fp_error *err)
{
    reaping *r = user_data;

    (void)err;
    if (strcmp(parent, "Upload") == 0) {
        if (strcmp(name, "Key") == 0)
            copy(r->next.key, sizeof(r->next.key), text);
        else if (strcmp(name, "UploadId") == 0)
            copy(r->next.id, sizeof(r->next.id), text);
        else if (strcmp(name, "Initiated") == 0 &&
                 fpi_timestamp_parse(text, &r->next.begun_ms, NULL) < 0)
            r->next.begun_ms = 0;
    } else if (strcmp(name, "Upload") == 0) {
        end_of_upload(r);
    } else if (strcmp(name, "IsTruncated") == 0) {
        r->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "NextKeyMarker") == 0) {
        copy(r->marker, sizeof(r->marker), text);
    } else if (strcmp(name, "NextUploadIdMarker") == 0) {
        copy(r->id_marker, sizeof(r->id_marker), text);
    }
    return FILEPROC_OK;
}

static fp_status feed_uploads(void *user_data, int status, const void *data, size_t size,
                              fp_error *err)
{
    reaping *r = user_data;

    (void)status;
    return fpi_s3_xml_feed(r->xml, data, size, err);
}

static fp_status uploads_query(const reaping *r, fp_buf *out, fp_error *err)
{
    const fp_context *ctx = r->s->ctx;
    fp_status rc = FILEPROC_OK;

    if (r->marker[0])
        rc = fpi_buf_text(ctx, out, "key-marker=", err);
    if (rc == FILEPROC_OK && r->marker[0])
        rc = fpi_s3_encode(ctx, out, r->marker, false, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, out, err, "%sprefix=", r->marker[0] ? "&" : "");
    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(ctx, out, r->s->prefix, false, err);
    if (rc == FILEPROC_OK && r->id_marker[0])
        rc = fpi_buf_text(ctx, out, "&upload-id-marker=", err);
    if (rc == FILEPROC_OK && r->id_marker[0])
        rc = fpi_s3_encode(ctx, out, r->id_marker, false, err);
    return rc < 0 ? rc : fpi_buf_text(ctx, out, "&uploads=", err);
}

static fp_status uploads_page(reaping *r, fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    FPI_CLEANUP(fpi_s3_xml) xml = NULL;
    fpi_s3_call call = { .method = "GET", .on_body = feed_uploads, .user_data = r };
    fp_status rc = uploads_query(r, &query, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_xml_new(r->s->ctx, on_upload_element, r, &xml, err);
    if (rc < 0)
        return rc;
    r->xml = xml;
    r->truncated = false;
    call.query = query.data;
    rc = fpi_s3_run(r->s, &call, err);
    return rc < 0 ? rc : fpi_s3_xml_finish(xml, err);
}

/* Only assemblies that have a state can know an upload. */
static fp_status on_staged(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    reaping *r = user_data;
    const char *id = e->key + strlen(FPI_S3_STAGED), *end = strchr(id, FPI_S3_ID_END);
    fp_status rc;

    if (!end || strcmp(end + 1, "u") != 0 || !fpi_key_segment_valid(id, (size_t)(end - id)))
        return FILEPROC_OK;
    rc = fpi_buf_append(r->s->ctx, &r->states.text, id, (size_t)(end - id), err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_append(r->s->ctx, &r->states.text, "", 1, err);
    r->states.count += rc == FILEPROC_OK;
    return rc;
}

/* A state that vanishes meanwhile was discarded, and its upload aborted. */
static fp_status spare_upload_of(reaping *r, const char *id, fpi_s3_state *st, fp_error *err)
{
    fp_error ours = { 0 };
    fp_status rc = fpi_s3_state_load(r->s, id, st, &ours);

    for (size_t i = 0; rc == FILEPROC_OK && i < r->count; i++)
        r->uploads[i].known |= strcmp(r->uploads[i].id, st->upload) == 0;
    if (rc == FILEPROC_ERR_NOTFOUND || rc == FILEPROC_ERR_CORRUPT)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = ours;
    return rc;
}

static fp_status spare_known(reaping *r, fp_error *err)
{
    fpi_s3_state *st = fpi_alloc(&r->s->ctx->a, sizeof(*st));
    const char *id = r->states.text.data;
    fp_status rc = FILEPROC_OK;

    if (!st)
        return fpi_no_memory(err);
    for (size_t i = 0; rc == FILEPROC_OK && i < r->states.count; i++, id += strlen(id) + 1)
        rc = spare_upload_of(r, id, st, err);
    fpi_free(&r->s->ctx->a, st);
    return rc;
}

static fp_status abort_unknown(reaping *r, uint64_t *count, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < r->count; i++) {
        if (r->uploads[i].known)
            continue;
        rc = fpi_s3_multipart_abort(r->s, r->uploads[i].key, r->uploads[i].id, err);
        *count += rc == FILEPROC_OK;
    }
    return rc;
}

static fp_status reap(reaping *r, uint64_t *count, fp_error *err)
{
    fp_status rc;

    do
        rc = uploads_page(r, err);
    while (rc == FILEPROC_OK && r->truncated && r->count < REAP_MAX && r->marker[0]);
    if (rc == FILEPROC_OK &&
        r->count) /* uploads first: a state that is written meanwhile names a younger one */
        rc = fpi_s3_list_names(r->s, FPI_S3_STAGED, "", 1000, on_staged, r, err);
    if (rc == FILEPROC_OK && r->count)
        rc = spare_known(r, err);
    return rc < 0 ? rc : abort_unknown(r, count, err);
}

fp_status fpi_s3_reap(void *self, int64_t older_than_ms, uint64_t *count, fp_error *err)
{
    fpi_s3_store *s = self;
    reaping *r = fpi_calloc(&s->ctx->a, 1, sizeof(*r));
    fp_status rc;

    if (!r)
        return fpi_no_memory(err);
    r->s = s;
    r->states.s = s;
    /* By the server's clock, since it is its times that are compared. */
    r->before_ms = fpi_now_ms(s->ctx) + atomic_load(&s->skew_ms) - older_than_ms;
    r->uploads = fpi_calloc(&s->ctx->a, REAP_MAX, sizeof(*r->uploads));
    *count = 0;
    rc = r->uploads ? reap(r, count, err) : fpi_no_memory(err);
    fp_buf_dispose(&r->states.text);
    fpi_free(&s->ctx->a, r->uploads);
    fpi_free(&s->ctx->a, r);
    return rc;
}
