/* Owns: reading Upload-Checksum of tus 1.0.0.
 * Must not know: how a digest is computed. */
#include "tus_checksum.h"

#include <string.h>

static const struct {
    const char *name, *algorithm;
    size_t size;
} algorithms[] = { { "sha1", "sha", 20 },
                   { "sha256", "sha-256", 32 },
                   { "md5", "md5", 16 },
                   { "crc32c", "crc32c", 4 } };

fpd_digest_result fpd_tus_checksum_parse(const char *header, fpd_digest *out)
{
    size_t size = strcspn(header, " ");

    if (size == 0 || header[size] != ' ')
        return FPD_DIGEST_MALFORMED;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
        if (strlen(algorithms[i].name) != size || memcmp(algorithms[i].name, header, size) != 0)
            continue;
        out->algorithm = algorithms[i].algorithm;
        header += size + 1;
        return fpd_base64_decode(header, strlen(header), out->bytes, sizeof(out->bytes),
                                 &out->size) &&
                       out->size == algorithms[i].size
                   ? FPD_DIGEST_OK
                   : FPD_DIGEST_MALFORMED;
    }
    return FPD_DIGEST_UNSUPPORTED;
}
