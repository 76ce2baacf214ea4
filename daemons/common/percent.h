/* Owns: strict percent-decoding (RFC 3986 section 2.1), and encoding for header parameters (RFC 8187).
 * Must not know: paths or queries. */
#ifndef FPD_PERCENT_H
#define FPD_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/** Decodes `size` bytes into `out` of `capacity` bytes, NUL added; may be in place. False for '%' without two hex
 *  digits, for control characters, encoded or not, and when it does not fit. `plus` turns '+' into a space. */
bool fpd_percent_decode(const char *in, size_t size, bool plus, char *out, size_t capacity);

/** Appends `text` with everything but RFC 8187's attr-char as %XX. */
void fpd_percent_encode(fpd_text *out, const char *text);

#endif
