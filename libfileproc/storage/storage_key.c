/* Owns: which texts are keys, ids and prefixes.
 * Must not know: what is stored under them. */
#include <string.h>

#include "storage/storage_private.h"

static bool is_key_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool all_key_bytes(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_key_byte(text[i]))
            return false;
    return true;
}

static bool is_dots(const char *text, size_t size)
{
    return (size == 1 && text[0] == '.') || (size == 2 && text[0] == '.' && text[1] == '.');
}

bool fpi_key_segment_valid(const char *text, size_t size)
{
    return size > 0 && size <= FPI_KEY_SEGMENT_MAX && all_key_bytes(text, size) &&
           !is_dots(text, size);
}

static fp_status invalid(fp_error *err, const char *what)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_KEY_INVALID,
                            "%s has a form that is not allowed: it has segments of 1 to %u of "
                            "A-Z a-z 0-9 . _ - with single slashes between, and %u bytes at most",
                            what, FPI_KEY_SEGMENT_MAX, FPI_KEY_MAX);
}

/* Every segment that a '/' ends is whole; *rest is what follows the last one. */
static bool whole_segments_valid(const char *text, const char **rest)
{
    const char *slash;

    while ((slash = strchr(text, '/')) != NULL) {
        if (!fpi_key_segment_valid(text, (size_t)(slash - text)))
            return false;
        text = slash + 1;
    }
    *rest = text;
    return true;
}

fp_status fpi_key_check(const char *key, fp_error *err)
{
    const char *last;

    if (!key || strnlen(key, FPI_KEY_MAX + 1) > FPI_KEY_MAX || !whole_segments_valid(key, &last) ||
        !fpi_key_segment_valid(last, strlen(last)))
        return invalid(err, "the key");
    return FILEPROC_OK;
}

fp_status fpi_key_check_id(const char *id, fp_error *err)
{
    if (!id || !fpi_key_segment_valid(id, strnlen(id, FPI_KEY_SEGMENT_MAX + 1)))
        return invalid(err, "the id");
    return FILEPROC_OK;
}

fp_status fpi_key_check_prefix(const char *prefix, fp_error *err)
{
    const char *last;

    if (!prefix)
        return FILEPROC_OK;
    if (strnlen(prefix, FPI_KEY_MAX + 1) > FPI_KEY_MAX || !whole_segments_valid(prefix, &last) ||
        strlen(last) > FPI_KEY_SEGMENT_MAX || !all_key_bytes(last, strlen(last)))
        return invalid(err, "the prefix");
    return FILEPROC_OK;
}
