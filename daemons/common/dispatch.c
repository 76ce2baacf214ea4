/* Owns: the way of every request: trust in its framing, draining, CORS, route, answer, log, metrics.
 * Must not know: CivetWeb, or any route. */
#include "dispatch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "access_log.h"
#include "body.h"
#include "clock.h"
#include "cors.h"
#include "host.h"
#include "http_status.h"
#include "problem.h"
#include "reply.h"

#define STATUS_MAX 64u
/* The route label of what found no route. */
static const char no_route[] = "none";

static const double seconds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                  0.25,  0.5,    1,     2.5,  5,     10,   30 };

struct fpd_dispatcher {
    const fpd_router *router;
    const char *cors_origins, *hosts;
    const fpd_rate_limit *limit; /* or NULL */
    fpd_metric *requests, *durations, *received, *sent;
    const char *patterns[FPD_ROUTES_MAX + 1]; /* each once; the last is no_route */
    size_t pattern_count;
    const char *methods[FPD_METHOD_COUNT];
    const char *statuses[STATUS_MAX];
    char status_text[STATUS_MAX][4];
    atomic_bool draining;
    _Atomic int64_t in_progress;
    pthread_mutex_t lock;
    pthread_cond_t idle;
};

static size_t pattern_place(const fpd_dispatcher *d, const fpd_route *route)
{
    for (size_t i = 0; route && i + 1 < d->pattern_count; i++)
        if (strcmp(d->patterns[i], route->pattern) == 0)
            return i;
    return d->pattern_count - 1;
}

static void collect_labels(fpd_dispatcher *d)
{
    for (size_t i = 0; i < d->router->count; i++) {
        const char *pattern = d->router->entries[i].route->pattern;
        size_t known = 0;

        while (known < d->pattern_count && strcmp(d->patterns[known], pattern) != 0)
            known++;
        if (known == d->pattern_count)
            d->patterns[d->pattern_count++] = pattern;
    }
    d->patterns[d->pattern_count++] = no_route;
    for (size_t i = 0; i < FPD_METHOD_COUNT; i++)
        d->methods[i] = fpd_method_name((fpd_method)i);
    for (size_t i = 0; i < STATUS_MAX && fpd_status_at(i); i++) {
        int status = fpd_status_at(i);

        d->status_text[i][0] = (char)('0' + status / 100);
        d->status_text[i][1] = (char)('0' + status / 10 % 10);
        d->status_text[i][2] = (char)('0' + status % 10);
        d->statuses[i] = d->status_text[i];
    }
}

static bool add_metrics(fpd_dispatcher *d, fpd_metrics *metrics)
{
    size_t status_count = 0;
    fpd_metric_spec requests = { .name = "fileproc_http_requests_total",
                                 .help = "HTTP requests answered.",
                                 .kind = FPD_COUNTER,
                                 .sparse = 1 };
    fpd_metric_spec durations = { .name = "fileproc_http_request_duration_seconds",
                                  .help = "Time from a request's head to the end of its reply.",
                                  .kind = FPD_HISTOGRAM,
                                  .bounds = seconds,
                                  .bound_count = sizeof(seconds) / sizeof(*seconds),
                                  .sparse = 1 };
    fpd_metric_spec received = { .name = "fileproc_http_received_bytes_total",
                                 .help = "Bytes of request bodies.",
                                 .kind = FPD_COUNTER };
    fpd_metric_spec sent = { .name = "fileproc_http_sent_bytes_total",
                             .help = "Bytes of reply bodies.",
                             .kind = FPD_COUNTER };

    while (status_count < STATUS_MAX && d->statuses[status_count])
        status_count++;
    requests.labels[0] = durations.labels[0] =
        (fpd_label){ "route", d->patterns, d->pattern_count };
    requests.labels[1] = durations.labels[1] =
        (fpd_label){ "method", d->methods, FPD_METHOD_COUNT };
    requests.labels[2] = (fpd_label){ "status", d->statuses, status_count };
    d->requests = fpd_metrics_add(metrics, &requests);
    d->durations = fpd_metrics_add(metrics, &durations);
    d->received = fpd_metrics_add(metrics, &received);
    d->sent = fpd_metrics_add(metrics, &sent);
    return d->requests && d->durations && d->received && d->sent;
}

fpd_dispatcher *fpd_dispatcher_new(const fpd_router *router, fpd_metrics *metrics,
                                   const char *cors_origins, const char *hosts)
{
    fpd_dispatcher *d = calloc(1, sizeof(*d));
    pthread_condattr_t attr;

    if (!d)
        return NULL;
    d->router = router;
    d->cors_origins = cors_origins;
    d->hosts = hosts;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->idle, &attr);
    pthread_condattr_destroy(&attr);
    collect_labels(d);
    if (!add_metrics(d, metrics)) {
        fpd_dispatcher_free(d);
        return NULL;
    }
    return d;
}

void fpd_dispatcher_free(fpd_dispatcher *d)
{
    if (!d)
        return;
    pthread_cond_destroy(&d->idle);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

void fpd_dispatcher_set_limit(fpd_dispatcher *d, const fpd_rate_limit *limit)
{
    d->limit = limit;
}

static void begin(fpd_dispatcher *d)
{
    atomic_fetch_add(&d->in_progress, 1);
}

static void end(fpd_dispatcher *d)
{
    if (atomic_fetch_sub(&d->in_progress, 1) != 1 || !atomic_load(&d->draining))
        return;
    pthread_mutex_lock(&d->lock);
    pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->lock);
}

static void record(fpd_dispatcher *d, fpd_request *rq)
{
    int64_t duration = fpd_monotonic_ns() - rq->started_ns;
    size_t places[3] = { pattern_place(d, rq->route), rq->method, fpd_status_index(rq->status) };

    fpd_metric_count(d->requests, places, 1);
    fpd_metric_observe(d->durations, places, (double)duration / 1e9);
    fpd_metric_count(d->received, NULL, rq->body_read);
    fpd_metric_count(d->sent, NULL, rq->bytes_sent);
    fpd_access_log(rq, duration);
}

static void answer_unrouted(fpd_request *rq, fpd_router_result result, const char *allow)
{
    if (result == FPD_ROUTER_MALFORMED) {
        fpd_problem(rq, 400, "bad_request", "The path can't be decoded.");
    } else if (result == FPD_ROUTER_NO_PATH) {
        fpd_problem(rq, 404, "not_found", "There is nothing at this path.");
    } else if (rq->method == FPD_METHOD_OPTIONS) {
        fpd_cors_options(rq, allow);
    } else {
        fpd_reply_header(rq, "Allow", "%s", allow);
        fpd_problem(rq, 405, "method_not_allowed", "This path has no %s; it has %s.",
                    rq->head->method, allow);
    }
}

/* HTTP/1.0 may do without Host; a browser never does. */
static bool is_for_us(const fpd_dispatcher *d, const fpd_request *rq)
{
    const char *host = fpd_request_header(rq, "Host");

    return !d->hosts || !host || fpd_host_allowed(d->hosts, host);
}

static void serve(fpd_dispatcher *d, fpd_request *rq)
{
    char allow[128];
    void *user_data = NULL;
    fpd_router_result result = fpd_router_find(d->router, rq, &user_data, allow, sizeof(allow));
    bool always = result == FPD_ROUTER_FOUND && (rq->route->flags & FPD_ROUTE_ALWAYS);

    rq->origin = fpd_cors_allow(d->cors_origins, fpd_request_header(rq, "Origin"));
    if (!always && !is_for_us(d, rq)) {
        fpd_problem(rq, 421, "host_not_allowed",
                    "The server does not answer to this Host; FILEPROC_ALLOWED_HOSTS can add it.");
    } else if (!always && atomic_load(&d->draining)) {
        rq->close = true;
        fpd_problem(rq, 503, "draining", "The server is about to stop.");
    } else if (!always && d->limit && !fpd_rate_limit_client(d->limit, rq)) {
        return; /* it was told so */
    } else if (result == FPD_ROUTER_FOUND) {
        rq->route->handler(rq, user_data);
    } else {
        answer_unrouted(rq, result, allow);
    }
}

/* What a handler may leave undone. */
static void finish(fpd_request *rq)
{
    if (rq->upgrade)
        return;
    if (rq->status == 0)
        fpd_problem(rq, 500, "internal", "The server has no answer.");
    if (rq->bytes_sent < rq->reply_length)
        rq->close = true; /* less than promised: only the connection's end can say so */
    if (rq->close && !fpd_body_is_discardable(rq))
        fpd_body_drain(rq);
    if (rq->close)
        rq->wire.close(rq->wire.self);
}

int fpd_dispatch(fpd_dispatcher *d, const fpd_head *head, const fpd_wire *wire, fpd_text *scratch,
                 void **upgrade)
{
    const fpd_bad_request *bad;
    fpd_request rq;
    int status;

    begin(d);
    bad = fpd_request_init(&rq, head, wire, scratch);
    if (bad) {
        rq.close = rq.body_ended = true;
        fpd_problem(&rq, bad->status, bad->code, "%s", bad->detail);
    } else {
        serve(d, &rq);
    }
    finish(&rq);
    *upgrade = rq.upgrade;
    if (rq.upgrade)
        rq.status = 101;
    status = rq.status;
    record(d, &rq);
    fpd_request_dispose(&rq);
    end(d);
    return status;
}

void fpd_dispatch_refused(fpd_dispatcher *d, const fpd_head *head, const fpd_wire *wire,
                          fpd_text *scratch, const fpd_bad_request *why)
{
    fpd_request rq;

    begin(d);
    (void)fpd_request_init(&rq, head, wire, scratch);
    rq.close = rq.body_ended = true;
    fpd_problem(&rq, why->status, why->code, "%s", why->detail);
    record(d, &rq);
    fpd_request_dispose(&rq);
    end(d);
}

void fpd_dispatcher_drain(fpd_dispatcher *d)
{
    atomic_store(&d->draining, true);
}

bool fpd_dispatcher_draining(const fpd_dispatcher *d)
{
    return atomic_load(&d->draining);
}

int64_t fpd_dispatcher_in_progress(const fpd_dispatcher *d)
{
    return atomic_load(&d->in_progress);
}

bool fpd_dispatcher_wait_idle(fpd_dispatcher *d, int64_t timeout_ms)
{
    int64_t until = fpd_monotonic_ns() + timeout_ms * 1000000;
    struct timespec at = { (time_t)(until / 1000000000), (long)(until % 1000000000) };
    int rc = 0;

    pthread_mutex_lock(&d->lock);
    while (atomic_load(&d->in_progress) > 0 && rc == 0)
        rc = pthread_cond_timedwait(&d->idle, &d->lock, &at);
    pthread_mutex_unlock(&d->lock);
    return atomic_load(&d->in_progress) == 0;
}
