/* Owns: signatures of S3 requests (AWS Signature Version 4), in a header or in a URL.
 * Must not know: HTTP, what a request means, where keys come from. */
#include "storage/storage_s3_sign.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/ascii.h"
#include "core/digest.h"
#include "core/hex.h"

#define HEX_SIZE (2 * FPI_DIGEST_MAX + 1)
#define DATE_SIZE 8

void fpi_s3_time(int64_t now_ms, char out[FPI_S3_TIME_SIZE])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm t;

    gmtime_r(&seconds, &t);
    snprintf(out, FPI_S3_TIME_SIZE, "%04u%02u%02uT%02u%02u%02uZ",
             (unsigned)(t.tm_year + 1900) % 10000u, (unsigned)(t.tm_mon + 1) % 100u,
             (unsigned)t.tm_mday % 100u, (unsigned)t.tm_hour % 100u, (unsigned)t.tm_min % 100u,
             (unsigned)t.tm_sec % 100u);
}

fp_status fpi_s3_encode(const fp_context *ctx, fp_buf *out, const char *text, bool keep_slash,
                        fp_error *err)
{
    static const char hex[] = "0123456789ABCDEF";
    fp_status rc = fpi_buf_reserve(ctx, out, 3 * strlen(text), err);

    for (; rc == FILEPROC_OK && *text; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[3] = { '%', hex[c >> 4], hex[c & 15] };
        bool plain = fpi_ascii_is_letter(*text) || fpi_ascii_is_digit(*text) ||
                     strchr("-._~", *text) != NULL || (keep_slash && *text == '/');

        rc = fpi_buf_append(ctx, out, plain ? text : escaped, plain ? 1 : 3, err);
    }
    return rc;
}

static void hash_hex(const char *data, size_t size, char out[HEX_SIZE])
{
    unsigned char value[FPI_DIGEST_MAX];
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, data, size);
    fpi_digest_value(&d, value);
    fpi_hex(value, sizeof(value), out);
}

/* The names alone, ";" between. */
static fp_status add_names(const fp_context *ctx, const fpi_s3_message *m, fp_buf *out,
                           fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < m->header_count; i++) {
        rc = i ? fpi_buf_text(ctx, out, ";", err) : FILEPROC_OK;
        if (rc == FILEPROC_OK)
            rc = fpi_buf_append(ctx, out, m->headers[i], strcspn(m->headers[i], ":"), err);
    }
    return rc;
}

static fp_status add_canonical(const fp_context *ctx, const fpi_s3_message *m, const char *query,
                               fp_buf *out, fp_error *err)
{
    fp_status rc = fpi_buf_printf(ctx, out, err, "%s\n%s\n%s\n", m->method, m->path, query);

    for (size_t i = 0; rc == FILEPROC_OK && i < m->header_count; i++)
        rc = fpi_buf_printf(ctx, out, err, "%s\n", m->headers[i]);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_text(ctx, out, "\n", err);
    if (rc == FILEPROC_OK)
        rc = add_names(ctx, m, out, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, out, err, "\n%s", m->payload_hash);
    return rc;
}

/* date -> region -> service -> what it is for */
static fp_status derive_key(const fp_context *ctx, const fpi_s3_signer *s, const char *time,
                            unsigned char key[FPI_DIGEST_MAX], fp_error *err)
{
    char *seed = fpi_printf(&ctx->a, "AWS4%s", s->secret_key);

    if (!seed)
        return fpi_no_memory(err);
    fpi_hmac_sha256(seed, strlen(seed), time, DATE_SIZE, key);
    fpi_hmac_sha256(key, FPI_DIGEST_MAX, s->region, strlen(s->region), key);
    fpi_hmac_sha256(key, FPI_DIGEST_MAX, "s3", 2, key);
    fpi_hmac_sha256(key, FPI_DIGEST_MAX, "aws4_request", 12, key);
    explicit_bzero(seed, strlen(seed));
    fpi_free(&ctx->a, seed);
    return FILEPROC_OK;
}

static fp_status make_signature(const fp_context *ctx, const fpi_s3_signer *s,
                                const fpi_s3_message *m, const char *query, char hex[HEX_SIZE],
                                fp_error *err)
{
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    unsigned char key[FPI_DIGEST_MAX], value[FPI_DIGEST_MAX];
    fp_status rc = add_canonical(ctx, m, query, &text, err);

    if (rc < 0)
        return rc;
    hash_hex(text.data, text.size, hex);
    fp_buf_dispose(&text);
    rc = fpi_buf_printf(ctx, &text, err, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s",
                        m->time, m->time, s->region, hex);
    if (rc == FILEPROC_OK)
        rc = derive_key(ctx, s, m->time, key, err);
    if (rc < 0)
        return rc;
    fpi_hmac_sha256(key, sizeof(key), text.data, text.size, value);
    fpi_hex(value, sizeof(value), hex);
    explicit_bzero(key, sizeof(key));
    return FILEPROC_OK;
}

fp_status fpi_s3_sign(const fp_context *ctx, const fpi_s3_signer *s, const fpi_s3_message *m,
                      fp_buf *out, fp_error *err)
{
    char hex[HEX_SIZE];
    fp_status rc = make_signature(ctx, s, m, m->query, hex, err);

    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, out, err,
                            "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,SignedHeaders=",
                            s->access_key, m->time, s->region);
    if (rc == FILEPROC_OK)
        rc = add_names(ctx, m, out, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, out, err, ",Signature=%s", hex);
    return rc;
}

fp_status fpi_s3_presign(const fp_context *ctx, const fpi_s3_signer *s, const fpi_s3_message *m,
                         uint32_t expires_s, fp_buf *out, fp_error *err)
{
    FPI_DISPOSE(fp_buf) query = FILEPROC_BUF_INIT;
    char hex[HEX_SIZE];
    fp_status rc;

    rc = fpi_buf_text(ctx, &query, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=", err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(ctx, &query, s->access_key, false, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, &query, err, "%%2F%.8s%%2F", m->time);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_encode(ctx, &query, s->region, false, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, &query, err,
                            "%%2Fs3%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%u"
                            "&X-Amz-SignedHeaders=",
                            m->time, expires_s);
    if (rc == FILEPROC_OK)
        rc = add_names(ctx, m, &query, err);
    if (rc == FILEPROC_OK && *m->query)
        rc = fpi_buf_printf(ctx, &query, err, "&%s", m->query);
    if (rc == FILEPROC_OK)
        rc = make_signature(ctx, s, m, query.data, hex, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_printf(ctx, out, err, "%s&X-Amz-Signature=%s", query.data, hex);
    return rc;
}
