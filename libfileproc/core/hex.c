/* Owns: bytes as hex digits, and back.
 * Must not know: what the bytes are. */
#include "core/hex.h"

#include <string.h>

void fpi_hex(const unsigned char *data, size_t size, char *out)
{
    static const char digits[] = FPI_HEX_DIGITS;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * size] = '\0';
}

bool fpi_unhex(const char *text, size_t size, unsigned char *out)
{
    if (strspn(text, FPI_HEX_DIGITS) < 2 * size)
        return false;
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)(fpi_hex_digit(text[2 * i]) * 16 + fpi_hex_digit(text[2 * i + 1]));
    return true;
}
