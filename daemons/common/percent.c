/* Owns: strict percent-decoding (RFC 3986 section 2.1), and encoding for header parameters (RFC 8187).
 * Must not know: paths or queries. */
#include "percent.h"

#include <ctype.h>
#include <string.h>

#include "hex_digit.h"

bool fpd_percent_decode(const char *in, size_t size, bool plus, char *out, size_t capacity)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        char c = in[i];

        if (c == '%') {
            int high = size - i > 2 ? fpd_hex_digit(in[i + 1]) : -1;
            int low = size - i > 2 ? fpd_hex_digit(in[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7F || used + 1 >= capacity)
            return false;
        out[used++] = c;
    }
    if (used >= capacity)
        return false;
    out[used] = '\0';
    return true;
}

void fpd_percent_encode(fpd_text *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (isalnum(c) ? c < 0x80 : strchr("!#$&+-.^_`|~", c) != NULL)
            fpd_text_append(out, text, 1);
        else
            fpd_text_printf(out, "%%%02X", c);
    }
}
