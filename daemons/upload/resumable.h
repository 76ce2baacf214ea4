/* Owns: the door for Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload), at /v1/resumable.
 * Must not know: the starter kit's API and tus; how bytes become durable. */
#ifndef FPD_RESUMABLE_H
#define FPD_RESUMABLE_H

#include "app.h"
#include "intake.h"
#include "router.h"

#define FPD_PARTIAL_UPLOAD "application/partial-upload"
#define FPD_RESUMABLE_PATH "/v1/resumable"
#define FPD_RESUMABLE_LIMITS_SIZE 96u
/** What the note of an upload says whose client wants its digest in the final answer. */
#define FPD_RESUMABLE_WANTS "ietf:want-repr-digest=sha-256"

/** One request, and what its headers say. Lives on the stack of whoever serves it. A header that is no field of its type is as if it
 *  were not there. */
typedef struct fpd_resumable {
    fpd_request *rq;
    fpd_app *app;
    int64_t
        version; /* Upload-Draft-Interop-Version when we know it; 0: the RFC to be, which is as the newest */
    bool says_complete, complete; /* Upload-Complete */
    bool has_offset, has_length;
    uint64_t offset, length; /* Upload-Offset, Upload-Length */
    bool wants_digest;       /* Want-Repr-Digest asks for one that we have */
    bool
        conventional; /* a creation without Upload-Complete: nothing can be resumed, and the reply has no fields of ours */

    fpd_intake intake;
    const char *upload_id;

    /* Of the interim responses. */
    uint64_t told; /* the offset of the last one */
    int64_t told_ns;
    unsigned count;
} fpd_resumable;

/** Adds the routes; app is borrowed. False when the router is full. */
bool fpd_resumable_routes_add(fpd_router *router, fpd_app *app);

/** A request to the target, and PATCH to an upload. */
void fpd_resumable_create(fpd_request *rq, void *app);
void fpd_resumable_append(fpd_request *rq, void *app);

/** Reads how far the upload of the path is. False: it is gone, and the request is answered. */
bool fpd_resumable_find(fpd_resumable *r, fp_upload **upload);
/** Ends a request that is still at work on it: it has failed in the eyes of its client, who would not be here else. What it brought
 *  counts, and nothing comes after. */
void fpd_resumable_stop(fpd_resumable *r);

/* ---- resumable_fields.c ---- */

void fpd_resumable_read(fpd_resumable *r, fpd_request *rq, fpd_app *app);
/** The rules that changed with the drafts. */
bool fpd_resumable_is_before(const fpd_resumable *r, int64_t version);

/** Whether an upload is complete with its last byte, as tus-js-client believes: it sends the last bytes with Upload-Complete: ?0. Up to
 *  interop 6 nobody else tells a length before the end. */
bool fpd_resumable_is_whole(const fpd_resumable *r, const fp_upload *upload);

/** Content-Digest; *digest is NULL when there is none. False: it can't be used, and the request is answered. */
bool fpd_resumable_content_digest(fpd_resumable *r, fpd_digest *place, const fpd_digest **digest);
/** Repr-Digest as 64 hex digits; hex[0] is NUL when there is none. */
bool fpd_resumable_repr_digest(fpd_resumable *r, char hex[65]);

/** Headers of the reply. */
void fpd_resumable_show_complete(fpd_resumable *r, bool complete);
void fpd_resumable_show_offset(fpd_resumable *r, uint64_t offset);
/** upload may be NULL: what goes for all. */
void fpd_resumable_limits(const fpd_resumable *r, const fp_upload *upload,
                          char out[FPD_RESUMABLE_LIMITS_SIZE]);
void fpd_resumable_show_limits(fpd_resumable *r, const fp_upload *upload);
void fpd_resumable_show_digest(fpd_resumable *r, const fp_upload *upload);

/* ---- resumable_answer.c: interim responses, problems, the final answer ---- */

/** Location of the reply; and 104 with the same, to a client that knows what that is. */
void fpd_resumable_announce(fpd_resumable *r, const fp_upload *upload);
/** 104 with the offset, when it has grown: for fpd_intake.on_bytes; user_data is the fpd_resumable. */
void fpd_resumable_progress(fpd_intake *in);

/** Problems of the protocol, not of the representation: Upload-Complete is false. */
void fpd_resumable_bad_request(fpd_resumable *r, const char *detail);
void fpd_resumable_error(fpd_resumable *r, const fp_error *err);
void fpd_resumable_mismatch(fpd_resumable *r, const fp_upload *upload);
void fpd_resumable_inconsistent(fpd_resumable *r, const char *detail);
void fpd_resumable_already_complete(fpd_resumable *r);
void fpd_resumable_gone(fpd_resumable *r);
/** More bytes than the upload's length: it is of no use any more. */
void fpd_resumable_exceeded(fpd_resumable *r, const fp_upload *upload);

/** Takes the body into the upload from `offset` on. With Upload-Complete the upload is completed then, and the answer the final one;
 *  else it is `status`. */
void fpd_resumable_receive(fpd_resumable *r, const fp_upload *upload, uint64_t offset,
                           const fpd_digest *digest, int status);
/** Completes an upload that has all its bytes, or is complete already, and gives the final answer. */
void fpd_resumable_finish(fpd_resumable *r, const fp_upload *upload);

/** The length that this request says the upload has. *known is false when it says nothing. False: it says two, and is answered. */
bool fpd_resumable_length(fpd_resumable *r, uint64_t offset, uint64_t *length, bool *known);

#endif
