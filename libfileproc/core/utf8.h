/* Owns: UTF-8 (RFC 3629): what a character is, and texts made fit to be shown.
 * Must not know: any text. */
#ifndef FPI_UTF8_H
#define FPI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The character at the start of text, which ends at a NUL, and its size in bytes; 0 when it is not UTF-8. Overlong forms,
 *  surrogates and values past U+10FFFF are not. *character may be NULL. */
size_t fpi_utf8_decode(const char *text, uint32_t *character);

/** Makes one printable line of text: control characters become spaces, bytes that are not UTF-8 become '?'. When text was `cut`
 *  to fit its buffer, what is left of a character at its end is dropped. */
void fpi_utf8_clean(char *text, bool cut);

#endif
