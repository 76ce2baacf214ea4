/* Owns: the door for clients that speak to Uppy's Companion and send their bytes to the S3 server themselves, at /s3.
 * Must not know: the other doors; how bytes become durable. */
#ifndef FPD_COMPANION_H
#define FPD_COMPANION_H

#include "app.h"
#include "router.h"

/** Adds the routes; app is borrowed. False when the router is full. */
bool fpd_companion_routes_add(fpd_router *router, fpd_app *app);

/** What clients are told is the key begins with this; the upload's id follows. They give it back with every request and make none of
 *  it; the object's real one has an id that is not known to them before the end. */
#define FPD_COMPANION_KEY "uploads/"
bool fpd_companion_is_key(const char *key, const char *upload_id);

/** Whether the storage can do what this door is about. False: the request is answered. */
bool fpd_companion_check_storage(fpd_request *rq, fpd_app *app);
/** Begins an upload; a missing type is filled in. False: the request is answered. */
bool fpd_companion_create(fpd_request *rq, fpd_app *app, fp_upload_request *request,
                          fp_upload **upload);
/** Appends where the bytes of a completed upload are: absolute, since the pages that show it may be of another origin. */
void fpd_companion_location(const fpd_request *rq, const fpd_app *app, const fp_upload *upload,
                            fpd_text *url);
/** Answers with what a completed upload has become. */
void fpd_companion_completed(fpd_request *rq, const fpd_app *app, const fp_upload *upload);

/** Whether the query names the key of the upload of the path, as the client was told it. False: the request is answered. */
bool fpd_companion_check_key(fpd_request *rq);
/** The problem for an error of the engine. */
void fpd_companion_problem(fpd_request *rq, fpd_app *app, const fp_error *err);

/** The routes that tell of parts. */
void fpd_companion_list(fpd_request *rq, void *app);
void fpd_companion_sign(fpd_request *rq, void *app);
void fpd_companion_sign_batch(fpd_request *rq, void *app);

/** The routes for what is sent in one request. */
void fpd_companion_params(fpd_request *rq, void *app);
void fpd_companion_post(fpd_request *rq, void *app);
void fpd_companion_posted(fpd_request *rq, void *app);

#endif
