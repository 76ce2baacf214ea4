/* Owns: which web pages of other origins may call the API (the Fetch standard's CORS protocol).
 * Must not know: any route. */
#include "cors.h"

#include <string.h>
#include <strings.h>

#include "header_value.h"
#include "reply.h"

const char *fpd_cors_allow(const char *allowed, const char *origin)
{
    if (!origin || !allowed)
        return NULL;
    if (fpd_list_has(allowed, "*"))
        return "*";
    return fpd_list_has(allowed, origin) ? origin : NULL;
}

bool fpd_cors_same_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");

    return authority && host && strcasecmp(authority + 3, host) == 0;
}

void fpd_cors_methods(fpd_request *rq, const char *methods)
{
    fpd_reply_header(rq, "Allow", "%s", methods);
    if (rq->origin && fpd_request_header(rq, "Access-Control-Request-Method")) {
        fpd_reply_header(rq, "Access-Control-Allow-Methods", "%s", methods);
        fpd_reply_header(
            rq, "Access-Control-Allow-Headers",
            "Authorization, Content-Digest, Content-Disposition, Content-Type, Idempotency-Key, "
            "If-None-Match, If-Range, Range, Repr-Digest, Tus-Resumable, Upload-Checksum, "
            "Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Incomplete, "
            "Upload-Length, Upload-Metadata, Upload-Offset, Want-Repr-Digest, "
            "X-HTTP-Method-Override, X-Request-Id, X-Requested-With");
        fpd_reply_header(rq, "Access-Control-Max-Age", "600");
    }
}

void fpd_cors_options(fpd_request *rq, const char *methods)
{
    fpd_cors_methods(rq, methods);
    fpd_reply_empty(rq, 204);
}
