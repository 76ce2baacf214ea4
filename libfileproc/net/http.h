/* Owns: HTTP requests of the library to other servers: one at a time per thread, over connections that are kept.
 * Must not know: any service; signing, retrying and reading what a service answers are its users'. */
#ifndef FPI_HTTP_H
#define FPI_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/buf_private.h"

/** A client: connections that are idle, and limits. Shared. */
typedef struct fpi_http fpi_http;

typedef struct fpi_http_options {
    uint32_t connect_timeout_ms;
    uint32_t
        stall_timeout_ms; /* a transfer that moves less than a byte per second for so long has failed */
    uint32_t idle_max; /* connections kept for later */
} fpi_http_options;

fp_status fpi_http_new(fp_context *ctx, const fpi_http_options *o, fpi_http **out, fp_error *err);
/** No request may be under way. */
void fpi_http_free(fpi_http *http);
FPI_DEFINE_CLEANUP(fpi_http, fpi_http_free)

typedef struct fpi_http_piece {
    const void *data;
    size_t size;
} fpi_http_piece;

/** What fpi_http_request.on_body answers when it has what it wanted: the rest is not fetched. */
#define FPI_HTTP_ENOUGH 1
/** What fpi_http_request.pull answers when it has nothing yet: fpi_http_advance() asks again. */
#define FPI_HTTP_LATER 2
/** How much of an answer that is no success is kept for its reader. */
#define FPI_HTTP_ERROR_MAX ((size_t)64 * 1024)

/** Start from zeros. All pointers are borrowed for the call. The body is sent from pieces, or drawn from pull; it is
 *  body_size bytes long either way. */
typedef struct fpi_http_request {
    const char *method;
    const char *url;            /* http or https; never shown in errors, since it may be signed */
    const char *what;           /* how errors call it: no secret, no signature */
    const char *const *headers; /* "Name: value"; "Name:" leaves out one of curl's own */
    size_t header_count;
    const fpi_http_piece *pieces;
    size_t piece_count;
    fp_status (*pull)(void *user_data, void *buf, size_t cap, size_t *got, fp_error *err);
    void (*rewind)(void *user_data); /* the next pull begins anew; NULL: that is not possible */
    uint64_t body_size;
    bool has_body;
    uint32_t stall_timeout_ms; /* 0 = the client's */
    /* The answer. on_header and on_body may be NULL; on_body gets only bodies of successes (2xx). */
    void (*on_header)(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size);
    fp_status (*on_body)(void *user_data, int status, const void *data, size_t size, fp_error *err);
    void *user_data;
    const atomic_bool *cancel; /* the request ends soon after it becomes true; NULL = never */
} fpi_http_request;

typedef struct fpi_http_answer {
    int status;
    int64_t content_length;  /* -1 = not told */
    int64_t date_ms;         /* of the server's clock; 0 = not told */
    uint32_t retry_after_ms; /* 0 = not told */
    fp_buf error_body;       /* of an answer that is no success, cut at FPI_HTTP_ERROR_MAX */
} fpi_http_answer;

void fpi_http_answer_dispose(fpi_http_answer *answer);
FPI_DEFINE_DISPOSE(fpi_http_answer, fpi_http_answer_dispose)

/**
 * One request and its answer, whatever its status: OK means that a whole answer came. Redirects are answers, too. Errors have the
 * domain "curl", RETRYABLE when the same request may succeed later: BUSY when nobody is there, TIMEOUT, CANCELLED, PROTOCOL, IO;
 * or they are what pull or on_body gave. answer is to be disposed in any case.
 */
fp_status fpi_http_send(fpi_http *http, const fpi_http_request *rq, fpi_http_answer *answer,
                        fp_error *err);

/** A request under way. One thread at a time. */
typedef struct fpi_http_call fpi_http_call;

/** Begins a request whose body comes bit by bit. answer, and what pull, on_header and on_body need, must stay until its end;
 *  the rest is not needed any more. */
fp_status fpi_http_begin(fpi_http *http, const fpi_http_request *rq, fpi_http_answer *answer,
                         fpi_http_call **out, fp_error *err);
/** Sends and receives what is possible without waiting. */
void fpi_http_advance(fpi_http_call *call);
/** An answer is there, or a failure: more of the body is of no use. */
bool fpi_http_ended(const fpi_http_call *call);
/** As fpi_http_send() from here on: waits. Takes the call. pull must have all of the body. */
fp_status fpi_http_end(fpi_http_call *call, fp_error *err);
/** Drops a request, with its connection. Takes it; NULL is allowed. */
void fpi_http_abandon(fpi_http_call *call);

/** A date of HTTP ("Tue, 15 Nov 1994 08:12:31 GMT") in milliseconds; false when it is none. */
bool fpi_http_date(const char *text, size_t size, int64_t *ms);

#endif
