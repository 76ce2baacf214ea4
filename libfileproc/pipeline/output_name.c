/* Owns: the names of what steps make.
 * Must not know: files, steps. */
#include "pipeline/output_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/utf8.h"

#define EXTENSION_MAX 10u
#define SUFFIX_SIZE 160u

static const char *without_folders(const char *name)
{
    const char *start = name;

    for (; *name; name++)
        if (*name == '/' || *name == '\\')
            start = name + 1;
    return start;
}

/* What is behind the last dot, if it looks like an extension: "Letter to Mr. Smith" has none, and neither has ".profile". */
static size_t size_without_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = 0;

    if (!dot || dot == name)
        return strlen(name);
    while (fpi_ascii_is_letter(dot[1 + size]) || fpi_ascii_is_digit(dot[1 + size]))
        size++;
    return size > 0 && size <= EXTENSION_MAX && dot[1 + size] == '\0' ? (size_t)(dot - name)
                                                                      : strlen(name);
}

/* Copies whole characters only, at most `most` of them. */
static size_t copy_clean(const char *name, size_t size, size_t most, char *out)
{
    size_t at = 0, used = 0;

    for (size_t count = 0; at < size && count < most; count++) {
        uint32_t c;
        size_t step = fpi_utf8_decode(name + at, &c);

        if (step == 0 || at + step > size || c < 0x20 || (c >= 0x7F && c < 0xA0)) {
            out[used++] = '_';
        } else {
            memcpy(out + used, name + at, step);
            used += step;
        }
        at += step ? step : 1;
    }
    return used;
}

void fpi_output_name(const char *input, const char *step, unsigned number, const char *extension,
                     char out[FPI_OUTPUT_NAME_SIZE])
{
    const char *base = without_folders(input ? input : "");
    char suffix[SUFFIX_SIZE];
    size_t used, size;

    if (!*base)
        base = "file";
    if (number)
        snprintf(suffix, sizeof(suffix), "-%.70s-%u.%.16s", step, number, extension);
    else
        snprintf(suffix, sizeof(suffix), "-%.70s.%.16s", step, extension);
    size = strlen(suffix);
    used = copy_clean(base, size_without_extension(base), FPI_OUTPUT_NAME_MAX - size, out);
    memcpy(out + used, suffix, size + 1);
}
