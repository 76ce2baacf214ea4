/* Owns: which names a file may have, and the cutting of folders from them.
 * Must not know: uploads. */
#include "upload/filename.h"

#include <stdint.h>
#include <string.h>

/* By the first byte; 0 for one that can't be first. C0 and C1 only begin overlong forms. */
static size_t sequence_size(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The character at text, and how many bytes it has; 0 bytes when it is no UTF-8. Overlong forms and surrogates are
 * refused: they are the classic way past a check for '/'. */
static size_t decode(const unsigned char *text, uint32_t *character)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t size = sequence_size(text[0]);
    uint32_t c;

    if (size < 2) {
        *character = text[0];
        return size;
    }
    c = text[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (text[i] & 0x3Fu);
    }
    if (c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *character = c;
    return size;
}

bool fpi_text_clean(const char *text, size_t *characters)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t count = 0, size;

    for (; *at; at += size, count++) {
        uint32_t c;

        size = decode(at, &c);
        if (size == 0 || c < 0x20 || (c >= 0x7F && c < 0xA0))
            return false;
    }
    *characters = count;
    return true;
}

fp_status fpi_filename_clean(const char *text, const char **name, fp_error *err)
{
    const char *start = text, *reason = NULL;
    size_t characters;

    for (const char *c = text; *c; c++)
        if (*c == '/' || *c == '\\')
            start = c + 1;
    if (!*start)
        reason = "is empty";
    else if (strcmp(start, ".") == 0 || strcmp(start, "..") == 0)
        reason = "is a folder";
    else if (!fpi_text_clean(start, &characters))
        reason = "has control characters or is not UTF-8";
    else if (characters > FPI_FILENAME_MAX)
        reason = "is longer than 255 characters";
    if (reason)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_FILENAME_INVALID,
                                "The filename %s", reason);
    *name = start;
    return FILEPROC_OK;
}
