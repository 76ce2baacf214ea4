/* Owns: writing replies: one write for head and body, the right framing, headers that nobody can inject into.
 * Must not know: what is replied. */
#include "reply.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "clock.h"
#include "http_status.h"
#include "problem.h"

/* A body up to this size is copied behind its head, so that one write sends both. */
#define JOIN_MAX (64u * 1024u)
/* How much of the buffer a thread keeps from one request to the next. */
#define SCRATCH_KEEP (16u * 1024u)
/* A length that is not told. */
#define ENDLESS UINT64_MAX

void fpd_reply_header(fpd_request *rq, const char *name, const char *fmt, ...)
{
    size_t start;
    va_list args;
    char value[2048];
    int n;

    va_start(args, fmt);
    n = vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(value)) {
        rq->headers.failed = true; /* half a header would be worse than none */
        return;
    }
    fpd_text_printf(&rq->headers, "%s: ", name);
    start = rq->headers.size;
    fpd_text_string(&rq->headers, value);
    for (size_t i = start; i < rq->headers.size; i++)
        if ((unsigned char)rq->headers.data[i] < 0x20 || rq->headers.data[i] == 0x7F)
            rq->headers.data[i] = ' ';
    fpd_text_append(&rq->headers, "\r\n", 2);
}

static bool has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void write_head(fpd_request *rq, fpd_text *out, int status, const char *type,
                       uint64_t length)
{
    char date[FPD_HTTP_DATE_SIZE];

    fpd_http_date(fpd_now_ms(), date);
    fpd_text_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nX-Request-Id: %s\r\n", status,
                    fpd_status_phrase(status), date, rq->id);
    if (type && has_body(status))
        fpd_text_printf(out, "Content-Type: %s\r\n", type);
    if (has_body(status) && length != ENDLESS)
        fpd_text_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
    fpd_text_string(out, "X-Content-Type-Options: nosniff\r\n");
    if (rq->origin)
        fpd_text_printf(
            out,
            "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n"
            "Access-Control-Expose-Headers: Content-Disposition, Content-Range, ETag, "
            "Idempotency-Replayed, Location, Repr-Digest, "
            "Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, "
            "Tus-Version, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Incomplete, "
            "Upload-Length, Upload-Limit, Upload-Metadata, Upload-Offset, X-Request-Id\r\n",
            rq->origin);
    if (rq->headers.size)
        fpd_text_append(out, rq->headers.data, rq->headers.size);
    fpd_text_string(out,
                    rq->close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
}

static bool send_bytes(fpd_request *rq, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0 && !rq->broken) {
        size_t n = size < INT_MAX ? size : INT_MAX;

        if (rq->wire.write(rq->wire.self, p, n) != (int)n)
            rq->broken = rq->close = true;
        p += n;
        size -= n;
    }
    return !rq->broken;
}

/* Decides whether the connection goes on, and builds the head in the thread's buffer. */
static fpd_text *begin(fpd_request *rq, int status, const char *type, uint64_t length)
{
    fpd_text *out = rq->scratch;

    rq->status = status;
    rq->close = rq->close || rq->headers.failed || !fpd_request_keeps_alive(rq) ||
                !fpd_body_is_discardable(rq);
    fpd_text_clear(out, SCRATCH_KEEP);
    write_head(rq, out, status, type, length);
    if (out->failed)
        rq->broken = rq->close = true;
    return out;
}

/* JSON ends with a newline, so that answers in a terminal don't run together. */
static const char *end_of(const char *type)
{
    return type && (strcmp(type, "application/json") == 0 ||
                    strcmp(type, "application/problem+json") == 0)
               ? "\n"
               : "";
}

void fpd_reply(fpd_request *rq, int status, const char *type, const void *body, size_t size)
{
    const char *end = end_of(type);
    size_t end_size = strlen(end);
    fpd_text *out;
    bool joined;

    if (rq->status)
        return; /* one request, one reply */
    out = begin(rq, status, type, size + end_size);
    if (rq->method == FPD_METHOD_HEAD || !has_body(status))
        size = end_size = 0;
    joined = size <= JOIN_MAX;
    if (joined) {
        fpd_text_append(out, body, size);
        fpd_text_append(out, end, end_size);
    }
    if (out->failed || !send_bytes(rq, out->data, out->size))
        return;
    if (joined || (send_bytes(rq, body, size) && send_bytes(rq, end, end_size)))
        rq->bytes_sent = size + end_size;
}

void fpd_reply_json(fpd_request *rq, int status, const fpd_text *json)
{
    if (json->failed)
        fpd_problem(rq, 503, "busy", "The answer is too large, or the server is out of memory.");
    else
        fpd_reply(rq, status, "application/json", json->data, json->size);
}

void fpd_reply_json_buf(fpd_request *rq, int status, const fp_buf *json)
{
    fpd_reply(rq, status, "application/json", json->data, json->size);
}

void fpd_reply_empty(fpd_request *rq, int status)
{
    fpd_reply(rq, status, NULL, "", 0);
}

bool fpd_reply_begin(fpd_request *rq, int status, const char *type, uint64_t length)
{
    fpd_text *out;

    if (rq->status)
        return false;
    out = begin(rq, status, type, length);
    if (out->failed)
        return false;
    rq->reply_length = rq->method == FPD_METHOD_HEAD ? 0 : length;
    return send_bytes(rq, out->data, out->size) && rq->method != FPD_METHOD_HEAD;
}

bool fpd_reply_begin_endless(fpd_request *rq, int status, const char *type)
{
    fpd_text *out;

    if (rq->status)
        return false;
    rq->close = true;
    out = begin(rq, status, type, ENDLESS);
    return !out->failed && send_bytes(rq, out->data, out->size) && rq->method != FPD_METHOD_HEAD;
}

bool fpd_reply_write(fpd_request *rq, const void *data, size_t size)
{
    if (!send_bytes(rq, data, size))
        return false;
    rq->bytes_sent += size;
    return true;
}
