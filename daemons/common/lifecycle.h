/* Owns: the signals that end a daemon.
 * Must not know: what ending means. */
#ifndef FPD_LIFECYCLE_H
#define FPD_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

/** From now on the first SIGTERM, SIGINT or SIGHUP is noted instead of killing; another one ends the process at once. SIGPIPE is
 *  ignored. Once per process. */
bool fpd_lifecycle_install(void);

/** Waits for a signal; answers its number, or 0 when the time ran out. timeout_ms below 0: for ever. One thread. */
int fpd_lifecycle_wait(int64_t timeout_ms);

#endif
