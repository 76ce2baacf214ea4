/* Owns: taking apart header values of the form "token; name=value" (RFC 9110 section 5.6.6).
 * Must not know: which headers have it. */
#include "header_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(char c)
{
    unsigned char u = (unsigned char)c;

    return u > 0x20 && u < 0x7F && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static const char *skip_space(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

bool fpd_value_is(const char *value, const char *token)
{
    size_t size = strlen(token);

    value = skip_space(value);
    if (strncasecmp(value, token, size) != 0)
        return false;
    value = skip_space(value + size);
    return *value == '\0' || *value == ';';
}

/* Reads a token or a quoted string at *s; false when malformed or too long. out may be NULL: only skip. */
static bool read_value(const char **s, char *out, size_t capacity)
{
    const char *p = *s;
    bool quoted = *p == '"';
    size_t used = 0;

    if (quoted)
        p++;
    while (*p && (quoted ? *p != '"' : is_token_char(*p))) {
        if (quoted && *p == '\\' && p[1])
            p++;
        if (out) {
            if (used + 1 >= capacity)
                return false;
            out[used++] = *p;
        }
        p++;
    }
    if (quoted && *p++ != '"')
        return false;
    if (out)
        out[used] = '\0';
    *s = p;
    return true;
}

/* The text behind the first token, at the first ';' or the end. */
static const char *first_parameter(const char *value)
{
    while (*value && *value != ';')
        value++;
    return value;
}

bool fpd_value_parameter(const char *value, const char *name, char *out, size_t capacity)
{
    size_t size = strlen(name);
    bool found = false;
    const char *p = first_parameter(value);

    while (*p == ';') {
        bool ours;
        const char *start;

        start = p = skip_space(p + 1);
        while (is_token_char(*p))
            p++;
        ours = (size_t)(p - start) == size && strncasecmp(start, name, size) == 0;
        if (p == start && (*p == ';' || *p == '\0'))
            continue; /* an empty parameter is allowed */
        if (*p != '=' || (ours && found))
            return false;
        p++;
        if (!read_value(&p, ours ? out : NULL, capacity))
            return false;
        found = found || ours;
        p = skip_space(p);
    }
    return found && *p == '\0';
}

bool fpd_list_has(const char *list, const char *token)
{
    size_t size = strlen(token);

    while (*list) {
        const char *end;

        list += strspn(list, " \t,");
        end = list + strcspn(list, ",");
        while (end > list && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        if ((size_t)(end - list) == size && strncasecmp(list, token, size) == 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

bool fpd_media_type_valid(const char *type)
{
    const char *p = type;

    while (is_token_char(*p))
        p++;
    if (p == type || *p++ != '/')
        return false;
    type = p;
    while (is_token_char(*p))
        p++;
    return p > type && *p == '\0' && p - type < 128;
}
