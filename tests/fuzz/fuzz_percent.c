/* Owns: percent-encoding: decoding in place is decoding, and what is encoded comes back. */
#include "fuzz.h"
#include "percent.h"

static void decode(const char *text, size_t size, bool plus)
{
    char *out = malloc(size + 1), *place = fuzz_text((const uint8_t *)text, size);
    bool ok;

    MUST(out);
    ok = fpd_percent_decode(text, size, plus, out, size + 1);
    MUST(fpd_percent_decode(place, size, plus, place, size + 1) == ok);
    if (ok) {
        MUST(strlen(out) <= size && strcmp(out, place) == 0);
        MUST(!fpd_percent_decode(text, size, plus, place, strlen(out)));
    }
    free(place);
    free(out);
}

static void encode(const char *text)
{
    FPD_DISPOSE(fpd_text) encoded = FPD_TEXT_INIT(1 << 22);
    size_t size = strlen(text);
    char *back = malloc(size + 1);

    MUST(back);
    fpd_percent_encode(&encoded, text);
    MUST(!encoded.failed);
    /* Control characters are encoded, but never decoded. */
    if (encoded.size && fpd_percent_decode(encoded.data, encoded.size, false, back, size + 1))
        MUST(strcmp(back, text) == 0);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    decode(text, size, false);
    decode(text, size, true);
    encode(text);
    free(text);
    return 0;
}
