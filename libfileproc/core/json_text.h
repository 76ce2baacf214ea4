/* Owns: JSON objects written straight into a buffer, for what is written so often that a tree of values would cost too much.
 * Must not know: any document. The result is the same as that of fpi_json_dump(). */
#ifndef FPI_JSON_TEXT_H
#define FPI_JSON_TEXT_H

#include <stdbool.h>

#include "core/buf_private.h"

/** An object in the making. Failures are kept until its end. */
typedef struct fpi_json_object {
    const fp_context *ctx;
    fp_buf *out;
    size_t before; /* size of out */
    bool begun;    /* it has a member */
    fp_status rc;
    fp_error *err;
} fpi_json_object;

/** Appends to out; about size_hint bytes are to come. */
void fpi_json_begin(fpi_json_object *o, const fp_context *ctx, fp_buf *out, size_t size_hint,
                    fp_error *err);
/** A key needs no escaping. NULL becomes null; CORRUPT when text is not UTF-8. */
void fpi_json_add_text(fpi_json_object *o, const char *key, const char *text);
void fpi_json_add_integer(fpi_json_object *o, const char *key, uint64_t number);
/** RFC 3339; 0 becomes null. */
void fpi_json_add_time(fpi_json_object *o, const char *key, int64_t ms);
/** Text that is JSON already. */
void fpi_json_add_json(fpi_json_object *o, const char *key, const char *json);
/** On failure out is as before. */
fp_status fpi_json_end(fpi_json_object *o);

#endif
