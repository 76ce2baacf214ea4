/* Owns: a request's body on its way into an upload, straight from the connection into the engine.
 * Must not know: which protocol the request is of; how bytes become durable. */
#ifndef FPD_INTAKE_H
#define FPD_INTAKE_H

#include "app.h"
#include "content_digest.h"
#include "request.h"

typedef enum fpd_intake_result {
    FPD_INTAKE_OK,
    FPD_INTAKE_ERROR, /* of the engine: fpd_intake.err */
    FPD_INTAKE_CUT, /* the client stopped in the middle; what came is kept, unless it has a digest */
    FPD_INTAKE_SUPERSEDED, /* a newer request goes on from the same offset, or from a later one */
    FPD_INTAKE_TOO_LARGE, /* a chunked body went on behind the last byte that the upload has room for */
    FPD_INTAKE_NO_MEMORY
} fpd_intake_result;

/** One body. rq and app are to be set, the rest may be. */
typedef struct fpd_intake {
    fpd_request *rq;
    fpd_app *app;
    const fpd_digest *digest; /* of the body: its bytes count all or not at all; or NULL */
    void (*on_bytes)(struct fpd_intake *in); /* after each buffer that was taken; or NULL */
    void *user_data;                         /* for on_bytes */
    fp_error err;
    fpd_writer place; /* fpd_intake_run()'s own: left as soon as nothing more is read */
} fpd_intake;

/** Appends the body from `offset` on, and makes it durable. *out is the upload with it, set only when all went well. Answers
 *  nothing. */
fpd_intake_result fpd_intake_run(fpd_intake *in, const fp_upload *upload, uint64_t offset,
                                 fp_upload **out);

/** The answer to a failure that means the same to all protocols: any but FPD_INTAKE_ERROR. */
void fpd_intake_problem(fpd_request *rq, fpd_intake_result result);

#endif
