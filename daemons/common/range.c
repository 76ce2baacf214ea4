/* Owns: byte ranges (RFC 9110 section 14) and entity tags (section 8.8.3) as decisions on header values.
 * Must not know: files or requests. */
#include "range.h"

#include <string.h>
#include <strings.h>

/* Digits at *s; a number that is too large becomes UINT64_MAX, which is behind every end. False when there is none. */
static bool read_position(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t value = 0;
    bool large = false;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            large = true;
    if (p == *s)
        return false;
    *s = p;
    *out = large ? UINT64_MAX : value;
    return true;
}

static const char *skip_space(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

static fpd_range_result last_bytes(uint64_t count, uint64_t size, fpd_range *out)
{
    if (count == 0 || size == 0)
        return FPD_RANGE_UNSATISFIABLE;
    out->length = count < size ? count : size;
    out->first = size - out->length;
    return FPD_RANGE_PART;
}

fpd_range_result fpd_range_parse(const char *header, uint64_t size, fpd_range *out)
{
    uint64_t first = 0, last = 0;
    bool has_first, has_last;

    if (!header || strncasecmp(header, "bytes", 5) != 0)
        return FPD_RANGE_WHOLE;
    header = skip_space(header + 5);
    if (*header++ != '=')
        return FPD_RANGE_WHOLE;
    header = skip_space(header);
    has_first = read_position(&header, &first);
    if (*header++ != '-')
        return FPD_RANGE_WHOLE;
    has_last = read_position(&header, &last);
    if (*skip_space(header) != '\0' || (!has_first && !has_last) ||
        (has_first && has_last && last < first))
        return FPD_RANGE_WHOLE;
    if (!has_first)
        return last_bytes(last, size, out);
    if (first >= size)
        return FPD_RANGE_UNSATISFIABLE;
    if (!has_last || last >= size)
        last = size - 1;
    out->first = first;
    out->length = last - first + 1;
    return FPD_RANGE_PART;
}

/* The opaque tag at *s with its quotes, behind an optional W/; NULL when there is none. *s moves behind it. */
static const char *next_tag(const char **s, size_t *size, bool *weak)
{
    const char *start = *s, *end;

    *weak = strncmp(start, "W/", 2) == 0;
    if (*weak)
        start += 2;
    if (*start != '"')
        return NULL;
    end = strchr(start + 1, '"');
    if (!end)
        return NULL;
    *size = (size_t)(end + 1 - start);
    *s = end + 1;
    return start;
}

static bool listed(const char *list, const char *etag, bool strong)
{
    if (strcmp(skip_space(list), "*") == 0)
        return true;
    for (;;) {
        const char *tag;
        size_t size;
        bool weak;

        list += strspn(list, " \t,");
        tag = next_tag(&list, &size, &weak);
        if (!tag)
            return false;
        if (!(strong && weak) && size == strlen(etag) && memcmp(tag, etag, size) == 0)
            return true;
    }
}

bool fpd_etag_listed(const char *list, const char *etag)
{
    return listed(list, etag, false);
}

bool fpd_etag_matched(const char *list, const char *etag)
{
    return listed(list, etag, true);
}

bool fpd_etag_is(const char *if_range, const char *etag)
{
    return strcmp(skip_space(if_range), etag) == 0;
}
