/* Owns: Content-Disposition for any file name: it stays one header line, and its quotes are closed. */
#include "content_disposition.h"
#include "fuzz.h"
#include "header_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FPD_DISPOSE(fpd_text) header = FPD_TEXT_INIT(1 << 22);
    char *name = fuzz_text(data, size);
    char *value = malloc(size + 64);

    MUST(value);
    fpd_content_disposition(&header, fpd_inline_safe(name), name);
    MUST(!header.failed && header.data);
    for (size_t i = 0; i < header.size; i++)
        MUST((unsigned char)header.data[i] >= 0x20 && (unsigned char)header.data[i] < 0x7F);
    MUST(fpd_value_is(header.data, "attachment") || fpd_value_is(header.data, "inline"));
    MUST(fpd_value_parameter(header.data, "filename", value, size + 64));
    free(value);
    free(name);
    return 0;
}
