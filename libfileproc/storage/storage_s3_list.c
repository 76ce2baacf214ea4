/* Owns: lists of the s3 driver: pages of names, objects without what is staged, ids of what is.
 * Must not know: what a staged name means beyond its id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hex.h"
#include "core/timestamp.h"
#include "storage/storage_s3_private.h"
#include "storage/storage_s3_xml.h"

#define PAGE_MAX 1000u

typedef struct reader {
    fpi_s3_xml *xml;
    const char *root;   /* the store's prefix and what names begin with */
    size_t prefix_size; /* of the store's prefix */
    fpi_s3_listed_fn fn;
    void *user_data;
    bool enough, truncated;
    char key[FPI_S3_KEY_MAX + 1];
    char last[FPI_S3_KEY_MAX + 1]; /* the last name of the page */
    char etag[FPI_S3_ETAG_SIZE];
    fpi_s3_listed e;
} reader;

/* Keys are asked for encoded: XML has no way to write some of the bytes that other programs may put into theirs. */
static bool decode_key(const char *text, char out[FPI_S3_KEY_MAX + 1])
{
    size_t n = 0;

    for (; *text && n < FPI_S3_KEY_MAX; text++, n++) {
        out[n] = *text == '+' ? ' ' : *text;
        if (*text == '%') {
            int high = fpi_hex_digit(text[1]), low = high < 0 ? -1 : fpi_hex_digit(text[2]);

            if (low < 0 || (high | low) == 0)
                return false;
            out[n] = (char)(high << 4 | low);
            text += 2;
        }
    }
    out[n] = '\0';
    return !*text;
}

static fp_status end_of_entry(reader *r, fp_error *err)
{
    fp_status rc;

    memcpy(r->last, r->key, sizeof(r->last));
    if (r->enough || strncmp(r->key, r->root, strlen(r->root)) != 0)
        return FILEPROC_OK;
    r->e.key = r->key + r->prefix_size;
    r->e.etag = r->etag;
    rc = r->fn(r->user_data, &r->e, err);
    if (rc == FPI_HTTP_ENOUGH)
        r->enough = true;
    return rc < 0 ? rc : FILEPROC_OK;
}

static fp_status on_element(void *user_data, const char *parent, const char *name, const char *text,
                            fp_error *err)
{
    reader *r = user_data;

    if (strcmp(parent, "ListBucketResult") == 0) {
        if (strcmp(name, "IsTruncated") == 0)
            r->truncated = strcmp(text, "true") == 0;
        return strcmp(name, "Contents") == 0 ? end_of_entry(r, err) : FILEPROC_OK;
    }
    if (strcmp(parent, "Contents") != 0)
        return FILEPROC_OK;
    if (strcmp(name, "Key") == 0 && !decode_key(text, r->key))
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "a list has a key that is none");
    if (strcmp(name, "Size") == 0)
        r->e.size = strtoull(text, NULL, 10);
    if (strcmp(name, "LastModified") == 0 && fpi_timestamp_parse(text, &r->e.modified_ms, NULL) < 0)
        r->e.modified_ms = 0;
    if (strcmp(name, "ETag") == 0)
        snprintf(r->etag, sizeof(r->etag), "%s", text);
    return FILEPROC_OK;
}

static fp_status feed(void *user_data, int status, const void *data, size_t size, fp_error *err)
{
    reader *r = user_data;

    (void)status;
    return fpi_s3_xml_feed(r->xml, data, size, err);
}

static fp_status make_query(const fpi_s3_store *s, const char *root, const char *after, size_t page,
                            fp_buf *out, fp_error *err)
{
    fp_status rc = fpi_buf_printf(s->ctx, out, err,
                                  "encoding-type=url&list-type=2&max-keys=%zu&prefix=", page);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(s->ctx, out, root, false, err);
    if (rc == FILEPROC_OK && *after)
        rc = fpi_buf_text(s->ctx, out, "&start-after=", err);
    if (rc == FILEPROC_OK && *after)
        rc = fpi_s3_encode(s->ctx, out, after, false, err);
    return rc;
}

static fp_status read_page(fpi_s3_store *s, reader *r, size_t page, fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    fpi_s3_call call = { .method = "GET", .on_body = feed, .user_data = r };
    FPI_CLEANUP(fpi_s3_xml) xml = NULL;
    fp_status rc = make_query(s, r->root, r->last, page, &query, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_xml_new(s->ctx, on_element, r, &xml, err);
    if (rc < 0)
        return rc;
    r->xml = xml;
    r->truncated = false;
    r->last[0] = '\0';
    call.query = query.data;
    rc = fpi_s3_run(s, &call, err);
    return rc < 0 ? rc : fpi_s3_xml_finish(xml, err);
}

fp_status fpi_s3_list_names(fpi_s3_store *s, const char *begin, const char *after, size_t page,
                            fpi_s3_listed_fn fn, void *user_data, fp_error *err)
{
    reader *r = fpi_calloc(&s->ctx->a, 1, sizeof(*r));
    char *root = NULL;
    fp_status rc;

    if (!r)
        return fpi_no_memory(err);
    rc = fpi_s3_name(s, begin, "", &root, err);
    if (rc == FILEPROC_OK) {
        r->root = root;
        r->prefix_size = strlen(s->prefix);
        r->fn = fn;
        r->user_data = user_data;
        if (*after)
            snprintf(r->last, sizeof(r->last), "%s%s", s->prefix, after);
        do
            rc = read_page(s, r, page < PAGE_MAX ? page : PAGE_MAX, err);
        while (rc == FILEPROC_OK && r->truncated && !r->enough && r->last[0]);
    }
    fpi_free(&s->ctx->a, root);
    fpi_free(&s->ctx->a, r);
    return rc;
}

/* What turns names into what the slots are asked for. */
typedef struct listing {
    fp_storage_list_fn fn;
    void *user_data;
    size_t left;
    /* of the assembly whose names come by */
    char id[FPI_KEY_SEGMENT_MAX + 1];
    uint64_t size;
    int64_t modified_ms;
} listing;

static fp_status on_object(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    listing *l = user_data;
    fp_status rc;

    if (e->key[0] == FPI_S3_STAGED[0])
        return FPI_HTTP_ENOUGH;
    if (fpi_key_check(e->key, NULL) < 0)
        return FILEPROC_OK; /* not ours */
    rc = l->fn(l->user_data, e->key, e->size, e->modified_ms, err);
    return rc < 0 ? rc : --l->left ? FILEPROC_OK : FPI_HTTP_ENOUGH;
}

fp_status fpi_s3_list(void *self, const char *prefix, const char *after, size_t limit,
                      fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err)
{
    listing l = { .fn = fn, .user_data = user_data, .left = limit };

    (void)flags;
    return limit ? fpi_s3_list_names(self, prefix, after, limit, on_object, &l, err) : FILEPROC_OK;
}

static fp_status tell_assembly(listing *l, fp_error *err)
{
    fp_status rc;

    if (!l->id[0])
        return FILEPROC_OK;
    rc = l->fn(l->user_data, l->id, l->size, l->modified_ms, err);
    l->id[0] = '\0';
    return rc < 0 ? rc : --l->left ? FILEPROC_OK : FPI_HTTP_ENOUGH;
}

/* Bytes of slots that are parts of a multipart upload have no name of their own: their record tells of them. */
static uint64_t bytes_of(const fpi_s3_listed *e, const char *tail)
{
    fpi_s3_record r;

    return *tail == 'r' && fpi_s3_record_parse(tail + 1, &r) ? r.info.length
           : *tail == 's'                                    ? 0
                                                             : e->size;
}

static fp_status on_staged(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    listing *l = user_data;
    const char *id = e->key + strlen(FPI_S3_STAGED), *end = strchr(id, FPI_S3_ID_END);
    size_t size = end ? (size_t)(end - id) : 0;
    fp_status rc = FILEPROC_OK;

    if (!end || !fpi_key_segment_valid(id, size))
        return FILEPROC_OK;
    if (strncmp(l->id, id, size) != 0 || l->id[size]) {
        rc = tell_assembly(l, err);
        if (rc != FILEPROC_OK)
            return rc;
        memcpy(l->id, id, size);
        l->id[size] = '\0';
        l->size = 0;
        l->modified_ms = 0;
    }
    l->size += bytes_of(e, end + 1);
    if (e->modified_ms > l->modified_ms)
        l->modified_ms = e->modified_ms;
    return FILEPROC_OK;
}

fp_status fpi_s3_list_staged(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                             void *user_data, uint32_t flags, fp_error *err)
{
    listing l = { .fn = fn, .user_data = user_data, .left = limit };
    char behind[sizeof(FPI_S3_STAGED) + FPI_KEY_SEGMENT_MAX + 2];
    fp_status rc;

    (void)flags;
    if (!limit)
        return FILEPROC_OK;
    behind[0] = '\0';
    if (*after) /* behind every name of this assembly, before all others */
        snprintf(behind, sizeof(behind), FPI_S3_STAGED "%s%c", after, FPI_S3_ID_END + 1);
    rc = fpi_s3_list_names(self, FPI_S3_STAGED, behind, 1000, on_staged, &l, err);
    if (rc == FILEPROC_OK && l.left)
        rc = tell_assembly(&l, err);
    return rc < 0 ? rc : FILEPROC_OK;
}
