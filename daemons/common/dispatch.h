/* Owns: the way of every request: trust in its framing, draining, CORS, route, answer, log, metrics.
 * Must not know: CivetWeb, or any route. */
#ifndef FPD_DISPATCH_H
#define FPD_DISPATCH_H

#include "metrics.h"
#include "rate_limit.h"
#include "router.h"

typedef struct fpd_dispatcher fpd_dispatcher;

/** All arguments are borrowed and must outlive it. The router is complete. cors_origins as fpd_cors_allow() wants it,
 *  hosts as fpd_host_allowed(); with NULL any Host will do. NULL when out of memory. */
fpd_dispatcher *fpd_dispatcher_new(const fpd_router *router, fpd_metrics *metrics,
                                   const char *cors_origins, const char *hosts);
void fpd_dispatcher_free(fpd_dispatcher *d);
FPD_DEFINE_CLEANUP(fpd_dispatcher, fpd_dispatcher_free)

/** From now on clients are counted. limit is borrowed and must outlive it. Before the first request. */
void fpd_dispatcher_set_limit(fpd_dispatcher *d, const fpd_rate_limit *limit);

/** Serves one request and answers its status. 101: the handler accepted an upgrade to a WebSocket, nothing was written yet, and
 *  *upgrade is what the handler set. Any thread. */
int fpd_dispatch(fpd_dispatcher *d, const fpd_head *head, const fpd_wire *wire, fpd_text *scratch,
                 void **upgrade);

/** Answers a request whose head the HTTP server itself refused; head may lack everything but the method and the target. */
void fpd_dispatch_refused(fpd_dispatcher *d, const fpd_head *head, const fpd_wire *wire,
                          fpd_text *scratch, const fpd_bad_request *why);

/** From now on only FPD_ROUTE_ALWAYS routes answer; the others get 503. Cannot be undone. Any thread. */
void fpd_dispatcher_drain(fpd_dispatcher *d);
bool fpd_dispatcher_draining(const fpd_dispatcher *d);

/** Waits until no request is in progress; false when that takes longer. */
bool fpd_dispatcher_wait_idle(fpd_dispatcher *d, int64_t timeout_ms);

/** How many requests are in progress. */
int64_t fpd_dispatcher_in_progress(const fpd_dispatcher *d);

#endif
