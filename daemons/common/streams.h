/* Owns: the threads of replies that go on for hours, so that they hold none of the server's.
 * Must not know: what is sent. */
#ifndef FPD_STREAMS_H
#define FPD_STREAMS_H

#include <stdbool.h>

#include "scoped.h"

/** Any thread. */
typedef struct fpd_streams fpd_streams;

/** NULL when out of memory. */
fpd_streams *fpd_streams_new(void);
/** Waits until all have ended, which somebody else must see to. NULL is allowed. */
void fpd_streams_free(fpd_streams *streams);
FPD_DEFINE_CLEANUP(fpd_streams, fpd_streams_free)

/** Runs serve(self) on a thread of its own. False: no thread is left; then it does not run. */
bool fpd_streams_run(fpd_streams *streams, void (*serve)(void *self), void *self);

#endif
