/* Owns: how the helper fills errors, and how text out of files is made fit for JSON and people.
 * Must not know: which operation failed. */
#ifndef FPI_MEDIA_ERROR_H
#define FPI_MEDIA_ERROR_H

#include <stdbool.h>

#include "core/json.h"

/** The input can never succeed: INVALID with the reason, and FILEPROC_ERROR_PERMANENT. */
fp_status fpi_media_fail(fp_error *err, int32_t reason, const char *fmt, ...) FILEPROC_PRINTF(3, 4);

/** NOMEM with reason helper_memory; not permanent. */
fp_status fpi_media_no_memory(fp_error *err);

/** Whether the process is so near to its limit that a decoder could get no more. Safe in a signal handler. */
bool fpi_media_memory_is_out(void);

/** Copies text as UTF-8 in one line: what is no UTF-8 becomes U+FFFD, control characters become blanks, and it ends after at most
 *  `size` - 1 bytes, never inside a character. Answers true when all of it fitted. */
bool fpi_media_clean(const char *text, size_t length, char *out, size_t size);

/** A JSON string of text out of a file, cleaned and cut to `max` bytes; JSON null when text is NULL. NULL when out of memory. */
json_t *fpi_media_json_text(const char *text, size_t max);

/** Sets object[key], takes value; for results, where NULL means out of memory. */
fp_status fpi_media_set(json_t *object, const char *key, json_t *value, fp_error *err);

#endif
