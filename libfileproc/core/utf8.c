/* Owns: UTF-8 (RFC 3629): what a character is, and texts made fit to be shown.
 * Must not know: any text. */
#include "core/utf8.h"

#include <string.h>

static size_t size_by_first(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4) /* a byte of the middle, overlong, or past U+10FFFF */
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

size_t fpi_utf8_decode(const char *text, uint32_t *character)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t size = size_by_first((unsigned char)text[0]);
    uint32_t c = (unsigned char)text[0];

    if (size > 1)
        c &= 0x7Fu >> size;
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)text[i] & 0x3Fu);
    }
    if (size == 0 || c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    if (character)
        *character = c;
    return size;
}

/* Whether all bytes left continue the character that begins here: nothing but the cut is wrong with it. */
static bool ends_within_character(const char *text)
{
    size_t size = size_by_first((unsigned char)text[0]), n = 1;

    while (((unsigned char)text[n] & 0xC0) == 0x80)
        n++;
    return text[n] == '\0' && n < size;
}

void fpi_utf8_clean(char *text, bool cut)
{
    while (*text) {
        uint32_t c;
        size_t size = fpi_utf8_decode(text, &c);

        if (size == 0 && cut && ends_within_character(text)) {
            *text = '\0';
            return;
        }
        if (size == 0)
            *text = '?';
        else if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            memset(text, ' ', size);
        text += size ? size : 1;
    }
}
