/* Owns: the door for clients of tus 1.0.0, at /v1/tus.
 * Must not know: the starter kit's API; how bytes become durable. */
#ifndef FPD_TUS_H
#define FPD_TUS_H

#include "app.h"
#include "router.h"

#define FPD_TUS_BODY_TYPE "application/offset+octet-stream"

/** Adds the routes; app is borrowed. False when the router is full. */
bool fpd_tus_routes_add(fpd_router *router, fpd_app *app);

/** POST to the collection and PATCH, once it is known that the client speaks tus. */
void fpd_tus_create(fpd_request *rq, fpd_app *app);
void fpd_tus_patch(fpd_request *rq, fpd_app *app);

/** The upload of the path, when there is one that a client can still do something with. False: the request is answered. */
bool fpd_tus_find(fpd_request *rq, fpd_app *app, fp_upload **upload);

/** Takes the request's body as bytes from `offset` on and completes an upload that is whole with them. *out is the upload
 *  afterwards. False: the request is answered. */
bool fpd_tus_append(fpd_request *rq, fpd_app *app, const fp_upload *upload, uint64_t offset,
                    fp_upload **out);
/** Completes an open upload that has all its bytes, and replaces *upload by what it has become; of a partial upload those that wait for
 *  it. False: the request is answered. */
bool fpd_tus_complete(fpd_request *rq, fpd_app *app, fp_upload **upload);

/** The value of a header that is a number of bytes. False: it is answered with 400, or 413 when it is beyond all sizes. */
bool fpd_tus_number(fpd_request *rq, const char *name, const char *value, uint64_t *number);
/** Whether the body has the one media type; else 415. */
bool fpd_tus_check_type(fpd_request *rq);
/** A checksum that can't be checked is refused before anything is made or read. */
bool fpd_tus_check_checksum(fpd_request *rq);

/** Upload-Expires, as long as there is something that can expire. */
void fpd_tus_expires(fpd_request *rq, const fp_upload *upload);
/** The problem for an error of the engine. */
void fpd_tus_problem(fpd_request *rq, fpd_app *app, const fp_error *err);

#endif
