/* Owns: request ids: taken from the client when harmless, else made.
 * Must not know: requests. */
#ifndef FPD_REQUEST_ID_H
#define FPD_REQUEST_ID_H

#include <stddef.h>

/** Copies `given` (may be NULL) when it is 1 to capacity - 1 characters of [A-Za-z0-9._:+/=@-], else makes 32 hex digits. */
void fpd_request_id(const char *given, char *out, size_t capacity);

#endif
