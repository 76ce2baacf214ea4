/* Owns: values of Range, If-Range, If-Match, If-None-Match. Input: the size of the representation in eight bytes, a value, a line end, an
 * entity tag. */
#include "fuzz.h"
#include "range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fpd_range range = { 0, 0 };
    uint64_t whole = 0;
    const char *etag;
    char *text;

    if (size < sizeof(whole))
        return 0;
    memcpy(&whole, data, sizeof(whole));
    whole &= INT64_MAX;
    text = fuzz_text(data + sizeof(whole), size - sizeof(whole));
    etag = fuzz_split(text);
    if (fpd_range_parse(text, whole, &range) == FPD_RANGE_PART)
        MUST(range.length > 0 && range.first < whole && range.length <= whole - range.first);
    if (fpd_etag_matched(text, etag))
        MUST(fpd_etag_listed(text, etag));
    (void)fpd_etag_is(text, etag);
    free(text);
    return 0;
}
