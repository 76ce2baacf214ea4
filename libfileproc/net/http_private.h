/* Owns: what the two files about HTTP over libcurl share: a handle with its connection, a request under way.
 * Must not know: any service. */
#ifndef FPI_HTTP_PRIVATE_H
#define FPI_HTTP_PRIVATE_H

#include <pthread.h>

#include <curl/curl.h>

#include "net/http.h"

#define FPI_HTTP_WHAT_SIZE 128u

/** What makes requests, one at a time. It keeps one connection. */
typedef struct fpi_http_handle {
    CURLM *multi; /* owns the connection */
    CURL *easy;
    curl_socket_t socket; /* the connection's, while it is open */
} fpi_http_handle;

/* Each handle owns its connection, so a handle that is idle is a connection that is kept. The one used last is taken first: the
 * others can grow old and be closed by the peer. */
struct fpi_http {
    fp_context *ctx;
    fpi_http_options o;
    pthread_mutex_t lock;
    size_t idle_count;
    fpi_http_handle *idle[];
};

struct fpi_http_call {
    fpi_http *http;
    fpi_http_handle *handle;
    fpi_http_request rq; /* its texts are not needed any more once it has begun, but for `what` */
    fpi_http_answer *answer;
    struct curl_slist *headers;
    size_t piece, piece_at; /* how far the body is sent */
    fp_status rc;           /* of a callback of the user; 0 = none has failed */
    bool enough;
    bool headers_end; /* the blank line behind them has come */
    bool ended;       /* curl is done with it */
    CURLcode result;
    char what[FPI_HTTP_WHAT_SIZE];
    fp_error err;
};

/** Gives the handle its options: what is asked, and the callbacks. Not CURLE_OK: no memory. */
CURLcode fpi_http_prepare(fpi_http_call *t);
/** What has come of a transfer that has ended. */
fp_status fpi_http_finish(fpi_http_call *t, fp_error *err);

#endif
