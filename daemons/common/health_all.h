/* Owns: /health/all: how all services are, asked of each, or of this process when it is all of them.
 * Must not know: any service. */
#ifndef FPD_HEALTH_ALL_H
#define FPD_HEALTH_ALL_H

#include "health_routes.h"
#include "peers.h"

void fpd_get_health_all(fpd_request *rq, void *state);

/** Appends the members "dependencies" and "latency_ms" of those probes that concern `needs`. */
void fpd_health_dependencies(fpd_text *json, const fpd_health_report *report, unsigned needs);

#endif
