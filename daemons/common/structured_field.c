/* Owns: reading structured fields of HTTP (RFC 9651): items and dictionaries, exactly as its section 4.2 parses them.
 * Must not know: which headers are some.
 *
 * Every function that reads moves *s behind what it has read; what is there after a failure means nothing. */
#include "structured_field.h"

#include <string.h>

#include "hex_digit.h"
#include "text.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define KEY_CHARS LOWER DIGITS "_-.*"
#define TOKEN_CHARS LOWER UPPER DIGITS "!#$%&'*+-.^_`|~:/"
#define BASE64_CHARS UPPER LOWER DIGITS "+/="

#define INTEGER_DIGITS 15u
#define DECIMAL_DIGITS 12u
#define FRACTION_DIGITS 3u

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_visible(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7F;
}

static void skip_spaces(const char **s)
{
    *s += strspn(*s, " ");
}

static void skip_white_space(const char **s)
{
    *s += strspn(*s, " \t");
}

static int64_t number_of(const char *digits, size_t count)
{
    int64_t n = 0;

    for (size_t i = 0; i < count; i++)
        n = n * 10 + (digits[i] - '0');
    return n;
}

static bool read_number(const char **s, fpd_field *out)
{
    bool negative = **s == '-';
    const char *digits = *s + (negative ? 1 : 0);
    size_t count = strspn(digits, DIGITS);
    size_t fraction;

    out->text = *s;
    *s = digits + count;
    if (count == 0)
        return false;
    if (**s != '.') {
        out->type = FPD_FIELD_INTEGER;
        out->size = (size_t)(*s - out->text);
        if (count > INTEGER_DIGITS)
            return false;
        out->number = negative ? -number_of(digits, count) : number_of(digits, count);
        return true;
    }
    fraction = strspn(*s + 1, DIGITS);
    *s += 1 + fraction;
    out->type = FPD_FIELD_DECIMAL;
    out->size = (size_t)(*s - out->text);
    return count <= DECIMAL_DIGITS && fraction > 0 && fraction <= FRACTION_DIGITS;
}

static bool read_date(const char **s, fpd_field *out)
{
    ++*s;
    if (!read_number(s, out) || out->type != FPD_FIELD_INTEGER)
        return false;
    out->type = FPD_FIELD_DATE;
    return true;
}

static bool read_string(const char **s, fpd_field *out)
{
    const char *p = *s + 1;

    out->type = FPD_FIELD_STRING;
    out->text = p;
    for (; *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        else if (!is_visible(*p) || *p == '\\')
            return false;
    }
    out->size = (size_t)(p - out->text);
    *s = p + 1;
    return true;
}

static bool read_token(const char **s, fpd_field *out)
{
    out->type = FPD_FIELD_TOKEN;
    out->text = *s;
    out->size = strspn(*s, TOKEN_CHARS);
    *s += out->size;
    return true;
}

/* What the base64 says is looked at by whoever needs it. */
static bool read_bytes(const char **s, fpd_field *out)
{
    out->type = FPD_FIELD_BYTES;
    out->text = *s + 1;
    out->size = strspn(out->text, BASE64_CHARS);
    *s = out->text + out->size + 1;
    return out->text[out->size] == ':';
}

static bool read_boolean(const char **s, fpd_field *out)
{
    char digit = (*s)[1];

    if (digit != '0' && digit != '1')
        return false;
    *out = (fpd_field){ FPD_FIELD_BOOLEAN, digit - '0', *s + 1, 1 };
    *s += 2;
    return true;
}

/* One byte of a display string: as it is, or as % and two lower-case hex digits. */
static bool read_display_byte(const char **s, char *byte)
{
    if (**s != '%') {
        *byte = *(*s)++;
        return is_visible(*byte);
    }
    if (!is_one_of((*s)[1], HEX) || !is_one_of((*s)[2], HEX))
        return false;
    *byte = (char)(fpd_hex_digit((*s)[1]) << 4 | fpd_hex_digit((*s)[2]));
    *s += 3;
    return true;
}

/* A sequence of UTF-8 has at most four bytes; it is whole as soon as it is one. */
static bool read_display(const char **s, fpd_field *out)
{
    char sequence[4];
    size_t size = 0;

    if ((*s)[1] != '"')
        return false;
    *s += 2;
    out->type = FPD_FIELD_DISPLAY;
    out->text = *s;
    while (**s != '"') {
        if (size == sizeof(sequence) || !read_display_byte(s, &sequence[size++]))
            return false;
        if (fpd_utf8_length(sequence, size) == size)
            size = 0;
    }
    out->size = (size_t)(*s - out->text);
    ++*s;
    return size == 0;
}

static bool read_bare(const char **s, fpd_field *out)
{
    char c = **s;

    *out = (fpd_field){ 0 };
    if (c == '-' || is_one_of(c, DIGITS))
        return read_number(s, out);
    if (c == '"')
        return read_string(s, out);
    if (c == ':')
        return read_bytes(s, out);
    if (c == '?')
        return read_boolean(s, out);
    if (c == '@')
        return read_date(s, out);
    if (c == '%')
        return read_display(s, out);
    return (c == '*' || is_one_of(c, LOWER UPPER)) && read_token(s, out);
}

static bool read_key(const char **s, const char **key, size_t *size)
{
    *key = *s;
    *size = strspn(*s, KEY_CHARS);
    *s += *size;
    return is_one_of(**key, LOWER "*");
}

/* Parameters are read and forgotten: none of our fields has any. */
static bool skip_parameters(const char **s)
{
    while (**s == ';') {
        const char *key;
        size_t size;
        fpd_field value;

        ++*s;
        skip_spaces(s);
        if (!read_key(s, &key, &size))
            return false;
        if (**s != '=')
            continue;
        ++*s;
        if (!read_bare(s, &value))
            return false;
    }
    return true;
}

static bool read_inner_list(const char **s, fpd_field *out)
{
    out->type = FPD_FIELD_INNER_LIST;
    out->text = ++*s;
    for (;;) {
        fpd_field item;

        skip_spaces(s);
        if (**s == ')')
            break;
        if (!read_bare(s, &item) || !skip_parameters(s) || (**s != ' ' && **s != ')'))
            return false;
    }
    out->size = (size_t)(*s - out->text);
    ++*s;
    return true;
}

bool fpd_field_item(const char *header, fpd_field *out)
{
    skip_spaces(&header);
    if (!read_bare(&header, out) || !skip_parameters(&header))
        return false;
    skip_spaces(&header);
    return *header == '\0';
}

bool fpd_field_boolean(const char *header, bool *out)
{
    fpd_field field;

    if (!fpd_field_item(header, &field) || field.type != FPD_FIELD_BOOLEAN)
        return false;
    *out = field.number != 0;
    return true;
}

bool fpd_field_integer(const char *header, int64_t *out)
{
    fpd_field field;

    if (!fpd_field_item(header, &field) || field.type != FPD_FIELD_INTEGER)
        return false;
    *out = field.number;
    return true;
}

static bool read_member(const char **s, fpd_field_member *out)
{
    if (!read_key(s, &out->key, &out->key_size))
        return false;
    out->value = (fpd_field){ FPD_FIELD_BOOLEAN, 1, *s, 0 };
    if (**s == '=') {
        ++*s;
        if (!(**s == '(' ? read_inner_list(s, &out->value) : read_bare(s, &out->value)))
            return false;
    }
    return skip_parameters(s);
}

/* Behind a member stands the end or a comma, and behind that another member. */
fpd_field_result fpd_field_next(const char **at, fpd_field_member *out)
{
    const char *s = *at;

    skip_spaces(&s);
    if (*s == '\0') {
        *at = s;
        return FPD_FIELD_END;
    }
    if (!read_member(&s, out))
        return FPD_FIELD_MALFORMED;
    skip_white_space(&s);
    if (*s == ',') {
        s++;
        skip_white_space(&s);
        if (*s == '\0')
            return FPD_FIELD_MALFORMED;
    } else if (*s != '\0') {
        return FPD_FIELD_MALFORMED;
    }
    *at = s;
    return FPD_FIELD_MEMBER;
}

bool fpd_field_is(const fpd_field_member *member, const char *key)
{
    return strlen(key) == member->key_size && memcmp(key, member->key, member->key_size) == 0;
}
