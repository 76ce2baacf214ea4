/* Owns: which encoding a text has, and its characters, block by block.
 * Must not know: what is done with them. */
#include "media/media_text_decode.h"

#include <string.h>

#define REPLACEMENT 0xFFFDu

const char *fpi_media_encoding_name(fpi_media_encoding encoding)
{
    static const char *const names[] = { "us-ascii", "utf-8",      "utf-16le",
                                         "utf-16be", "iso-8859-1", "binary" };

    return names[encoding];
}

/* Tab, line feed, form feed, carriage return, escape (of terminals) and backspace are found in texts. */
static bool is_odd_control(uint8_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1B &&
            c != '\b' && c != '\v') ||
           c == 0x7F;
}

/* How many bytes follow a first byte, and what the second may be (RFC 3629). */
static bool begin_character(fpi_media_encoding_guess *g, uint8_t c)
{
    g->next_low = 0x80;
    g->next_high = 0xBF;
    if (c < 0xC2 || c > 0xF4)
        return false;
    g->state = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c == 0xE0)
        g->next_low = 0xA0;
    else if (c == 0xED)
        g->next_high = 0x9F;
    else if (c == 0xF0)
        g->next_low = 0x90;
    else if (c == 0xF4)
        g->next_high = 0x8F;
    return true;
}

static void look_at_high(fpi_media_encoding_guess *g, uint8_t c)
{
    g->high = g->high || c > 0x7F;
    if (g->broken)
        return;
    if (g->state) {
        g->broken = c < g->next_low || c > g->next_high;
        g->state--;
        g->next_low = 0x80;
        g->next_high = 0xBF;
    } else {
        g->broken = !begin_character(g, c);
    }
}

void fpi_media_encoding_look(fpi_media_encoding_guess *g, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = data[i];

        if (g->bytes < sizeof(g->head))
            g->head[g->bytes] = c;
        g->bytes++;
        if (c > 0x7F || g->state)
            look_at_high(g, c);
        if (c == 0)
            g->nuls++;
        else if (is_odd_control(c))
            g->controls++;
    }
}

fpi_media_encoding fpi_media_encoding_result(const fpi_media_encoding_guess *g, size_t *mark)
{
    bool utf16 = g->bytes >= 2 && g->bytes % 2 == 0;

    *mark = 2;
    if (utf16 && g->head[0] == 0xFF && g->head[1] == 0xFE)
        return FPI_MEDIA_UTF16LE;
    if (utf16 && g->head[0] == 0xFE && g->head[1] == 0xFF)
        return FPI_MEDIA_UTF16BE;
    *mark = g->bytes >= 3 && memcmp(g->head, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (g->nuls > 0 || g->controls > g->bytes / 50)
        return FPI_MEDIA_BINARY;
    if (!g->high)
        return FPI_MEDIA_ASCII;
    if (g->broken || g->state)
        *mark = 0;
    return g->broken || g->state ? FPI_MEDIA_LATIN1 : FPI_MEDIA_UTF8;
}

/* The guess has seen that every character is well-formed. */
static size_t decode_utf8(fpi_media_decoder *d, const uint8_t *data, size_t size, uint32_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t c = data[i];

        if (c < 0x80) {
            out[count++] = c;
        } else if (c < 0xC0) {
            d->value = d->value << 6 | (c & 0x3Fu);
            if (d->missing && --d->missing == 0)
                out[count++] = d->value;
        } else {
            d->missing = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
            d->value = c & (0x3Fu >> d->missing);
        }
    }
    return count;
}

static size_t take_unit(fpi_media_decoder *d, uint32_t unit, uint32_t *out)
{
    size_t count = 0;

    if (d->lead) {
        if (unit >= 0xDC00 && unit <= 0xDFFF) {
            *out = 0x10000 + ((d->lead - 0xD800) << 10) + (unit - 0xDC00);
            d->lead = 0;
            return 1;
        }
        out[count++] = REPLACEMENT;
        d->lead = 0;
    }
    if (unit >= 0xD800 && unit <= 0xDBFF)
        d->lead = unit;
    else
        out[count++] = unit >= 0xDC00 && unit <= 0xDFFF ? REPLACEMENT : unit;
    return count;
}

static size_t decode_utf16(fpi_media_decoder *d, const uint8_t *data, size_t size, uint32_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        if (!d->missing) {
            d->value = data[i];
            d->missing = 1;
            continue;
        }
        d->missing = 0;
        count += take_unit(d,
                           d->encoding == FPI_MEDIA_UTF16LE ? d->value | (uint32_t)data[i] << 8
                                                            : d->value << 8 | data[i],
                           out + count);
    }
    return count;
}

size_t fpi_media_decode(fpi_media_decoder *d, const uint8_t *data, size_t size, uint32_t *out)
{
    switch (d->encoding) {
    case FPI_MEDIA_UTF8:
        return decode_utf8(d, data, size, out);
    case FPI_MEDIA_UTF16LE:
    case FPI_MEDIA_UTF16BE:
        return decode_utf16(d, data, size, out);
    case FPI_MEDIA_ASCII:
    case FPI_MEDIA_LATIN1:
    case FPI_MEDIA_BINARY:
        break;
    }
    for (size_t i = 0; i < size; i++)
        out[i] = data[i];
    return size;
}
