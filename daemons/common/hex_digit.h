/* Owns: the value of a hex digit.
 * Must not know: what is written with it. */
#ifndef FPD_HEX_DIGIT_H
#define FPD_HEX_DIGIT_H

/** 0 to 15, upper case or lower; -1 for anything else. */
static inline int fpd_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
