/* Owns: the routes of objects by their keys.
 * Must not know: files, uploads and jobs. */
#ifndef FPD_OBJECT_ROUTES_H
#define FPD_OBJECT_ROUTES_H

#include "app.h"
#include "object_conditions.h"
#include "router.h"

/** Adds the service's routes; app is borrowed. False when the router is full. */
bool fpd_object_routes_add(fpd_router *router, fpd_app *app);

/** The routes that are files of their own. */
void fpd_get_object(fpd_request *rq, void *app);
void fpd_put_object(fpd_request *rq, void *app);
void fpd_list_objects(fpd_request *rq, void *app);

/** An object as its readers and writers see it. */
typedef struct fpd_object {
    bool exists;
    fp_storage_info info;
    char etag[FPD_OBJECT_ETAG_SIZE]; /* with quotes; "" when it is not there */
} fpd_object;

/** Looks at the object; one that is not there is no failure. */
fp_status fpd_object_look(fpd_app *app, const char *key, fpd_object *out, fp_error *err);

/** The etag to compare conditions with; NULL when there is no object. */
const char *fpd_object_etag(const fpd_object *object);

#endif
