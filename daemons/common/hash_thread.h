/* Owns: the thread that hashes beside those who receive chunks.
 * Must not know: HTTP; how uploads work. */
#ifndef FPD_HASH_THREAD_H
#define FPD_HASH_THREAD_H

#include <fileproc/upload.h>

typedef struct fpd_hash_thread fpd_hash_thread;

/** `uploads` is borrowed. NULL when there is one core only, or no thread to be had: that is no error. */
fpd_hash_thread *fpd_hash_thread_start(fp_uploads *uploads);
/** When nobody writes chunks any more. NULL is allowed. */
void fpd_hash_thread_stop(fpd_hash_thread *t);

#endif
