/* Owns: one request on its way through: its head, its id, its parameters.
 * Must not know: any route, CivetWeb, or what the service does. */
#include "request.h"

#include <string.h>
#include <strings.h>

#include "clock.h"
#include "header_value.h"
#include "problem.h"
#include "query.h"
#include "request_id.h"

/* Of a reply: what a client gave may come back in them. */
#define HEADERS_MAX (24u * 1024u)

static const char *const method_names[FPD_METHOD_COUNT] = {
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
};

const char *fpd_method_name(fpd_method method)
{
    return method_names[method];
}

static fpd_method method_by_name(const char *name)
{
    for (size_t i = 0; i < FPD_METHOD_OTHER; i++)
        if (strcmp(method_names[i], name) == 0)
            return (fpd_method)i;
    return FPD_METHOD_OTHER;
}

/* How many headers of this name there are; *value is the first one's. */
static size_t count_headers(const fpd_head *head, const char *name, const char **value)
{
    size_t count = 0;

    for (size_t i = 0; i < head->header_count; i++)
        if (strcasecmp(head->headers[i].name, name) == 0 && count++ == 0)
            *value = head->headers[i].value;
    return count;
}

const char *fpd_request_header(const fpd_request *rq, const char *name)
{
    const char *value = NULL;

    return count_headers(rq->head, name, &value) ? value : NULL;
}

size_t fpd_request_header_count(const fpd_request *rq, const char *name)
{
    const char *value;

    return count_headers(rq->head, name, &value);
}

bool fpd_request_header_once(fpd_request *rq, const char *name)
{
    if (fpd_request_header_count(rq, name) <= 1)
        return true;
    fpd_problem(rq, 400, "header_repeated", "%s stands in the request more than once.", name);
    return false;
}

/* RFC 9112 section 6.3. Two readings of where a request ends let an attacker put one request inside another. */
static const fpd_bad_request *read_framing(fpd_request *rq)
{
    static const fpd_bad_request both = {
        400, "bad_request", "Content-Length and Transfer-Encoding exclude each other."
    };
    static const fpd_bad_request bad_length = { 400, "bad_request",
                                                "Content-Length is not one decimal number." };
    static const fpd_bad_request bad_encoding = {
        400, "bad_request", "The only Transfer-Encoding understood is chunked."
    };
    const char *length = NULL, *encoding = NULL;
    size_t lengths = count_headers(rq->head, "Content-Length", &length);
    size_t encodings = count_headers(rq->head, "Transfer-Encoding", &encoding);

    if (lengths && encodings)
        return &both;
    if (encodings) {
        if (encodings > 1 || strcasecmp(encoding, "chunked") != 0 ||
            strcmp(rq->head->version, "1.1") != 0)
            return &bad_encoding;
        rq->body_kind = FPD_BODY_CHUNKED;
    }
    if (lengths) {
        int64_t value = 0;

        if (lengths > 1 || length[0] < '0' || length[0] > '9' ||
            fpd_number_parse(length, &value) != FPD_NUMBER_OK)
            return &bad_length;
        rq->body_kind = value ? FPD_BODY_LENGTH : FPD_BODY_NONE;
        rq->body_length = (uint64_t)value;
    }
    rq->body_ended = rq->body_kind == FPD_BODY_NONE;
    return NULL;
}

static const fpd_bad_request *check_host(const fpd_request *rq)
{
    static const fpd_bad_request bad_host = { 400, "bad_request",
                                              "An HTTP/1.1 request has exactly one Host header." };
    const char *host = NULL;
    size_t hosts = count_headers(rq->head, "Host", &host);

    return hosts > 1 || (hosts == 0 && strcmp(rq->head->version, "1.1") == 0) ? &bad_host : NULL;
}

const fpd_bad_request *fpd_request_init(fpd_request *rq, const fpd_head *head, const fpd_wire *wire,
                                        fpd_text *scratch)
{
    static const fpd_bad_request long_target = { 414, "target_too_long",
                                                 "The path or query is too long." };
    const fpd_bad_request *bad;
    const char *expect;

    memset(rq, 0, sizeof(*rq));
    rq->head = head;
    rq->wire = *wire;
    rq->scratch = scratch;
    rq->headers = (fpd_text)FPD_TEXT_INIT(HEADERS_MAX);
    rq->started_ns = fpd_monotonic_ns();
    rq->method = method_by_name(head->method);
    fpd_request_id(fpd_request_header(rq, "X-Request-Id"), rq->id, sizeof(rq->id));
    bad = read_framing(rq);
    if (!bad)
        bad = check_host(rq);
    if (bad)
        return bad;
    if (strlen(head->target) > FPD_PATH_MAX || (head->query && strlen(head->query) > FPD_QUERY_MAX))
        return &long_target;
    memcpy(rq->path, head->target, strlen(head->target) + 1);
    expect = fpd_request_header(rq, "Expect");
    /* Any other expectation is ignored, as RFC 9110 section 10.1.1 allows, and so is this one of HTTP/1.0. */
    rq->expects_continue = expect && strcasecmp(expect, "100-continue") == 0 && !rq->body_ended &&
                           strcmp(head->version, "1.1") == 0;
    return NULL;
}

void fpd_request_dispose(fpd_request *rq)
{
    fpd_text_dispose(&rq->headers);
}

bool fpd_request_keeps_alive(const fpd_request *rq)
{
    const char *connection = fpd_request_header(rq, "Connection");

    if (connection)
        return fpd_list_has(connection, "keep-alive") && !fpd_list_has(connection, "close");
    return strcmp(rq->head->version, "1.1") == 0;
}

bool fpd_request_query(fpd_request *rq, const char *name, char *out, size_t capacity, bool *found)
{
    switch (fpd_query_find(rq->head->query, name, out, capacity)) {
    case FPD_QUERY_ABSENT:
        *found = false;
        return true;
    case FPD_QUERY_FOUND:
        *found = true;
        return true;
    case FPD_QUERY_TWICE:
        fpd_problem(rq, 422, "parameter_invalid", "The query parameter %s is given twice.", name);
        return false;
    default:
        fpd_problem(rq, 400, "bad_request", "The query parameter %s can't be decoded.", name);
        return false;
    }
}

bool fpd_request_query_integer(fpd_request *rq, const char *name, int64_t lowest, int64_t highest,
                               int64_t *out)
{
    char text[64];
    int64_t value = 0;
    bool found;

    if (!fpd_request_query(rq, name, text, sizeof(text), &found))
        return false;
    if (!found)
        return true;
    if (fpd_number_parse(text, &value) == FPD_NUMBER_OK && value >= lowest && value <= highest) {
        *out = value;
        return true;
    }
    fpd_problem(rq, 422, "parameter_invalid",
                "The query parameter %s is no integer from %lld to %lld.", name, (long long)lowest,
                (long long)highest);
    return false;
}
