/* Owns: names of files as clients send them: what is accepted has no folder, no control character, and is UTF-8. */
#include "fuzz.h"
#include "upload/filename.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *name = NULL;
    size_t characters = 0;

    if (fpi_filename_clean(text, &name, NULL) == FILEPROC_OK) {
        MUST(name >= text && name <= text + strlen(text) && *name);
        MUST(!strpbrk(name, "/\\") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        MUST(fpi_text_clean(name, &characters) && characters <= FPI_FILENAME_MAX);
    }
    free(text);
    return 0;
}
