/* Owns: the routes that operators and machines ask: health, probes, metrics, the index.
 * Must not know: any service. */
#ifndef FPD_HEALTH_ROUTES_H
#define FPD_HEALTH_ROUTES_H

#include <stdatomic.h>

#include "dispatch.h"
#include "health.h"

/** What these routes work with. All borrowed; dispatcher is set before the server starts. */
typedef struct fpd_health_state {
    fpd_app *app;
    fpd_health *health;
    const fpd_dispatcher *dispatcher;
    atomic_bool started; /* everything is open and the threads run */
} fpd_health_state;

bool fpd_health_routes_add(fpd_router *router, fpd_health_state *state);

#endif
