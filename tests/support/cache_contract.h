/* Owns: the promises of fileproc/cache.h as tests, to be run against every driver.
 * Must not know: any driver. */
#ifndef TESTS_CACHE_CONTRACT_H
#define TESTS_CACHE_CONTRACT_H

#include <check.h>

#include <fileproc/cache.h>

/* How a driver's test program makes an empty cache. */
typedef struct cache_contract {
    fp_cache *(*fresh)(fp_context *ctx); /* open, nothing in it */
    fp_cache *(*peer)(fp_cache *c); /* the same cache as another process sees it; may be c itself */
    void (*gone)(fp_cache *c);      /* closes it, its peers, and removes what fresh() made */
} cache_contract;

/* Adds the tests; each runs once per driver. drivers must stay alive. */
void cache_contract_add(Suite *suite, const cache_contract *drivers, int count);

#endif
