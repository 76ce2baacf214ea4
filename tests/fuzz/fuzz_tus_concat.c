/* Owns: values of Upload-Concat. */
#include "fuzz.h"
#include "tus_concat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    static fpd_tus_concat concat;

    if (fpd_tus_concat_parse(text, &concat) == FPD_TUS_CONCAT_FINAL) {
        MUST(concat.count > 0 && concat.count <= FPD_TUS_CONCAT_IDS);
        for (size_t i = 0; i < concat.count; i++) {
            size_t length = strlen(concat.ids[i]);

            MUST(length > 0 && length < FPD_TUS_ID_SIZE && !strpbrk(concat.ids[i], "/?#| "));
            MUST(strstr(text, concat.ids[i]));
        }
    }
    free(text);
    return 0;
}
