/* Owns: the routes of jobs, operations and pipelines.
 * Must not know: uploads. */
#ifndef FPD_JOB_ROUTES_H
#define FPD_JOB_ROUTES_H

#include "app.h"
#include "router.h"

/** Adds the service's routes; app is borrowed. False when the router is full. */
bool fpd_job_routes_add(fpd_router *router, fpd_app *app);

#endif
