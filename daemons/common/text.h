/* Owns: text that grows up to a limit, and the writing of JSON strings into it.
 * Must not know: what the text is for. */
#ifndef FPD_TEXT_H
#define FPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <fileproc/export.h>

#include "scoped.h"

/** A text being written. Failures stick: write everything, then look at `failed` once. */
typedef struct fpd_text {
    char *data; /* size bytes and a NUL; NULL while never written */
    size_t size, capacity, limit;
    bool failed; /* out of memory, or the limit was reached; what did not fit is missing */
} fpd_text;

/** An empty text that never holds more than `limit_bytes`. */
#define FPD_TEXT_INIT(limit_bytes)                                                                 \
    {                                                                                              \
        NULL, 0, 0, (limit_bytes), false                                                           \
    }

void fpd_text_dispose(fpd_text *t);
FPD_DEFINE_DISPOSE(fpd_text, fpd_text_dispose)

/** Makes it empty and keeps the memory for the next use; more than `keep` bytes of it are given back. */
void fpd_text_clear(fpd_text *t, size_t keep);

void fpd_text_append(fpd_text *t, const void *data, size_t size);
void fpd_text_string(fpd_text *t, const char *text);
void fpd_text_printf(fpd_text *t, const char *fmt, ...) FILEPROC_PRINTF(2, 3);

/** A JSON string with its quotes; null for NULL. Bytes that are no UTF-8 become U+FFFD: the result is always JSON. */
void fpd_text_json(fpd_text *t, const char *text);
void fpd_text_json_bytes(fpd_text *t, const char *text, size_t size);

/** Length of the well-formed UTF-8 sequence at the start of `text`; 0 = not well-formed. */
size_t fpd_utf8_length(const char *text, size_t size);

#endif
