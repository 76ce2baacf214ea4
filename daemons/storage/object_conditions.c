/* Owns: the decision on If-Match and If-None-Match (RFC 9110 section 13).
 * Must not know: storage. */
#include "object_conditions.h"

#include <string.h>

#include "problem.h"
#include "range.h"

fpd_conditions fpd_object_conditions(const fpd_request *rq, const char *etag)
{
    const char *match = fpd_request_header(rq, "If-Match");
    const char *none_match = fpd_request_header(rq, "If-None-Match");
    bool reads = rq->method == FPD_METHOD_GET || rq->method == FPD_METHOD_HEAD;

    if (match && (!etag || !fpd_etag_matched(match, etag)))
        return FPD_CONDITIONS_FAILED;
    if (none_match && etag && fpd_etag_listed(none_match, etag))
        return reads ? FPD_CONDITIONS_NOT_MODIFIED : FPD_CONDITIONS_FAILED;
    return FPD_CONDITIONS_MET;
}

bool fpd_object_exclusive(const fpd_request *rq)
{
    const char *none_match = fpd_request_header(rq, "If-None-Match");

    return none_match && strcmp(none_match, "*") == 0;
}

void fpd_object_precondition_failed(fpd_request *rq)
{
    fpd_problem(rq, 412, "precondition_failed",
                "The object is not in the state that If-Match or If-None-Match asks for.");
}
