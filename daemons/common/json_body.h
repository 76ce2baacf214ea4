/* Owns: JSON request bodies: reading, limits, and members of the right type.
 * Must not know: any document. */
#ifndef FPD_JSON_BODY_H
#define FPD_JSON_BODY_H

#include <stdint.h>

#include <jansson.h>

#include "request.h"

/** Largest JSON body. */
#define FPD_JSON_MAX (1024u * 1024u)
/** How deep it may nest. */
#define FPD_JSON_DEPTH 64
/** How JSON is written: with as many digits as the library writes, so that 5.6 stays 5.6. */
#define FPD_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/** Reads an object; an absent body is an empty object when `optional`. On failure answers 400, 413, 415 or 422 and returns
 *  NULL. */
json_t *fpd_json_body(fpd_request *rq, bool optional);

/* Members. On a missing or mistyped one they answer 422 and return false. Results are borrowed from the object. */

/** A string, NUL-free as jansson sees to; when not required it may be absent or null: then *out is NULL. */
bool fpd_json_string(fpd_request *rq, const json_t *object, const char *name, bool required,
                     const char **out);

/** An integer of 0 or more. */
bool fpd_json_size(fpd_request *rq, const json_t *object, const char *name, uint64_t *out);

#endif
