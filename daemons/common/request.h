/* Owns: one request on its way through: its head, its id, its parameters, and how far body and reply are.
 * Must not know: any route, CivetWeb, or what the service does. */
#ifndef FPD_REQUEST_H
#define FPD_REQUEST_H

#include <stdint.h>

#include "text.h"
#include "wire.h"

#define FPD_PATH_MAX 2048u
#define FPD_QUERY_MAX 4096u
#define FPD_PARAMETERS_MAX 4u
#define FPD_REQUEST_ID_MAX 128u

typedef enum fpd_method {
    FPD_METHOD_GET,
    FPD_METHOD_HEAD,
    FPD_METHOD_POST,
    FPD_METHOD_PUT,
    FPD_METHOD_PATCH,
    FPD_METHOD_DELETE,
    FPD_METHOD_OPTIONS,
    FPD_METHOD_OTHER
} fpd_method;
#define FPD_METHOD_COUNT 8u

typedef enum fpd_body_kind { FPD_BODY_NONE, FPD_BODY_LENGTH, FPD_BODY_CHUNKED } fpd_body_kind;

struct fpd_route;

/** One request. Lives on the stack of the thread that serves it. */
typedef struct fpd_request {
    const fpd_head *head;
    fpd_wire wire;
    fpd_method method;
    const struct fpd_route *route;              /* NULL until the router found it */
    const char *parameters[FPD_PARAMETERS_MAX]; /* decoded values of {...} in the route's pattern */
    char path[FPD_PATH_MAX + 1];                /* where they are; taken apart by the router */
    char id[FPD_REQUEST_ID_MAX + 1];
    int64_t started_ns;

    fpd_body_kind body_kind;
    uint64_t body_length; /* declared, for FPD_BODY_LENGTH */
    uint64_t body_limit;  /* set by fpd_body_open() */
    uint64_t body_read;   /* bytes read so far */
    bool body_ended;      /* nothing is left to read: the end was seen, or reading failed */
    bool body_failed;
    bool expects_continue; /* the client waits for 100 Continue */
    fpd_raw raw;           /* of a body that was taken over from the server: fpd_body_take_over() */
    struct fpd_chunked *chunked; /* where it is; NULL: it was not taken over */

    fpd_text headers;      /* lines that handlers add to the reply */
    fpd_text *scratch;     /* the thread's buffer in which replies are put together */
    const char *origin;    /* an Origin that may read the reply; or NULL */
    int status;            /* 0 until a reply was begun */
    uint64_t bytes_sent;   /* of the reply's body */
    uint64_t reply_length; /* promised body bytes, for streamed replies */
    bool close;            /* end the connection after the reply */
    bool broken;           /* writing failed: the peer is gone */
    void *upgrade;         /* set by a handler instead of a reply: becomes a WebSocket */
} fpd_request;

/** Why a request's framing can't be trusted; see fpd_request_init(). */
typedef struct fpd_bad_request {
    int status;
    const char *code;
    const char *detail;
} fpd_bad_request;

/** Takes the head apart. Answers NULL, or what is wrong with it: then the connection must end, because nobody can tell
 *  where the next request begins. head and scratch are borrowed. */
const fpd_bad_request *fpd_request_init(fpd_request *rq, const fpd_head *head, const fpd_wire *wire,
                                        fpd_text *scratch);
void fpd_request_dispose(fpd_request *rq);

/** The first header of this name, compared without case; or NULL. */
const char *fpd_request_header(const fpd_request *rq, const char *name);
size_t fpd_request_header_count(const fpd_request *rq, const char *name);

/** Whether client and we may use the connection again, as far as the head says. */
bool fpd_request_keeps_alive(const fpd_request *rq);

/** GET, POST...; "other" for methods that no route has. */
const char *fpd_method_name(fpd_method method);

/* The following answer the request with a problem themselves and return false when the header or parameter is wrong. */

/** Whether a header that may not be a list is there once at the most: which of two is meant nobody can know. Else: 400. */
bool fpd_request_header_once(fpd_request *rq, const char *name);

/** Copies the decoded query parameter; *found says whether it was there. */
bool fpd_request_query(fpd_request *rq, const char *name, char *out, size_t capacity, bool *found);

/** An integer from lowest to highest; absent leaves *out alone. Wrong: 422. */
bool fpd_request_query_integer(fpd_request *rq, const char *name, int64_t lowest, int64_t highest,
                               int64_t *out);

#endif
