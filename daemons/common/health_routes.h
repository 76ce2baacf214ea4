/* Owns: the routes that operators and machines ask: health, probes, metrics, the index.
 * Must not know: any service. */
#ifndef FPD_HEALTH_ROUTES_H
#define FPD_HEALTH_ROUTES_H

#include <pthread.h>
#include <stdatomic.h>

#include "dispatch.h"
#include "health.h"

/** What these routes work with. All borrowed; dispatcher is set before the server starts. fpd_health_state_init() and _dispose(). */
typedef struct fpd_health_state {
    fpd_app *app;
    fpd_health *health;
    const fpd_router *router;
    const fpd_dispatcher *dispatcher;
    atomic_bool started;      /* everything is open and the threads run */
    pthread_mutex_t all_lock; /* guards what follows */
    fpd_text all;             /* the last answer of /health/all */
    bool all_well;
    int64_t all_ns; /* when it was made; 0 = never */
} fpd_health_state;

void fpd_health_state_init(fpd_health_state *state, fpd_app *app, fpd_health *health);
void fpd_health_state_dispose(fpd_health_state *state);

bool fpd_health_routes_add(fpd_router *router, fpd_health_state *state);

#endif
