/* Owns: comparing the bytes of a body with its Content-Digest while they pass.
 * Must not know: where they go. */
#include "object_digest.h"

#include <string.h>

#include <openssl/evp.h>

#include "problem.h"

static const EVP_MD *algorithm(const char *name)
{
    if (strcmp(name, "sha-256") == 0)
        return EVP_sha256();
    if (strcmp(name, "sha") == 0)
        return EVP_sha1();
    return strcmp(name, "md5") == 0 ? EVP_md5() : NULL;
}

static bool start(fpd_object_digest *d)
{
    const EVP_MD *md = algorithm(d->wanted.algorithm);

    if (!md)
        return true;
    d->context = EVP_MD_CTX_new();
    return d->context && EVP_DigestInit_ex(d->context, md, NULL) == 1;
}

bool fpd_object_digest_init(fpd_object_digest *d, fpd_request *rq)
{
    const char *header = fpd_request_header(rq, "Content-Digest");

    memset(d, 0, sizeof(*d));
    if (!header || !*header)
        return true;
    switch (fpd_content_digest_parse(header, &d->wanted)) {
    case FPD_DIGEST_OK:
        if (start(d))
            return true;
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    case FPD_DIGEST_UNSUPPORTED:
        fpd_problem(rq, 400, "digest_unsupported",
                    "Content-Digest has none of sha-256, sha, md5 and crc32c.");
        return false;
    default:
        fpd_problem(rq, 400, "bad_request", "Content-Digest is malformed.");
        return false;
    }
}

void fpd_object_digest_dispose(fpd_object_digest *d)
{
    EVP_MD_CTX_free(d->context);
    d->context = NULL;
}

bool fpd_object_digest_update(fpd_object_digest *d, const void *data, size_t size)
{
    return !d->context || EVP_DigestUpdate(d->context, data, size) == 1;
}

bool fpd_object_digest_matches(fpd_object_digest *d, uint32_t crc32c)
{
    unsigned char found[EVP_MAX_MD_SIZE] = { (unsigned char)(crc32c >> 24),
                                             (unsigned char)(crc32c >> 16),
                                             (unsigned char)(crc32c >> 8), (unsigned char)crc32c };
    unsigned size = 4;

    if (d->wanted.size == 0)
        return true;
    if (d->context && EVP_DigestFinal_ex(d->context, found, &size) != 1)
        return false;
    return size == d->wanted.size && memcmp(found, d->wanted.bytes, size) == 0;
}
