/* Owns: byte ranges (RFC 9110 section 14) and entity tags (section 8.8.3) as decisions on header values.
 * Must not know: files or requests. */
#ifndef FPD_RANGE_H
#define FPD_RANGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fpd_range {
    uint64_t first;
    uint64_t length;
} fpd_range;

typedef enum fpd_range_result {
    FPD_RANGE_WHOLE, /* no range, or one that a server may ignore: other units, several ranges, nonsense */
    FPD_RANGE_PART,         /* out is set */
    FPD_RANGE_UNSATISFIABLE /* it begins behind the end */
} fpd_range_result;

/** header: the Range field's value, or NULL. size: of the whole representation. */
fpd_range_result fpd_range_parse(const char *header, uint64_t size, fpd_range *out);

/** Whether a comma-separated list of entity tags, or "*", has `etag` (with its quotes). Weak comparison, as If-None-Match wants. */
bool fpd_etag_listed(const char *list, const char *etag);

/** The same with strong comparison, as If-Match wants: a weak tag never matches. */
bool fpd_etag_matched(const char *list, const char *etag);

/** Whether an If-Range value is exactly this strong entity tag. Dates never match: we give none out. */
bool fpd_etag_is(const char *if_range, const char *etag);

#endif
