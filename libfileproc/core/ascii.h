/* Owns: letters and digits as protocols mean them: ASCII, whatever locale the embedding program has set.
 * Must not know: any protocol. */
#ifndef FPI_ASCII_H
#define FPI_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline char fpi_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool fpi_ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool fpi_ascii_is_letter(char c)
{
    c = fpi_ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

static inline bool fpi_ascii_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Whether two texts of size bytes are the same but for the case of letters. */
static inline bool fpi_ascii_same(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (fpi_ascii_lower(a[i]) != fpi_ascii_lower(b[i]))
            return false;
    return true;
}

#endif
