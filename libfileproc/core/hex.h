/* Owns: bytes as hex digits, and back.
 * Must not know: what the bytes are. */
#ifndef FPI_HEX_H
#define FPI_HEX_H

#include <stdbool.h>
#include <stddef.h>

/** What fpi_hex() writes. */
#define FPI_HEX_DIGITS "0123456789abcdef"

/** 0 to 15, upper case or lower; -1 for anything else. */
static inline int fpi_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** size bytes as 2 * size lower-case hex digits and a NUL. */
void fpi_hex(const unsigned char *data, size_t size, char *out);

/** The size bytes that fpi_hex() wrote as text; what follows is not looked at. False when it is another text: then out is as it was. */
bool fpi_unhex(const char *text, size_t size, unsigned char *out);

#endif
