/* Owns: reading digests in headers: Content-Digest (RFC 9530), a dictionary of byte sequences; and base64.
 * Must not know: how a digest is computed. */
#ifndef FPD_CONTENT_DIGEST_H
#define FPD_CONTENT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define FPD_DIGEST_BYTES_MAX 64u

typedef struct fpd_digest {
    const char *algorithm; /* static */
    unsigned char bytes[FPD_DIGEST_BYTES_MAX];
    size_t size;
} fpd_digest;

typedef enum fpd_digest_result {
    FPD_DIGEST_OK,
    FPD_DIGEST_UNSUPPORTED, /* well-formed, but none of our algorithms */
    FPD_DIGEST_MALFORMED    /* or the length does not fit the algorithm */
} fpd_digest_result;

/** Picks the strongest of the digests that we know. */
fpd_digest_result fpd_content_digest_parse(const char *value, fpd_digest *out);

/** Standard base64 with padding (RFC 4648 section 4). False when malformed or too long. */
bool fpd_base64_decode(const char *text, size_t size, unsigned char *out, size_t capacity,
                       size_t *got);

#endif
