/* Owns: a whole slot on its way to the server while its bytes still come.
 * Must not know: parts, records, repeating. The bytes stay with the caller, who can send them again. */
#include <string.h>

#include "storage/storage_s3_private.h"

/* Fewer bytes than this are not worth a system call, as long as more come. */
#define FEED_MIN ((size_t)256 * 1024)

struct fpi_s3_stream {
    const fp_context *ctx;
    fpi_s3_call call;
    fpi_s3_flow flow;
    const unsigned char *bytes;
    size_t size, filled, sent;
    size_t offered; /* how many there were when curl was last asked to go on */
};

static fp_status pull(void *user_data, void *buf, size_t cap, size_t *got, fp_error *err)
{
    fpi_s3_stream *st = user_data;
    size_t n = st->filled - st->sent < cap ? st->filled - st->sent : cap;

    (void)err;
    if (n == 0 && st->sent < st->size)
        return FPI_HTTP_LATER;
    memcpy(buf, st->bytes + st->sent, n);
    st->sent += n;
    *got = n;
    return FILEPROC_OK;
}

static void rewind_body(void *user_data)
{
    fpi_s3_stream *st = user_data;

    st->sent = 0;
}

/* Where the slot goes: a part of the upload, or an object of its own. */
static fp_status find_place(const fpi_s3_assembly *a, uint64_t slot, uint32_t seq, char **name,
                            fp_buf *query, fp_error *err)
{
    fp_status rc;

    if (a->state.copying)
        return fpi_s3_slot_name(a, slot, seq, name, err);
    rc = fpi_s3_name(a->s, a->state.key, "", name, err);
    return rc < 0 ? rc : fpi_s3_part_query(a->s, (uint32_t)slot + 1, a->state.upload, query, err);
}

fp_status fpi_s3_stream_begin(fpi_s3_assembly *a, const fpi_s3_stream_slot *slot,
                              fpi_s3_stream **out, fp_error *err)
{
    const fp_allocator *alloc = &a->s->ctx->a;
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    fpi_s3_stream *st = fpi_calloc(alloc, 1, sizeof(*st));
    char *name = NULL;
    fp_status rc;

    if (!st)
        return fpi_no_memory(err);
    st->ctx = a->s->ctx;
    st->bytes = slot->bytes;
    st->size = slot->size;
    rc = find_place(a, slot->number, slot->seq, &name, &query, err);
    st->call = (fpi_s3_call){ .method = "PUT",
                              .key = name,
                              .query = query.data,
                              .has_body = true,
                              .body_hash = slot->hash,
                              .pull = pull,
                              .rewind = rewind_body,
                              .body_size = slot->size,
                              .user_data = st };
    if (rc == FILEPROC_OK)
        rc = fpi_s3_flow_begin(&st->flow, a->s, &st->call, err);
    fpi_free(alloc, name);
    if (rc == FILEPROC_OK)
        *out = st;
    else
        fpi_free(alloc, st);
    return rc;
}

bool fpi_s3_stream_feed(fpi_s3_stream *st, size_t filled)
{
    st->filled = filled;
    if (filled - st->offered >= FEED_MIN || filled == st->size) {
        st->offered = filled;
        fpi_http_advance(st->flow.http);
    }
    return !fpi_http_ended(st->flow.http);
}

fp_status fpi_s3_stream_end(fpi_s3_stream *st, char etag[FPI_S3_ETAG_SIZE], fp_error *err)
{
    fp_status rc = fpi_s3_flow_end(&st->flow, err);

    if (rc == FILEPROC_OK && st->sent < st->size)
        rc = fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the server has answered too early");
    if (rc == FILEPROC_OK && !st->call.etag[0])
        rc = fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the server gives no ETag for a part");
    if (rc == FILEPROC_OK)
        memcpy(etag, st->call.etag, FPI_S3_ETAG_SIZE);
    fpi_free(&st->ctx->a, st);
    return rc;
}

void fpi_s3_stream_drop(fpi_s3_stream *st)
{
    if (!st)
        return;
    fpi_s3_flow_drop(&st->flow);
    fpi_free(&st->ctx->a, st);
}
