/* Owns: media types (RFC 6838) as text.
 * Must not know: which types anybody handles. */
#include "core/media_type.h"

#include <string.h>

#define NAME_MAX_SIZE 127u

/* RFC 6838 section 4.2, restricted-name, in lower case. */
static bool first_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool further_character(char c)
{
    return first_character(c) || (c != '\0' && strchr("!#$&-^_.+", c) != NULL);
}

/* Length of the name at the start of text, 0 when there is none. */
static size_t name_size(const char *text, size_t size)
{
    size_t n = 0;

    if (size == 0 || !first_character(text[0]))
        return 0;
    while (n < size && further_character(text[n]))
        n++;
    return n <= NAME_MAX_SIZE ? n : 0;
}

static bool valid(const char *text, size_t size)
{
    size_t type = name_size(text, size);

    if (type == 0 || type == size || text[type] != '/')
        return false;
    text += type + 1;
    size -= type + 1;
    return size > 0 && name_size(text, size) == size;
}

bool fpi_media_type_valid(const char *text)
{
    return valid(text, strnlen(text, FPI_MEDIA_TYPE_SIZE));
}

bool fpi_media_type_normalise(const char *text, char out[FPI_MEDIA_TYPE_SIZE])
{
    size_t size;

    out[0] = '\0';
    text += strspn(text, " \t");
    size = strcspn(text, ";");
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    if (size >= FPI_MEDIA_TYPE_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    out[size] = '\0';
    if (valid(out, size))
        return true;
    out[0] = '\0';
    return false;
}

static bool is_any(const char *pattern, size_t size)
{
    return size == 1 && pattern[0] == '*';
}

static bool is_kind(const char *pattern, size_t size)
{
    return size > 2 && pattern[size - 2] == '/' && pattern[size - 1] == '*';
}

bool fpi_media_pattern_valid(const char *pattern, size_t size)
{
    if (is_any(pattern, size))
        return true;
    if (is_kind(pattern, size))
        return name_size(pattern, size - 2) == size - 2;
    return valid(pattern, size);
}

fpi_media_match fpi_media_pattern_match(const char *pattern, size_t size, const char *type)
{
    if (is_any(pattern, size))
        return FPI_MEDIA_MATCH_ANY;
    if (is_kind(pattern, size))
        return strncmp(pattern, type, size - 1) == 0 ? FPI_MEDIA_MATCH_KIND : FPI_MEDIA_MATCH_NONE;
    if (strncmp(pattern, type, size) == 0 && type[size] == '\0')
        return FPI_MEDIA_MATCH_EXACT;
    return FPI_MEDIA_MATCH_NONE;
}

bool fpi_media_list_next(const char **list, const char **pattern, size_t *size)
{
    const char *at = *list;
    size_t n;

    if (!at)
        return false;
    n = strcspn(at, ",");
    *list = at[n] ? at + n + 1 : NULL;
    while (n > 0 && (*at == ' ' || *at == '\t')) {
        at++;
        n--;
    }
    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    *pattern = at;
    *size = n;
    return true;
}

fpi_media_match fpi_media_list_match(const char *list, const char *type)
{
    fpi_media_match best = FPI_MEDIA_MATCH_NONE;
    const char *pattern;
    size_t size;

    while (fpi_media_list_next(&list, &pattern, &size)) {
        fpi_media_match match = fpi_media_pattern_match(pattern, size, type);

        if (size > 0 && match > best)
            best = match;
    }
    return best;
}
