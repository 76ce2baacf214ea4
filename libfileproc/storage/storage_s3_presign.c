/* Owns: addresses by which somebody without keys may read or write one object, or one part, for a while.
 * Must not know: who gets them. */
#include <stdio.h>

#include "storage/storage_s3_private.h"

static fp_status presign(fpi_s3_store *s, const char *method, const char *name, const char *query,
                         uint32_t expires_s, fp_buf *url, fp_error *err)
{
    const fpi_s3_signer signer = { s->access_key, s->secret_key, s->region };
    FPI_DISPOSE(fp_buf) path = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) made = FILEPROC_BUF_INIT;
    char time[FPI_S3_TIME_SIZE], *host = fpi_printf(&s->ctx->a, "host:%s", s->host);
    const char *const headers[] = { host };
    fpi_s3_message m = { .method = method,
                         .query = query,
                         .headers = headers,
                         .header_count = 1,
                         .payload_hash = FPI_S3_UNSIGNED,
                         .time = time };
    fp_status rc = host ? fpi_s3_path(s, name, &path, err) : fpi_no_memory(err);

    fpi_s3_time(fpi_now_ms(s->ctx) + atomic_load(&s->skew_ms), time);
    m.path = path.data;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_url(s, path.data, &made, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_text(s->ctx, &made, "?", err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_presign(s->ctx, &signer, &m, expires_s, &made, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_append(s->ctx, url, made.data, made.size, err);
    fpi_free(&s->ctx->a, host);
    return rc;
}

fp_status fpi_s3_presign_object(void *self, const char *key, uint32_t method, uint32_t expires_s,
                                fp_buf *url, fp_error *err)
{
    fpi_s3_store *s = self;
    char *name = NULL;
    fp_status rc = fpi_s3_name(s, key, "", &name, err);

    if (rc == FILEPROC_OK)
        rc = presign(s, method == FILEPROC_PRESIGN_PUT ? "PUT" : "GET", name, "", expires_s, url,
                     err);
    fpi_free(&s->ctx->a, name);
    return rc;
}

static fp_status part_query(fpi_s3_assembly *a, uint64_t offset, fp_buf *query, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&a->lock);
    if (a->published)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
    else if (!a->key[0] && (!a->has_state || a->state.copying))
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly's key is not known");
    else
        rc = fpi_s3_need_state(a, err);
    if (rc == FILEPROC_OK &&
        (a->state.copying || offset % a->state.unit || offset / a->state.unit >= FPI_S3_PARTS_MAX))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "no part of an upload begins at this offset");
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(a->s->ctx, query, err,
                            "partNumber=%u&uploadId=", (unsigned)(offset / a->state.unit) + 1);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(a->s->ctx, query, a->state.upload, false, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

fp_status fpi_s3_presign_part(void *self, void *assembly, uint64_t offset, uint32_t expires_s,
                              fp_buf *url, fp_error *err)
{
    fpi_s3_store *s = self;
    fpi_s3_assembly *a = assembly;
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    char *name = NULL;
    fp_status rc = part_query(a, offset, &query, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_name(s, a->state.key, "", &name, err);
    if (rc == FILEPROC_OK)
        rc = presign(s, "PUT", name, query.data, expires_s, url, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}
