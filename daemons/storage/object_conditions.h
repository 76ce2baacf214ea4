/* Owns: the decision on If-Match and If-None-Match (RFC 9110 section 13).
 * Must not know: storage. */
#ifndef FPD_OBJECT_CONDITIONS_H
#define FPD_OBJECT_CONDITIONS_H

#include <fileproc/storage.h>

#include "request.h"

/** An etag with its quotes. */
#define FPD_OBJECT_ETAG_SIZE (FILEPROC_ETAG_SIZE + 3)

typedef enum fpd_conditions {
    FPD_CONDITIONS_MET,
    FPD_CONDITIONS_FAILED,      /* 412 */
    FPD_CONDITIONS_NOT_MODIFIED /* 304; for GET and HEAD */
} fpd_conditions;

/** etag: of what is there, with quotes; NULL = nothing is. */
fpd_conditions fpd_object_conditions(const fpd_request *rq, const char *etag);

/** Whether the request wants to write only where nothing is. */
bool fpd_object_exclusive(const fpd_request *rq);

/** Answers 412. */
void fpd_object_precondition_failed(fpd_request *rq);

#endif
