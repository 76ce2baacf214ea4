/* Owns: how often a client, or an owner, may ask; and what somebody is told who asks too often.
 * Must not know: routes; where the counts are kept. */
#ifndef FPD_RATE_LIMIT_H
#define FPD_RATE_LIMIT_H

#include <fileproc/cache.h>

#include "request.h"

/** Settings; 0 = no limit. All borrowed. */
typedef struct fpd_rate_limit {
    fp_cache *cache;
    uint64_t per_client, per_owner; /* in a window */
    uint32_t window_ms;
    const char *proxies; /* addresses, separated by commas, whose X-Forwarded-... is believed */
} fpd_rate_limit;

/** Count a request of its client's, or something that an owner does (NULL: nobody's). False: it was too much, and is answered with
 *  429. While the cache is away everything is allowed. */
bool fpd_rate_limit_client(const fpd_rate_limit *l, fpd_request *rq);
bool fpd_rate_limit_owner(const fpd_rate_limit *l, fpd_request *rq, const char *owner);

/** The address of the client: the peer's, or when that is a proxy which is believed, the last one in X-Forwarded-For that is not.
 *  False when it is too long to be one. */
bool fpd_client_address(const fpd_request *rq, const char *proxies, char *out, size_t capacity);

#endif
