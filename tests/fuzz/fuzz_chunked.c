/* Owns: bodies in the chunked coding, with their trailers. */
#include "chunked.h"
#include "fuzz.h"

/* In two pieces, and at once: it comes to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cut = size ? data[size - 1] % (size + 1) : 0, got, used, first = 0;
    char *whole = fuzz_text(data, size), *pieces = fuzz_text(data, size), *rest;
    fpd_chunked a = { 0 }, b = { 0 };
    fpd_chunked_result one = fpd_chunked_decode(&a, whole, size, &got, &used);
    fpd_chunked_result two = fpd_chunked_decode(&b, pieces, cut, &first, &used);
    char value[64];

    MUST(got <= size);
    if (two == FPD_CHUNKED_MORE) {
        size_t more = 0;

        rest = fuzz_text(data + cut, size - cut);
        two = fpd_chunked_decode(&b, rest, size - cut, &more, &used);
        MUST(first + more == got);
        MUST(memcmp(whole, pieces, first) == 0 && memcmp(whole + first, rest, more) == 0);
        free(rest);
    }
    MUST(one == two);
    if (one == FPD_CHUNKED_END &&
        fpd_chunked_trailer(&a, "Upload-Checksum", value, sizeof(value)) == FPD_TRAILER_FOUND)
        MUST(!strpbrk(value, "\r\n") && strlen(value) < sizeof(value));
    free(whole);
    free(pieces);
    return 0;
}
