/* Owns: comparing the bytes of a body with its Content-Digest while they pass.
 * Must not know: where they go. */
#ifndef FPD_OBJECT_DIGEST_H
#define FPD_OBJECT_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"
#include "content_digest.h"

typedef struct fpd_object_digest {
    fpd_digest wanted; /* size 0 = nothing to compare with */
    void *context;     /* OpenSSL's; NULL for crc32c, which the storage computes anyway */
} fpd_object_digest;

/** Reads the request's header. Answers 400 or 503 and returns false when it can't be checked. */
bool fpd_object_digest_init(fpd_object_digest *d, fpd_request *rq);
void fpd_object_digest_dispose(fpd_object_digest *d);

bool fpd_object_digest_update(fpd_object_digest *d, const void *data, size_t size);
/** Whether the bytes are the announced ones. crc32c: of all of them. */
bool fpd_object_digest_matches(fpd_object_digest *d, uint32_t crc32c);

#endif
