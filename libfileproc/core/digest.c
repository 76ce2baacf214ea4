/* Owns: streaming digests, and the state of a SHA-256 that can be kept and taken up again.
 * Must not know: whose bytes they are. */
/* The low-level functions are deprecated since OpenSSL 3.0, yet they are the only ones whose state can
 * be stored: EVP hides it. They run the same assembly (SHA-NI included). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/digest.h"

#include <assert.h>
#include <string.h>

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "core/ascii.h"

#define STATE(d, type) ((type *)(void *)(d)->state.bytes)
#define CONST_STATE(d, type) ((const type *)(const void *)(d)->state.bytes)

static_assert(sizeof(SHA256_CTX) <= 256 && sizeof(MD5_CTX) <= 256 && sizeof(SHA_CTX) <= 256,
              "fpi_digest.state holds every context");

static const struct {
    const char *name;
    fpi_digest_algorithm algorithm;
    size_t size;
} algorithms[] = {
    { "sha-256", FPI_DIGEST_SHA256, 32 },
    { "md5", FPI_DIGEST_MD5, 16 },
    { "sha", FPI_DIGEST_SHA1, 20 },
    { "crc32c", FPI_DIGEST_CRC32C, 4 },
};

fp_status fpi_digest_by_name(const char *name, fpi_digest_algorithm *algorithm, fp_error *err)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
        if (strlen(name) == strlen(algorithms[i].name) &&
            fpi_ascii_same(algorithms[i].name, name, strlen(name))) {
            *algorithm = algorithms[i].algorithm;
            return FILEPROC_OK;
        }
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_DIGEST_UNSUPPORTED,
                            "digest algorithm %.40s is not known; use sha-256, md5, sha or crc32c",
                            name);
}

size_t fpi_digest_size(fpi_digest_algorithm algorithm)
{
    return algorithms[algorithm - 1].size;
}

void fpi_digest_init(fpi_digest *d, fpi_digest_algorithm algorithm)
{
    memset(d, 0, sizeof(*d));
    d->algorithm = algorithm;
    switch (algorithm) {
    case FPI_DIGEST_SHA256:
        SHA256_Init(STATE(d, SHA256_CTX));
        break;
    case FPI_DIGEST_MD5:
        MD5_Init(STATE(d, MD5_CTX));
        break;
    case FPI_DIGEST_SHA1:
        SHA1_Init(STATE(d, SHA_CTX));
        break;
    case FPI_DIGEST_CRC32C:
        break;
    }
}

void fpi_digest_update(fpi_digest *d, const void *data, size_t size)
{
    switch (d->algorithm) {
    case FPI_DIGEST_SHA256:
        SHA256_Update(STATE(d, SHA256_CTX), data, size);
        break;
    case FPI_DIGEST_MD5:
        MD5_Update(STATE(d, MD5_CTX), data, size);
        break;
    case FPI_DIGEST_SHA1:
        SHA1_Update(STATE(d, SHA_CTX), data, size);
        break;
    case FPI_DIGEST_CRC32C:
        d->crc = fpi_crc32c(d->crc, data, size);
        break;
    }
}

void fpi_digest_value(const fpi_digest *d, unsigned char out[FPI_DIGEST_MAX])
{
    fpi_digest copy = *d;

    switch (d->algorithm) {
    case FPI_DIGEST_SHA256:
        SHA256_Final(out, STATE(&copy, SHA256_CTX));
        break;
    case FPI_DIGEST_MD5:
        MD5_Final(out, STATE(&copy, MD5_CTX));
        break;
    case FPI_DIGEST_SHA1:
        SHA1_Final(out, STATE(&copy, SHA_CTX));
        break;
    case FPI_DIGEST_CRC32C:
        for (int i = 0; i < 4; i++) /* big-endian, as the registry says */
            out[i] = (unsigned char)(d->crc >> (24 - 8 * i));
        break;
    }
}

void fpi_base64(const unsigned char *data, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (; size; data += 3, out += 4) {
        size_t n = size < 3 ? size : 3;
        uint32_t bits =
            (uint32_t)data[0] << 16 | (n > 1 ? (uint32_t)data[1] << 8 : 0) | (n > 2 ? data[2] : 0);

        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
        out[3] = n > 2 ? digits[bits & 63] : '=';
        size -= n;
    }
    *out = '\0';
}

void fpi_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                     unsigned char out[FPI_DIGEST_MAX])
{
    unsigned char block[64] = { 0 }, pad[64];
    fpi_digest d;

    if (key_size > sizeof(block)) {
        fpi_digest_init(&d, FPI_DIGEST_SHA256);
        fpi_digest_update(&d, key, key_size);
        fpi_digest_value(&d, block);
    } else if (key_size) {
        memcpy(block, key, key_size);
    }
    for (size_t i = 0; i < sizeof(block); i++)
        pad[i] = block[i] ^ 0x36;
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, pad, sizeof(pad));
    fpi_digest_update(&d, data, size);
    fpi_digest_value(&d, out);
    for (size_t i = 0; i < sizeof(block); i++)
        pad[i] = block[i] ^ 0x5C;
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, pad, sizeof(pad));
    fpi_digest_update(&d, out, FPI_DIGEST_MAX);
    fpi_digest_value(&d, out);
    explicit_bzero(block, sizeof(block)); /* keys shall not stay on the stack */
    explicit_bzero(pad, sizeof(pad));
    explicit_bzero(&d, sizeof(d));
}

static void put_le(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *at, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

void fpi_sha256_save(const fpi_digest *d, unsigned char out[FPI_SHA256_STATE_SIZE])
{
    const SHA256_CTX *c = CONST_STATE(d, SHA256_CTX);

    assert(d->algorithm == FPI_DIGEST_SHA256);
    memset(out, 0, FPI_SHA256_STATE_SIZE);
    for (int i = 0; i < 8; i++)
        put_le(out + 4 * i, c->h[i], 4);
    put_le(out + 32, (uint64_t)c->Nh << 32 | c->Nl, 8); /* length in bits */
    memcpy(out + 40, c->data, c->num);
    put_le(out + 104, c->num, 8);
}

fp_status fpi_sha256_load(fpi_digest *d, const unsigned char in[FPI_SHA256_STATE_SIZE],
                          fp_error *err)
{
    uint64_t bits = get_le(in + 32, 8), fill = get_le(in + 104, 8);
    SHA256_CTX *c;

    if (fill >= 64 || (bits / 8) % 64 != fill || bits % 8)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "not a SHA-256 state");
    fpi_digest_init(d, FPI_DIGEST_SHA256);
    c = STATE(d, SHA256_CTX);
    for (int i = 0; i < 8; i++)
        c->h[i] = (SHA_LONG)get_le(in + 4 * i, 4);
    c->Nl = (SHA_LONG)(bits & 0xFFFFFFFFu);
    c->Nh = (SHA_LONG)(bits >> 32);
    memcpy(c->data, in + 40, (size_t)fill);
    c->num = (unsigned)fill;
    return FILEPROC_OK;
}
