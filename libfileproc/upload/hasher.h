/* Owns: a thread, lent by the caller, that goes on with a digest while the next bytes arrive.
 * Must not know: chunks and uploads. */
#ifndef FPI_HASHER_H
#define FPI_HASHER_H

#include <pthread.h>
#include <stdbool.h>

#include "core/alloc.h"
#include "core/digest.h"

/** Shared. Serves one digest at a time; who finds it taken hashes for himself. */
typedef struct fpi_hasher {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work, done;
    unsigned char *ring; /* NULL: no thread is lent */
    uint64_t head, tail; /* bytes put in and hashed, ever */
    fpi_digest *digest;  /* borrowed; whose bytes these are */
    bool adding;         /* somebody is copying */
    bool stopping;
} fpi_hasher;

void fpi_hasher_init(fpi_hasher *h);
void fpi_hasher_dispose(fpi_hasher *h);

/** Serves until fpi_hasher_stop(); bytes that were taken are hashed before it returns. CONFLICT: there is a thread. NOMEM. */
fp_status fpi_hasher_run(fpi_hasher *h, const fp_allocator *a, fp_error *err);
/** Also before fpi_hasher_run(), which returns then. */
void fpi_hasher_stop(fpi_hasher *h);

/** Takes a copy of the bytes, and waits when it is behind. False: hash them yourself, all that was taken before is hashed.
 *  Until fpi_hasher_finish() nobody else may use the digest. */
bool fpi_hasher_add(fpi_hasher *h, fpi_digest *digest, const void *data, size_t size);
/** Waits until the bytes of this digest are hashed. */
void fpi_hasher_finish(fpi_hasher *h, const fpi_digest *digest);

#endif
