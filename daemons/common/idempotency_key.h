/* Owns: reading the Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header).
 * Must not know: what a key does. */
#ifndef FPD_IDEMPOTENCY_KEY_H
#define FPD_IDEMPOTENCY_KEY_H

#include "request.h"

#define FPD_IDEMPOTENCY_KEY_MAX 255u

/** Reads the key into `text`; *key is NULL when there is none. A string of RFC 8941 in its quotes, whose parameters are ignored,
 *  or the same without quotes. Answers 400 and returns false when it is neither, or is given twice. */
bool fpd_idempotency_key(fpd_request *rq, char text[FPD_IDEMPOTENCY_KEY_MAX + 1], const char **key);

#endif
