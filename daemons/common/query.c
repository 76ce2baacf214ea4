/* Owns: finding a parameter in a query string, and reading numbers strictly.
 * Must not know: requests or any parameter by name. */
#include "query.h"

#include <stdbool.h>
#include <string.h>

#include "percent.h"

#define NAME_MAX_SIZE 64u

fpd_query_result fpd_query_find(const char *query, const char *name, char *out, size_t capacity)
{
    fpd_query_result result = FPD_QUERY_ABSENT;

    while (query && *query) {
        size_t size = strcspn(query, "&");
        const char *equals = memchr(query, '=', size);
        size_t name_size = equals ? (size_t)(equals - query) : size;
        char decoded[NAME_MAX_SIZE];

        /* A name that can't be decoded is none of ours. */
        if (fpd_percent_decode(query, name_size, true, decoded, sizeof(decoded)) &&
            strcmp(decoded, name) == 0) {
            const char *value = equals ? equals + 1 : query + size;

            if (result != FPD_QUERY_ABSENT)
                return FPD_QUERY_TWICE;
            if (!fpd_percent_decode(value, (size_t)(query + size - value), true, out, capacity))
                return FPD_QUERY_MALFORMED;
            result = FPD_QUERY_FOUND;
        }
        query += size;
        if (*query == '&')
            query++;
    }
    return result;
}

fpd_query_result fpd_query_next(const char **query, char *name, size_t name_capacity, char *value,
                                size_t value_capacity)
{
    const char *at = *query, *equals;
    size_t size, name_size;

    while (at && *at == '&')
        at++;
    if (!at || !*at)
        return FPD_QUERY_ABSENT;
    size = strcspn(at, "&");
    *query = at + size;
    equals = memchr(at, '=', size);
    name_size = equals ? (size_t)(equals - at) : size;
    if (!fpd_percent_decode(at, name_size, true, name, name_capacity) ||
        !fpd_percent_decode(equals ? equals + 1 : at + size, equals ? size - name_size - 1 : 0,
                            true, value, value_capacity))
        return FPD_QUERY_MALFORMED;
    return FPD_QUERY_FOUND;
}

fpd_number_result fpd_number_parse(const char *text, int64_t *out)
{
    bool negative = *text == '-', too_large = false;
    int64_t value = 0;

    if (*text == '-' || *text == '+')
        text++;
    if (!*text)
        return FPD_NUMBER_NONE;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return FPD_NUMBER_NONE;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value))
            too_large = true;
    }
    if (negative && (value != 0 || too_large))
        return FPD_NUMBER_NEGATIVE;
    if (too_large)
        return FPD_NUMBER_TOO_LARGE;
    *out = value;
    return FPD_NUMBER_OK;
}
