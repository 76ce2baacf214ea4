/* Owns: which web pages of other origins may call the API (the Fetch standard's CORS protocol).
 * Must not know: any route. */
#ifndef FPD_CORS_H
#define FPD_CORS_H

#include "request.h"

/** What Access-Control-Allow-Origin says to `origin`: itself, "*", or NULL when `allowed` (comma-separated origins, or an
 *  asterisk) does not have it. */
const char *fpd_cors_allow(const char *allowed, const char *origin);

/** Whether the origin names this very server, as its Host header does. */
bool fpd_cors_same_origin(const char *origin, const char *host);

/** Answers OPTIONS: the methods of the path, and to an allowed page's preflight also what it may send. */
void fpd_cors_options(fpd_request *rq, const char *methods);
/** Only the headers of that answer. */
void fpd_cors_methods(fpd_request *rq, const char *methods);

#endif
