/* Owns: a cache that can go away and forget, and counts what is asked of it; one at a time in a process.
 * Must not know: what is tested. */
#ifndef TESTS_GATED_CACHE_H
#define TESTS_GATED_CACHE_H

#include <stdbool.h>

/* Of the scheme "gated". */
const struct fp_cache_driver *gated_cache_driver(void);
void gated_cache_set_away(bool away);
/* It forgets everything. */
void gated_cache_flush(void);
/* Leases, since it was opened. */
int gated_cache_acquired(void);
int gated_cache_renewed(void);

#endif
