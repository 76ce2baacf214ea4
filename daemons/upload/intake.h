/* Owns: a request's body on its way into an upload, straight from the connection into the engine.
 * Must not know: which protocol the request is of; how bytes become durable. */
#ifndef FPD_INTAKE_H
#define FPD_INTAKE_H

#include <stdatomic.h>

#include "app.h"
#include "chunked.h"
#include "content_digest.h"
#include "request.h"

typedef enum fpd_intake_result {
    FPD_INTAKE_OK,
    FPD_INTAKE_ERROR, /* of the engine: fpd_intake.err */
    FPD_INTAKE_CUT, /* the client stopped in the middle; what came is kept, unless it has a digest */
    FPD_INTAKE_SUPERSEDED, /* by a newer request; what came is kept, when that one has not begun to write yet */
    FPD_INTAKE_TOO_LARGE, /* a chunked body went on behind the last byte that the upload has room for */
    FPD_INTAKE_NO_MEMORY,
    FPD_INTAKE_TRAILER, /* on_trailer did not like it; nothing is kept */
    FPD_INTAKE_ANSWERED /* the client was told that the trailer can't be read here */
} fpd_intake_result;

/** One body. rq and app are to be set, the rest may be. */
typedef struct fpd_intake {
    fpd_request *rq;
    fpd_app *app;
    const fpd_digest *digest; /* of the body: its bytes count all or not at all; or NULL */
    void (*on_bytes)(struct fpd_intake *in); /* after each buffer that was taken; or NULL */
    void *user_data;                         /* for on_bytes and on_trailer */
    /** Or NULL: digest is NULL, and is to be found in the trailer of the body, which is in the chunked coding: *digest then. False when there
     *  is none that can be used. */
    bool (*on_trailer)(struct fpd_intake *in, const fpd_chunked *body, fpd_digest *digest);
    fp_error err;
    fpd_writer place; /* fpd_intake_run()'s own: left as soon as nothing more is read */

    struct fpd_intake *next; /* of those at work, the older ones; the rest is intake.c's, too */
    const char *upload_id;   /* while it is one of them; else NULL */
    atomic_bool stopped;
} fpd_intake;

/** Appends the body from `offset` on, and makes it durable. *out is the upload with it, set only when all went well. Answers
 *  nothing. */
fpd_intake_result fpd_intake_run(fpd_intake *in, const fp_upload *upload, uint64_t offset,
                                 fp_upload **out);

/** From here on, and not only from fpd_intake_run() on, it can be stopped: for who looks at the upload before that. The id is borrowed
 *  until fpd_intake_leave(), which fpd_intake_run() ends with; calling it again does nothing. */
void fpd_intake_enter(fpd_intake *in, const char *upload_id);
void fpd_intake_leave(fpd_intake *in);

/** Ends whatever is on its way into an upload in this process, and waits until what came of it is durable, for a few seconds at
 *  the most. False: it is still at it. `self`, unless NULL, is not ended, and neither is what has entered after it. */
bool fpd_intake_stop(const fpd_app *app, const char *upload_id, const fpd_intake *self);

/** The answer to a failure that means the same to all protocols: any but FPD_INTAKE_ERROR. */
void fpd_intake_problem(fpd_request *rq, fpd_intake_result result);

#endif
