/* Owns: the few steps between jansson and the library's errors and buffers.
 * Must not know: any document. */
#ifndef FPI_JSON_H
#define FPI_JSON_H

#include <jansson.h>

#include "core/buf_private.h"

FPI_DEFINE_CLEANUP(json_t, json_decref)

/** How deep documents of others may nest. jansson's own limit is 2048; this is checked on top of it. */
#define FPI_JSON_DEPTH 64

/** How everything is written. 15 digits give back every decimal number of up to 15 digits as it was: 5.6 and not 5.5999999999999996. */
#define FPI_JSON_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/** A new reference in *out. INVALID with line and column for text that is no JSON, has duplicate members, or nests
 *  deeper than FPI_JSON_DEPTH. `what` begins the message. */
fp_status fpi_json_parse(const char *text, size_t size, const char *what, json_t **out,
                         fp_error *err);

/** Appends the compact text. */
fp_status fpi_json_dump(const fp_context *ctx, const json_t *json, fp_buf *out, fp_error *err);

/** The compact text in memory of the context's allocator; NULL when out of memory. */
char *fpi_json_text(const fp_context *ctx, const json_t *json);

/** Sets a member; takes the value. NOMEM when value is NULL (its constructor failed) or setting fails. */
fp_status fpi_json_set(json_t *object, const char *key, json_t *value, fp_error *err);

/** For fpi_json_set(): the string, or JSON null when text is NULL; NULL when out of memory or not UTF-8. */
json_t *fpi_json_string(const char *text);

/** For fpi_json_set(): an RFC 3339 time, or JSON null when ms is 0. */
json_t *fpi_json_time(int64_t ms);

#endif
