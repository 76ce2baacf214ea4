/* Owns: values of Upload-Checksum. */
#include "fuzz.h"
#include "tus_checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    fpd_digest digest;

    if (fpd_tus_checksum_parse(text, &digest) == FPD_DIGEST_OK) {
        MUST(digest.algorithm && digest.size >= 4 && digest.size <= FPD_DIGEST_BYTES_MAX);
        MUST(strchr(text, ' '));
    }
    free(text);
    return 0;
}
