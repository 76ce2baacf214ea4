/* Owns: finding a parameter in a query string, and reading numbers strictly.
 * Must not know: requests or any parameter by name. */
#ifndef FPD_QUERY_H
#define FPD_QUERY_H

#include <stddef.h>
#include <stdint.h>

typedef enum fpd_query_result {
    FPD_QUERY_ABSENT,
    FPD_QUERY_FOUND,
    FPD_QUERY_TWICE,    /* which one counts would be a guess */
    FPD_QUERY_MALFORMED /* bad percent-encoding, control characters, or longer than the buffer */
} fpd_query_result;

/** Looks for `name` in `query` (may be NULL) and decodes its value into `out`. */
fpd_query_result fpd_query_find(const char *query, const char *name, char *out, size_t capacity);

/** Reads the pair that *query begins with, and moves *query on; FPD_QUERY_ABSENT at the end. */
fpd_query_result fpd_query_next(const char **query, char *name, size_t name_capacity, char *value,
                                size_t value_capacity);

typedef enum fpd_number_result {
    FPD_NUMBER_OK,
    FPD_NUMBER_NONE,     /* not a decimal integer */
    FPD_NUMBER_NEGATIVE, /* an integer below 0 */
    FPD_NUMBER_TOO_LARGE /* an integer above INT64_MAX */
} fpd_number_result;

/** The whole text must be digits, with at most one sign in front. */
fpd_number_result fpd_number_parse(const char *text, int64_t *out);

#endif
