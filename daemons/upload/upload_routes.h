/* Owns: the starter kit's upload API over the upload engine.
 * Must not know: files and jobs. */
#ifndef FPD_UPLOAD_ROUTES_H
#define FPD_UPLOAD_ROUTES_H

#include <jansson.h>

#include "app.h"
#include "router.h"

/** Adds the service's routes; app is borrowed. False when the router is full. */
bool fpd_upload_routes_add(fpd_router *router, fpd_app *app);

/** The routes that are files of their own. */
void fpd_get_chunks(fpd_request *rq, void *app);
void fpd_put_chunk(fpd_request *rq, void *app);
void fpd_watch_upload(fpd_request *rq, void *app);
void fpd_stream_upload(fpd_request *rq, void *app);
void fpd_stream_events(fpd_request *rq, void *app);

/** Answers with what a completed upload has become. */
void fpd_upload_completed(fpd_request *rq, fpd_app *app, const fp_upload *upload);
/** The member metadata as text, in memory of malloc(); NULL when it is not there. False: the request is answered. */
bool fpd_upload_metadata(fpd_request *rq, const json_t *body, char **text);

/** Counts the failures that the starter kit's uploads_total tells apart, and answers with the problem. */
void fpd_upload_problem(fpd_request *rq, fpd_app *app, const fp_error *err);

#endif
