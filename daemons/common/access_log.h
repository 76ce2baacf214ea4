/* Owns: the access log: one JSON line per request.
 * Must not know: any route. */
#ifndef FPD_ACCESS_LOG_H
#define FPD_ACCESS_LOG_H

#include "request.h"

/** Logs an answered request; uses the request's scratch buffer. The query is left out: it may hold secrets. */
void fpd_access_log(fpd_request *rq, int64_t duration_ns);

#endif
