/* Owns: the routes of files over the catalog.
 * Must not know: uploads and jobs. */
#ifndef FPD_FILE_ROUTES_H
#define FPD_FILE_ROUTES_H

#include "app.h"
#include "router.h"

/** Adds the service's routes; app is borrowed. False when the router is full. */
bool fpd_file_routes_add(fpd_router *router, fpd_app *app);

/** The route that is a file of its own. */
void fpd_get_content(fpd_request *rq, void *app);

#endif
