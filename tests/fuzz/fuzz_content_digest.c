/* Owns: values of Content-Digest. */
#include "content_digest.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    unsigned char bytes[FPD_DIGEST_BYTES_MAX];
    fpd_digest digest;
    size_t got;

    if (fpd_content_digest_parse(text, &digest) == FPD_DIGEST_OK)
        MUST(digest.algorithm && digest.size > 0 && digest.size <= FPD_DIGEST_BYTES_MAX);
    if (fpd_base64_decode(text, size, bytes, sizeof(bytes), &got))
        MUST(size % 4 == 0 && got <= sizeof(bytes) && got <= size / 4 * 3);
    free(text);
    return 0;
}
