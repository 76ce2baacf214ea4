/* Owns: one writer at a time for each key, within this process.
 * Must not know: what is written.
 *
 * Between looking at an object's etag and replacing it nobody else of this process may replace it. Stores in files have one process;
 * where several share an S3 store, two conditional writes of one key at the same moment may both succeed, except for
 * If-None-Match: *, which the server itself decides. */
#ifndef FPD_OBJECT_LOCK_H
#define FPD_OBJECT_LOCK_H

#include <pthread.h>

/** Waits for the key's turn. Keys may share one. */
pthread_mutex_t *fpd_object_lock(const char *key);
/** NULL is allowed. */
void fpd_object_unlock(pthread_mutex_t *held);

#endif
