/* Owns: what a client of the resumable door hears: interim responses, problems, the final answer.
 * Must not know: how a request is read. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "forwarded.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"
#include "upload_routes.h"

#define TYPES "https://iana.org/assignments/http-problem-types#"
/* Interim responses with an offset: at most one in a second, and so many that they fit into what the kernel buffers for a client that
 * reads nothing before its request is sent. */
#define TELL_NS INT64_C(1000000000)
#define TELL_MAX 200u

/* ---- 104 ---- */

static void send_interim(fpd_resumable *r, const char *fields)
{
    fpd_request *rq = r->rq;
    char text[2 * FPD_FORWARDED_SIZE];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 104 Upload Resumption Supported\r\n"
                     "Upload-Draft-Interop-Version: %d\r\n%s\r\n",
                     (int)r->version, fields);

    if (rq->wire.write(rq->wire.self, text, (size_t)n) != n)
        rq->broken = rq->body_ended = rq->body_failed = true;
}

/* Others would take it for the answer, or for that of another protocol. */
static bool knows_interim(const fpd_resumable *r)
{
    return r->version && !r->conventional && strcmp(r->rq->head->version, "1.1") == 0;
}

/* The address is the same in all answers, whatever the proxies say. */
void fpd_resumable_announce(fpd_resumable *r, const fp_upload *upload)
{
    char path[sizeof(FPD_RESUMABLE_PATH) + 64], address[FPD_FORWARDED_SIZE];
    char limits[FPD_RESUMABLE_LIMITS_SIZE];
    char fields[FPD_FORWARDED_SIZE + 256];

    snprintf(path, sizeof(path), FPD_RESUMABLE_PATH "/%s", upload->id);
    fpd_forwarded_address(r->rq, r->app->limit.proxies, path, address);
    fpd_reply_header(r->rq, "Location", "%s", address);
    if (!knows_interim(r))
        return;
    fpd_resumable_limits(r, upload, limits);
    snprintf(fields, sizeof(fields), "Location: %s\r\nUpload-Limit: %s\r\n", address, limits);
    send_interim(r, fields);
}

static void tell_offset(fpd_resumable *r)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    char fields[64];

    if (fp_upload_get(r->app->uploads, r->upload_id, &upload, NULL) < 0 ||
        upload->offset <= r->told)
        return;
    r->told = upload->offset;
    r->count++;
    snprintf(fields, sizeof(fields), "Upload-Offset: %llu\r\n", (unsigned long long)r->told);
    send_interim(r, fields);
}

void fpd_resumable_progress(fpd_intake *in)
{
    fpd_resumable *r = in->user_data;
    int64_t now = fpd_monotonic_ns();

    if (now - r->told_ns < TELL_NS || r->count >= TELL_MAX)
        return;
    r->told_ns = now;
    if (knows_interim(r) && !fpd_resumable_is_before(r, 5))
        tell_offset(r);
}

/* ---- problems ---- */

static bool is_reason(const fp_error *err, int32_t reason)
{
    return strcmp(err->domain, "fileproc") == 0 && err->cause == reason;
}

/* Not the answer of the target; and where the upload is, when it is still anywhere. */
static void show_state(fpd_resumable *r)
{
    FPD_CLEANUP(fp_upload) upload = NULL;

    fpd_resumable_show_complete(r, false);
    if (!r->upload_id || fp_upload_get(r->app->uploads, r->upload_id, &upload, NULL) < 0)
        return;
    if (strcmp(upload->status, "cancelled") != 0 && strcmp(upload->status, "failed") != 0)
        fpd_resumable_show_offset(r, upload->offset);
}

void fpd_resumable_bad_request(fpd_resumable *r, const char *detail)
{
    fpd_resumable_show_complete(r, false);
    fpd_problem(r->rq, 400, "bad_request", "%s", detail);
}

void fpd_resumable_gone(fpd_resumable *r)
{
    fpd_resumable_show_complete(r, false);
    if (fpd_resumable_is_before(r, 7))
        fpd_problem(r->rq, 404, "upload_not_found", "The upload is gone.");
    else
        fpd_problem(r->rq, 410, "upload_cancelled", "The upload is gone.");
}

void fpd_resumable_mismatch(fpd_resumable *r, const fp_upload *upload)
{
    char members[96];
    fpd_problem_kind kind = { 409, "offset_mismatch", TYPES "mismatching-upload-offset",
                              "Mismatching Upload Offset", members };

    snprintf(members, sizeof(members), "\"expected-offset\":%llu,\"provided-offset\":%llu",
             (unsigned long long)upload->offset, (unsigned long long)r->offset);
    fpd_resumable_show_complete(r, false);
    fpd_resumable_show_offset(r, upload->offset);
    fpd_problem_of_kind(r->rq, &kind, "The upload is at offset %llu, not at %llu.",
                        (unsigned long long)upload->offset, (unsigned long long)r->offset);
}

void fpd_resumable_inconsistent(fpd_resumable *r, const char *detail)
{
    fpd_problem_kind kind = { 400, "length_invalid", TYPES "inconsistent-upload-length",
                              "Inconsistent Upload Length Values", NULL };

    show_state(r);
    fpd_problem_of_kind(r->rq, &kind, "%s", detail);
}

void fpd_resumable_already_complete(fpd_resumable *r)
{
    fpd_problem_kind kind = { 400, "upload_completed", TYPES "completed-upload",
                              "Upload Is Already Completed", NULL };

    show_state(r);
    fpd_problem_of_kind(r->rq, &kind, "The upload is complete and takes nothing more.");
}

/* Older drafts only want it refused. */
void fpd_resumable_exceeded(fpd_resumable *r, const fp_upload *upload)
{
    if (!fpd_resumable_is_before(r, 7))
        (void)!fp_upload_cancel(r->app->uploads, upload->id, NULL);
    show_state(r);
    fpd_problem(r->rq, 400, "length_exceeded", "The upload has %llu bytes, and these are more.%s",
                (unsigned long long)upload->size,
                fpd_resumable_is_before(r, 7) ? "" : " It can't be used any more.");
}

/* Another request was faster. */
static void answer_moved(fpd_resumable *r, const fp_error *err)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error e = *err;

    if (r->upload_id && fp_upload_get(r->app->uploads, r->upload_id, &upload, &e) == FILEPROC_OK) {
        fpd_resumable_mismatch(r, upload);
        return;
    }
    fpd_resumable_show_complete(r, false);
    fpd_upload_problem(r->rq, r->app, &e);
}

void fpd_resumable_error(fpd_resumable *r, const fp_error *err)
{
    if (is_reason(err, FILEPROC_REASON_UPLOAD_CANCELLED) ||
        (is_reason(err, FILEPROC_REASON_UPLOAD_EXPIRED) && fpd_resumable_is_before(r, 7))) {
        fpd_resumable_gone(r);
    } else if (is_reason(err, FILEPROC_REASON_OFFSET_MISMATCH)) {
        answer_moved(r, err);
    } else if (is_reason(err, FILEPROC_REASON_LENGTH_INVALID) ||
               is_reason(err, FILEPROC_REASON_UPLOAD_INCOMPLETE)) {
        fpd_resumable_inconsistent(r, err->message);
    } else {
        if (is_reason(err, FILEPROC_REASON_SIZE_TOO_LARGE))
            fpd_resumable_show_limits(r, NULL);
        show_state(r);
        fpd_upload_problem(r->rq, r->app, err);
    }
}

/* ---- the final answer ---- */

/* What will not be otherwise when it is asked again belongs to the representation, and is as final as success. */
static void answer_failure(fpd_resumable *r, const fp_error *err)
{
    if (!is_reason(err, FILEPROC_REASON_SHA256_MISMATCH) && err->code != FILEPROC_ERR_CORRUPT) {
        fpd_resumable_error(r, err);
        return;
    }
    fpd_resumable_show_complete(r, true);
    fpd_upload_problem(r->rq, r->app, err);
}

void fpd_resumable_finish(fpd_resumable *r, const fp_upload *upload)
{
    FPD_CLEANUP(fp_upload) done = NULL;
    fp_error err = { 0 };
    fp_status rc = FILEPROC_OK;

    r->upload_id = upload->id;
    if (upload->size_unknown)
        rc = fp_upload_set_size(r->app->uploads, upload->id, upload->offset, &err);
    if (rc == FILEPROC_OK)
        rc = fp_upload_complete(r->app->uploads, upload->id, &done, &err);
    if (rc != FILEPROC_OK) {
        answer_failure(r, &err);
        return;
    }
    fpd_resumable_show_complete(r, true);
    fpd_resumable_show_offset(r, done->size);
    fpd_resumable_show_limits(r, done);
    fpd_resumable_show_digest(r, done);
    fpd_upload_completed(r->rq, r->app, done);
}

/* ---- the body ---- */

/* Nobody can go on with what nobody knows the place of. */
static void drop_conventional(fpd_resumable *r, const fp_upload *upload)
{
    if (r->conventional)
        (void)!fp_upload_cancel(r->app->uploads, upload->id, NULL);
}

static void answer_intake(fpd_resumable *r, const fp_upload *upload, fpd_intake_result result,
                          const fp_error *err)
{
    bool error = result == FPD_INTAKE_ERROR;

    drop_conventional(r, upload);
    if ((error && is_reason(err, FILEPROC_REASON_LENGTH_EXCEEDED)) ||
        (result == FPD_INTAKE_TOO_LARGE && !upload->size_unknown)) {
        fpd_resumable_exceeded(r, upload);
    } else if (error) {
        fpd_resumable_error(r, err);
    } else {
        if (result == FPD_INTAKE_TOO_LARGE)
            fpd_resumable_show_limits(r, upload);
        show_state(r);
        fpd_intake_problem(r->rq, result);
    }
}

void fpd_resumable_receive(fpd_resumable *r, const fp_upload *upload, uint64_t offset,
                           const fpd_digest *digest, int status)
{
    FPD_CLEANUP(fp_upload) after = NULL;
    fpd_intake *in = &r->intake;
    fpd_intake_result result = FPD_INTAKE_OK;

    in->digest = digest;
    in->on_bytes = fpd_resumable_progress;
    in->user_data = r;
    r->upload_id = upload->id;
    r->told = offset;
    r->told_ns = fpd_monotonic_ns();
    if (r->rq->body_kind != FPD_BODY_NONE || digest) {
        result = fpd_intake_run(in, upload, offset, &after);
        upload = after ? after : upload;
    }
    fpd_intake_leave(in);
    if (result != FPD_INTAKE_OK) {
        answer_intake(r, upload, result, &in->err);
    } else if (r->complete || fpd_resumable_is_whole(r, upload)) {
        fpd_resumable_finish(r, upload);
    } else {
        fpd_resumable_show_complete(r, false);
        fpd_resumable_show_offset(r, upload->offset);
        fpd_resumable_show_limits(r, upload);
        fpd_reply(r->rq, status, NULL, NULL, 0);
    }
}
