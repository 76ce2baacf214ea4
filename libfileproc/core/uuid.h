/* Owns: identifiers: UUID version 7 (RFC 9562 section 5.7), in text form.
 * Must not know: what they name. */
#ifndef FPI_UUID_H
#define FPI_UUID_H

#include <stdbool.h>

#include "core/context_private.h"

/** 36 characters and the NUL. */
#define FPI_UUID_SIZE 37u

/** A new id, greater (as text) than every id this process made before, so that rows sort by creation. */
fp_status fpi_uuid7(const fp_context *ctx, char out[FPI_UUID_SIZE], fp_error *err);

/** A text that sorts behind all ids that were made before this time and before those made later. */
void fpi_uuid7_first(int64_t ms, char out[FPI_UUID_SIZE]);

/** True for 8-4-4-4-12 lower-case hex digits: the only form we make and accept. */
bool fpi_uuid_valid(const char *text);

#endif
