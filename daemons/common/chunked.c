/* Owns: taking the chunked coding apart (RFC 9112 section 7.1), with the trailer fields behind it, which the HTTP server does not give.
 * Must not know: where the bytes come from. */
#include "chunked.h"

#include <string.h>
#include <strings.h>

#include "hex_digit.h"

/* Extensions of chunks are passed over, as a recipient must, but not without end. */
#define EXTENSION_MAX 256u
/* 2^60 bytes and more are in no chunk. */
#define DIGITS_MAX 15u

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, END, BAD };

static enum state take_size(fpd_chunked *c, char byte)
{
    int digit = fpd_hex_digit(byte);

    if (digit >= 0) {
        if (++c->digits > DIGITS_MAX)
            return BAD;
        c->left = c->left * 16 + (uint64_t)digit;
        return SIZE;
    }
    if (c->digits == 0)
        return BAD;
    if (byte == '\r')
        return SIZE_LF;
    return byte == ';' || byte == ' ' || byte == '\t' ? EXTENSION : BAD;
}

/* A line end alone would be one for some, and none for others. */
static enum state take_extension(fpd_chunked *c, char byte)
{
    if (byte == '\r')
        return SIZE_LF;
    return byte == '\n' || ++c->skipped > EXTENSION_MAX ? BAD : EXTENSION;
}

static enum state end_size(fpd_chunked *c, char byte)
{
    c->digits = c->skipped = 0;
    if (byte != '\n')
        return BAD;
    return c->left ? DATA : TRAILER;
}

/* It ends with an empty line, which may be its first one. */
static enum state take_trailer(fpd_chunked *c, char byte)
{
    size_t n = c->trailer_size;

    if (n == FPD_TRAILER_MAX || (n && c->trailer[n - 1] == '\r' && byte != '\n') ||
        (byte == '\n' && (n == 0 || c->trailer[n - 1] != '\r')))
        return BAD;
    c->trailer[n++] = byte;
    c->trailer_size = n;
    c->trailer[n] = '\0';
    if (n == 2 && memcmp(c->trailer, "\r\n", 2) == 0)
        return END;
    return n >= 4 && memcmp(c->trailer + n - 4, "\r\n\r\n", 4) == 0 ? END : TRAILER;
}

static enum state take_byte(fpd_chunked *c, char byte)
{
    switch (c->state) {
    case SIZE:
        return take_size(c, byte);
    case EXTENSION:
        return take_extension(c, byte);
    case SIZE_LF:
        return end_size(c, byte);
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE : BAD;
    case TRAILER:
        return take_trailer(c, byte);
    default:
        return BAD;
    }
}

/* As much of the chunk as there is. */
static size_t take_data(fpd_chunked *c, char *to, const char *from, size_t size)
{
    size_t n = c->left < size ? (size_t)c->left : size;

    if (to != from)
        memmove(to, from, n);
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return n;
}

fpd_chunked_result fpd_chunked_decode(fpd_chunked *c, char *data, size_t size, size_t *body,
                                      size_t *used)
{
    size_t at = 0, out = 0;

    while (at < size && c->state != END && c->state != BAD) {
        if (c->state == DATA) {
            size_t n = take_data(c, data + out, data + at, size - at);

            out += n;
            at += n;
        } else {
            c->state = (int)take_byte(c, data[at++]);
        }
    }
    *body = out;
    *used = at;
    if (c->state == BAD)
        return FPD_CHUNKED_BAD;
    return c->state == END ? FPD_CHUNKED_END : FPD_CHUNKED_MORE;
}

/* ---- the trailer ---- */

/* One line: a name, a colon, and a value without the blanks around it. A line that goes on with the one before has no name. */
static bool read_field(const char *line, size_t size, size_t *name, const char **value,
                       size_t *value_size)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *end = line + size;

    *name = strspn(line, token);
    if (*name == 0 || line[*name] != ':')
        return false;
    line += *name + 1;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *value = line;
    *value_size = (size_t)(end - line);
    return true;
}

fpd_trailer_result fpd_chunked_trailer(const fpd_chunked *c, const char *name, char *out,
                                       size_t capacity)
{
    fpd_trailer_result result = FPD_TRAILER_ABSENT;
    const char *line = c->trailer;

    if (memchr(c->trailer, '\0', c->trailer_size))
        return FPD_TRAILER_BAD;
    while (*line && strncmp(line, "\r\n", 2) != 0) {
        const char *end = strstr(line, "\r\n"), *value;
        size_t name_size, size;

        if (!end || !read_field(line, (size_t)(end - line), &name_size, &value, &size))
            return FPD_TRAILER_BAD;
        if (strlen(name) == name_size && strncasecmp(line, name, name_size) == 0) {
            if (result == FPD_TRAILER_FOUND || size >= capacity)
                return FPD_TRAILER_BAD;
            memcpy(out, value, size);
            out[size] = '\0';
            result = FPD_TRAILER_FOUND;
        }
        line = end + 2;
    }
    return result;
}
