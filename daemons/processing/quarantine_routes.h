/* Owns: the routes of files in quarantine.
 * Must not know: how a file is checked. */
#ifndef FPD_QUARANTINE_ROUTES_H
#define FPD_QUARANTINE_ROUTES_H

#include "app.h"
#include "router.h"

/** False when the router is full. */
bool fpd_quarantine_routes_add(fpd_router *router, fpd_app *app);

#endif
