/* Owns: the door for clients that speak to Uppy's Companion and send their bytes to the S3 server themselves, at /s3.
 * Must not know: the other doors; how bytes become durable. */
#ifndef FPD_COMPANION_H
#define FPD_COMPANION_H

#include "app.h"
#include "router.h"

/** Adds the routes; app is borrowed. False when the router is full. */
bool fpd_companion_routes_add(fpd_router *router, fpd_app *app);

/** Whether the query names the key of the upload of the path, as the client was told it. False: the request is answered. */
bool fpd_companion_check_key(fpd_request *rq);
/** The problem for an error of the engine. */
void fpd_companion_problem(fpd_request *rq, fpd_app *app, const fp_error *err);

/** The routes that tell of parts. */
void fpd_companion_list(fpd_request *rq, void *app);
void fpd_companion_sign(fpd_request *rq, void *app);
void fpd_companion_sign_batch(fpd_request *rq, void *app);

#endif
