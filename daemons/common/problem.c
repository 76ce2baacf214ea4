/* Owns: the one language of errors: RFC 9457 problem+json, and which HTTP status an error of the library gets.
 * Must not know: any route. */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http_status.h"
#include "log.h"
#include "reply.h"

static const struct {
    int32_t reason;
    int status;
} by_reason[] = {
    { FILEPROC_REASON_UPLOAD_NOT_FOUND, 404 },     { FILEPROC_REASON_UPLOAD_EXPIRED, 410 },
    { FILEPROC_REASON_UPLOAD_CANCELLED, 409 },     { FILEPROC_REASON_UPLOAD_COMPLETED, 409 },
    { FILEPROC_REASON_UPLOAD_INCOMPLETE, 400 },    { FILEPROC_REASON_CHUNK_INDEX_INVALID, 400 },
    { FILEPROC_REASON_CHUNK_LENGTH_INVALID, 400 }, { FILEPROC_REASON_CHUNK_CONFLICT, 409 },
    { FILEPROC_REASON_CHUNK_SUPERSEDED, 409 },     { FILEPROC_REASON_DIGEST_MISMATCH, 400 },
    { FILEPROC_REASON_DIGEST_UNSUPPORTED, 400 },   { FILEPROC_REASON_SIZE_TOO_LARGE, 413 },
    { FILEPROC_REASON_TYPE_NOT_ALLOWED, 415 },     { FILEPROC_REASON_FILENAME_INVALID, 422 },
    { FILEPROC_REASON_METADATA_INVALID, 422 },     { FILEPROC_REASON_FILE_NOT_FOUND, 404 },
    { FILEPROC_REASON_JOB_NOT_FOUND, 404 },        { FILEPROC_REASON_JOB_FINISHED, 409 },
    { FILEPROC_REASON_CURSOR_INVALID, 422 },       { FILEPROC_REASON_PIPELINE_INVALID, 422 },
    { FILEPROC_REASON_PIPELINE_UNKNOWN, 404 },     { FILEPROC_REASON_OPERATION_UNKNOWN, 422 },
    { FILEPROC_REASON_PARAMETER_INVALID, 422 },    { FILEPROC_REASON_STORAGE_FULL, 507 },
    { FILEPROC_REASON_OBJECT_NOT_FOUND, 500 }, /* a row without its bytes: our fault, not the client's */
    { FILEPROC_REASON_OFFSET_MISMATCH, 409 },      { FILEPROC_REASON_LENGTH_EXCEEDED, 413 },
    { FILEPROC_REASON_LENGTH_INVALID, 400 },       { FILEPROC_REASON_LEASE_LOST, 409 },
    { FILEPROC_REASON_SHA256_MISMATCH, 422 },      { FILEPROC_REASON_MEDIA_UNSUPPORTED, 422 },
    { FILEPROC_REASON_IDEMPOTENCY_REUSED, 422 },   { FILEPROC_REASON_REQUEST_IN_PROGRESS, 409 },
    { FILEPROC_REASON_QUOTA_EXCEEDED, 413 },       { FILEPROC_REASON_TOO_MANY_UPLOADS, 429 },
    { FILEPROC_REASON_CONCAT_INVALID, 400 },       { FILEPROC_REASON_UPLOAD_PARTIAL, 409 },
    { FILEPROC_REASON_UPLOAD_FINAL, 403 },
};

static const struct {
    fp_status code;
    int status;
} by_code[] = {
    { FILEPROC_ERR_NOMEM, 503 },    { FILEPROC_ERR_INVALID, 422 },   { FILEPROC_ERR_NOTSUP, 501 },
    { FILEPROC_ERR_NOTFOUND, 404 }, { FILEPROC_ERR_EXISTS, 409 },    { FILEPROC_ERR_CONFLICT, 409 },
    { FILEPROC_ERR_AUTH, 403 },     { FILEPROC_ERR_QUOTA, 507 },     { FILEPROC_ERR_BUSY, 503 },
    { FILEPROC_ERR_TIMEOUT, 503 },  { FILEPROC_ERR_CANCELLED, 503 }, { FILEPROC_ERR_IO, 500 },
    { FILEPROC_ERR_PROTOCOL, 502 }, { FILEPROC_ERR_CORRUPT, 500 },   { FILEPROC_ERR_USER, 500 },
};

int fpd_problem_status(const fp_error *err)
{
    if (strcmp(err->domain, "fileproc") == 0)
        for (size_t i = 0; i < sizeof(by_reason) / sizeof(*by_reason); i++)
            if (by_reason[i].reason == err->cause)
                return by_reason[i].status;
    if (err->code == FILEPROC_ERR_IO &&
        (err->flags & (FILEPROC_ERROR_RETRYABLE | FILEPROC_ERROR_UNCERTAIN)))
        return 503; /* a connection that broke, not a disk; clients know that they don't know */
    for (size_t i = 0; i < sizeof(by_code) / sizeof(*by_code); i++)
        if (by_code[i].code == err->code)
            return by_code[i].status;
    return 500;
}

static void send_kind(fpd_request *rq, const fpd_problem_kind *kind, const char *detail)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(32 * 1024);
    int status = kind->status;

    if (status == 503 || status == 507)
        fpd_reply_header(rq, "Retry-After", "%d", status == 507 ? 60 : 1);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_text_printf(&json, "{\"type\":\"%s\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                    kind->type ? kind->type : "about:blank",
                    kind->title ? kind->title : fpd_status_phrase(status), status);
    fpd_text_json(&json, detail);
    fpd_text_string(&json, ",\"instance\":");
    fpd_text_json(&json, rq->head->target);
    fpd_text_string(&json, ",\"code\":");
    fpd_text_json(&json, kind->code);
    fpd_text_string(&json, ",\"request_id\":");
    fpd_text_json(&json, rq->id);
    if (kind->members)
        fpd_text_printf(&json, ",%s", kind->members);
    fpd_text_string(&json, "}");
    if (json.failed) /* out of memory: the status says the most important thing */
        fpd_reply(rq, status, "application/problem+json", "{}", 2);
    else
        fpd_reply(rq, status, "application/problem+json", json.data, json.size);
}

static void send_problem(fpd_request *rq, int status, const char *code, const char *detail)
{
    fpd_problem_kind kind = { status, code, NULL, NULL, NULL };

    send_kind(rq, &kind, detail);
}

void fpd_problem_of_kind(fpd_request *rq, const fpd_problem_kind *kind, const char *fmt, ...)
{
    char detail[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    send_kind(rq, kind, detail);
}

void fpd_problem(fpd_request *rq, int status, const char *code, const char *fmt, ...)
{
    char detail[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    send_problem(rq, status, code, detail);
}

void fpd_problem_error(fpd_request *rq, const fp_error *err)
{
    const char *code = fp_error_reason(err);
    int status = fpd_problem_status(err);

    if (status < 500) {
        send_problem(rq, status, code, err->message);
        return;
    }
    fpd_log(status == 500 ? FILEPROC_LOG_ERROR : FILEPROC_LOG_WARN, "http",
            "%s %s: %s (%s %d), request %s", fpd_method_name(rq->method), rq->head->target,
            err->message, err->domain, (int)err->cause, rq->id);
    if (status == 507)
        send_problem(rq, status, code, "There is no space left for this.");
    else if (status == 503)
        send_problem(rq, status, "busy",
                     "The server can't do this at the moment; please try again.");
    else
        send_problem(rq, status, code,
                     "The server failed; its log says more under this request_id.");
}
