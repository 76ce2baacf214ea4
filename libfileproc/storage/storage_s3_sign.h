/* Owns: signatures of S3 requests (AWS Signature Version 4), in a header or in a URL.
 * Must not know: HTTP, what a request means, where keys come from. */
#ifndef FPI_STORAGE_S3_SIGN_H
#define FPI_STORAGE_S3_SIGN_H

#include <stdbool.h>

#include "core/buf_private.h"

/** "20130524T000000Z" and the NUL. */
#define FPI_S3_TIME_SIZE 17u
/** The hash of a body that is not hashed. */
#define FPI_S3_UNSIGNED "UNSIGNED-PAYLOAD"

typedef struct fpi_s3_signer {
    const char *access_key;
    const char *secret_key;
    const char *region;
} fpi_s3_signer;

/** What is signed. path and query are in the form that is sent, which is the canonical one: encoded once, parameters in the
 *  order of their names and all with a '='. headers are "name:value", lower case, in the order of their names. */
typedef struct fpi_s3_message {
    const char *method;
    const char *path;
    const char *query; /* "" = none */
    const char *const *headers;
    size_t header_count;
    const char *payload_hash; /* hex, or FPI_S3_UNSIGNED */
    const char *time;         /* fpi_s3_time() */
} fpi_s3_message;

void fpi_s3_time(int64_t now_ms, char out[FPI_S3_TIME_SIZE]);

/** Appends the value of the Authorization header. */
fp_status fpi_s3_sign(const fp_context *ctx, const fpi_s3_signer *s, const fpi_s3_message *m,
                      fp_buf *out, fp_error *err);

/** Appends the query string of a URL that is valid for so many seconds: m's query (whose parameters must come
 *  behind "X-Amz-" in the order of bytes), then the signature. */
fp_status fpi_s3_presign(const fp_context *ctx, const fpi_s3_signer *s, const fpi_s3_message *m,
                         uint32_t expires_s, fp_buf *out, fp_error *err);

/** Appends text with everything encoded but letters, digits, "-._~" and, with keep_slash, '/'. */
fp_status fpi_s3_encode(const fp_context *ctx, fp_buf *out, const char *text, bool keep_slash,
                        fp_error *err);

#endif
