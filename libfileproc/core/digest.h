/* Owns: streaming digests, and the state of a SHA-256 that can be kept and taken up again.
 * Must not know: whose bytes they are. */
#ifndef FPI_DIGEST_H
#define FPI_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/error.h>

/** Names as in the "Hash Algorithms for HTTP Digest Fields" registry of RFC 9530. */
typedef enum fpi_digest_algorithm {
    FPI_DIGEST_SHA256 = 1, /* "sha-256" */
    FPI_DIGEST_MD5 = 2,    /* "md5" */
    FPI_DIGEST_SHA1 = 3,   /* "sha" */
    FPI_DIGEST_CRC32C = 4  /* "crc32c" */
} fpi_digest_algorithm;

#define FPI_DIGEST_MAX 32u
/** A SHA-256 state at rest: 8 words, length, 64 bytes of tail, its fill. */
#define FPI_SHA256_STATE_SIZE 112u

/** A running digest. Plain memory: copying the struct copies the state, nothing needs freeing. */
typedef struct fpi_digest {
    fpi_digest_algorithm algorithm;
    uint32_t crc;
    union {
        uint64_t align;
        unsigned char bytes[256];
    } state;
} fpi_digest;

/** FILEPROC_ERR_INVALID with digest_unsupported for an unknown name; compares without case. */
fp_status fpi_digest_by_name(const char *name, fpi_digest_algorithm *algorithm, fp_error *err);
size_t fpi_digest_size(fpi_digest_algorithm algorithm);
void fpi_digest_init(fpi_digest *d, fpi_digest_algorithm algorithm);
void fpi_digest_update(fpi_digest *d, const void *data, size_t size);
/** Leaves d as it is, so more can be added afterwards. */
void fpi_digest_value(const fpi_digest *d, unsigned char out[FPI_DIGEST_MAX]);
/** size bytes as base64 (RFC 4648 section 4): (size + 2) / 3 * 4 characters and a NUL. */
void fpi_base64(const unsigned char *data, size_t size, char *out);
/** HMAC (RFC 2104) with SHA-256: FPI_DIGEST_MAX bytes. */
void fpi_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                     unsigned char out[FPI_DIGEST_MAX]);

/** SHA-256 only: the state in a form that another process can take up, independent of OpenSSL's struct. */
void fpi_sha256_save(const fpi_digest *d, unsigned char out[FPI_SHA256_STATE_SIZE]);
fp_status fpi_sha256_load(fpi_digest *d, const unsigned char in[FPI_SHA256_STATE_SIZE],
                          fp_error *err);

/** CRC-32C (RFC 3720 appendix B.4) of more bytes; start with 0. */
uint32_t fpi_crc32c(uint32_t crc, const void *data, size_t size);
/** The CRC of bytes that have the CRC `first`, followed by `size` bytes that have the CRC `second`. */
uint32_t fpi_crc32c_join(uint32_t first, uint32_t second, uint64_t size);

#endif
