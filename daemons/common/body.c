/* Owns: reading a request's body: limits before the first byte, 100 Continue, and knowing whether all of it came.
 * Must not know: what is in it. */
#include "body.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "problem.h"

/* Up to this much is read and thrown away so that a connection can go on. */
#define DISCARD_MAX (256u * 1024u)
/* A refused body is read on for this long at the most. */
#define DRAIN_NS INT64_C(2000000000)

static bool fits(fpd_request *rq, uint64_t limit)
{
    if (rq->body_kind != FPD_BODY_LENGTH || rq->body_length <= limit)
        return true;
    fpd_problem(rq, 413, "body_too_large",
                "The body has %llu bytes; at most %llu are accepted here.",
                (unsigned long long)rq->body_length, (unsigned long long)limit);
    return false;
}

bool fpd_body_open(fpd_request *rq, uint64_t limit)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!fits(rq, limit))
        return false;
    rq->body_limit = limit;
    if (rq->expects_continue) {
        rq->expects_continue = false;
        if (rq->wire.write(rq->wire.self, go_on, sizeof(go_on) - 1) != (int)sizeof(go_on) - 1)
            rq->broken = rq->body_ended = rq->body_failed = true;
    }
    return true;
}

static fpd_body_result end_with(fpd_request *rq, fpd_body_result result)
{
    rq->body_ended = true;
    rq->body_failed = result != FPD_BODY_END;
    rq->close = rq->close || rq->body_failed;
    return result;
}

/* The server answers 0 for a time-out as for the end, so only the count tells them apart. */
static fpd_body_result read_counted(fpd_request *rq, void *buf, size_t capacity, size_t *got)
{
    uint64_t left = rq->body_length - rq->body_read;
    size_t want = left < capacity ? (size_t)left : capacity;
    int n = rq->wire.read(rq->wire.self, buf, want);

    if (n < 0 || (size_t)n < want) {
        *got = n > 0 ? (size_t)n : 0;
        rq->body_read += *got;
        return end_with(rq, FPD_BODY_CUT);
    }
    rq->body_read += want;
    rq->body_ended = rq->body_read == rq->body_length;
    *got = want;
    return FPD_BODY_OK;
}

static fpd_body_result read_chunked(fpd_request *rq, void *buf, size_t capacity, size_t *got)
{
    int n = rq->wire.read(rq->wire.self, buf, capacity);

    if (n < 0)
        return end_with(rq, FPD_BODY_CUT);
    if (n == 0)
        return end_with(rq, FPD_BODY_END);
    rq->body_read += (uint64_t)n;
    if (rq->body_read > rq->body_limit) {
        rq->close = true;
        return FPD_BODY_TOO_LARGE;
    }
    *got = (size_t)n;
    return FPD_BODY_OK;
}

bool fpd_body_take_over(fpd_request *rq, fpd_chunked *c)
{
    if (rq->wire.raw && rq->wire.raw(rq->wire.self, &rq->raw)) {
        rq->chunked = c;
        rq->close = true;
        return true;
    }
    rq->close = true;
    fpd_problem(
        rq, 503, "busy",
        "A trailer can't be read on a connection that had other requests before; send it on a "
        "new one.");
    return false;
}

void fpd_body_let_go(fpd_request *rq)
{
    if (!rq->chunked)
        return;
    rq->chunked = NULL;
    rq->body_ended = rq->body_failed = true;
}

/* 0: the client has ended, or was silent for too long. */
static size_t receive(const fpd_raw *raw, char *buf, size_t capacity)
{
    struct pollfd ready = { .fd = raw->fd, .events = POLLIN };

    for (;;) {
        ssize_t n = recv(raw->fd, buf, capacity, MSG_DONTWAIT);
        int rc;

        if (n >= 0)
            return (size_t)n;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return 0;
        rc = poll(&ready, 1, raw->timeout_ms);
        if (rc == 0 || (rc < 0 && errno != EINTR))
            return 0;
    }
}

static size_t next_bytes(fpd_raw *raw, char *buf, size_t capacity)
{
    size_t n = raw->size < capacity ? raw->size : capacity;

    if (n == 0)
        return receive(raw, buf, capacity);
    memcpy(buf, raw->data, n);
    raw->data += n;
    raw->size -= n;
    return n;
}

/* As soon as there are any bytes. */
static fpd_body_result read_raw(fpd_request *rq, void *buf, size_t capacity, size_t *got)
{
    fpd_chunked_result result = FPD_CHUNKED_MORE;

    while (result == FPD_CHUNKED_MORE && *got == 0) {
        size_t n = next_bytes(&rq->raw, buf, capacity), used;

        if (n == 0)
            return end_with(rq, FPD_BODY_CUT);
        result = fpd_chunked_decode(rq->chunked, buf, n, got, &used);
    }
    rq->body_read += *got;
    if (rq->body_read > rq->body_limit) {
        *got = 0;
        rq->close = true;
        return FPD_BODY_TOO_LARGE;
    }
    if (result == FPD_CHUNKED_BAD)
        return end_with(rq, FPD_BODY_CUT);
    rq->body_ended = result == FPD_CHUNKED_END;
    return *got ? FPD_BODY_OK : FPD_BODY_END;
}

fpd_body_result fpd_body_read(fpd_request *rq, void *buf, size_t capacity, size_t *got)
{
    *got = 0;
    if (capacity > INT_MAX)
        capacity = INT_MAX;
    if (rq->body_ended)
        return rq->body_failed ? FPD_BODY_CUT : FPD_BODY_END;
    if (rq->chunked)
        return read_raw(rq, buf, capacity, got);
    return rq->body_kind == FPD_BODY_CHUNKED ? read_chunked(rq, buf, capacity, got)
                                             : read_counted(rq, buf, capacity, got);
}

void fpd_body_problem(fpd_request *rq, fpd_body_result result)
{
    if (result == FPD_BODY_TOO_LARGE)
        fpd_problem(rq, 413, "body_too_large", "At most %llu bytes are accepted here.",
                    (unsigned long long)rq->body_limit);
    else
        fpd_problem(rq, 400, "body_incomplete", "The body ended before it was whole.");
}

/* Reads until the end or until more than limit bytes came. */
static fpd_body_result fill(fpd_request *rq, char *buf, size_t limit, size_t *size)
{
    for (*size = 0;;) {
        size_t got;
        fpd_body_result result = fpd_body_read(rq, buf + *size, limit + 1 - *size, &got);

        *size += got;
        if (result == FPD_BODY_END)
            return FPD_BODY_OK;
        if (result != FPD_BODY_OK)
            return result;
        if (*size > limit)
            return FPD_BODY_TOO_LARGE;
    }
}

char *fpd_body_read_all(fpd_request *rq, size_t limit, size_t *size)
{
    size_t room = rq->body_kind == FPD_BODY_LENGTH && rq->body_length < limit
                      ? (size_t)rq->body_length
                      : limit;
    FPD_MEMORY buf = NULL;
    fpd_body_result result;

    if (!fpd_body_open(rq, limit))
        return NULL;
    if (rq->body_kind == FPD_BODY_NONE)
        room = 0;
    buf = fpd_memory(room + 1);
    if (!buf) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return NULL;
    }
    result = fill(rq, buf, room, size);
    if (result != FPD_BODY_OK) {
        fpd_body_problem(rq, result);
        return NULL;
    }
    buf[*size] = '\0';
    return fpd_steal(&buf);
}

bool fpd_body_is_discardable(const fpd_request *rq)
{
    if (rq->body_ended)
        return !rq->body_failed;
    return !rq->expects_continue && rq->body_kind == FPD_BODY_LENGTH &&
           rq->body_length - rq->body_read <= DISCARD_MAX;
}

void fpd_body_drain(fpd_request *rq)
{
    int64_t until = fpd_monotonic_ns() + DRAIN_NS;
    char buf[16 * 1024];
    size_t got;

    if (rq->expects_continue || rq->broken)
        return; /* nothing was sent, nobody listens */
    rq->body_limit = UINT64_MAX;
    while (fpd_body_read(rq, buf, sizeof(buf), &got) == FPD_BODY_OK)
        if (fpd_monotonic_ns() > until)
            return;
}
