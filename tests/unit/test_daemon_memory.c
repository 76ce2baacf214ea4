/* Owns: the tests of daemons/common with the Nth allocation failing. The daemons use malloc() directly, so it is wrapped
 *       by the linker. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fake_http.h"
#include "hub.h"
#include "log.h"
#include "reply.h"
#include "runner.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static long countdown = -1; /* -1 = never fail */
static bool persistent, failed;

static bool may(void)
{
    if (countdown < 0 || (countdown > 0 && countdown--))
        return true;
    failed = true;
    if (!persistent)
        countdown = -1;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return may() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return may() ? __real_realloc(ptr, size) : NULL;
}

/* Before asserting: Check allocates too. */
static void stop_failing(void)
{
    countdown = -1;
}

/* Runs body with allocation 0, 1, 2... failing until none does, once and persistently. */
#define EACH_ALLOCATION_FAILS(body)                                                                \
    for (int kind = 0; kind < 2; kind++) {                                                         \
        long n = 0;                                                                                \
        do {                                                                                       \
            persistent = kind == 1;                                                                \
            failed = false;                                                                        \
            countdown = n++;                                                                       \
            body;                                                                                  \
            ck_assert_int_lt(n, 1000);                                                             \
        } while (failed);                                                                          \
    }

static void hello(fpd_request *rq, void *user_data)
{
    fpd_text json = FPD_TEXT_INIT(1000);

    (void)user_data;
    fpd_reply_header(rq, "X-Test", "%d", 1);
    fpd_text_string(&json, "{\"hello\":\"world\"}");
    fpd_reply_json(rq, 200, &json);
    fpd_text_dispose(&json);
}

static const fpd_route route = { FPD_METHOD_GET, "/hello", hello, 0 };

START_TEST(a_text_survives_every_allocation_failure)
{ EACH_ALLOCATION_FAILS({
    fpd_text t = FPD_TEXT_INIT(100000);

    for (int i = 0; i < 200; i++)
        fpd_text_printf(&t, "line %d and more\n", i);
    stop_failing();
    ck_assert(t.failed == failed);
    if (!failed)
        ck_assert_uint_eq(strlen(t.data), t.size);
    fpd_text_dispose(&t);
}) } END_TEST

START_TEST(a_dispatcher_survives_every_allocation_failure)
{
    static fpd_router router;

    ck_assert(fpd_router_add(&router, &route, 1, NULL));
    EACH_ALLOCATION_FAILS({
        fpd_metrics *m = fpd_metrics_new();
        fpd_dispatcher *d = m ? fpd_dispatcher_new(&router, m, "", NULL) : NULL;

        stop_failing();
        ck_assert((d == NULL) == failed);
        fpd_dispatcher_free(d);
        fpd_metrics_free(m);
    })
}
END_TEST

START_TEST(a_hub_survives_every_allocation_failure)
{ EACH_ALLOCATION_FAILS({
    fpd_metrics *m = fpd_metrics_new();
    fpd_hub *hub = m ? fpd_hub_new(4, 4, m) : NULL;
    fpd_watcher *w = hub ? fpd_watcher_new(hub, "u") : NULL;

    stop_failing();
    ck_assert((w == NULL) == failed);
    fpd_watcher_free(w);
    fpd_hub_free(hub);
    fpd_metrics_free(m);
}) } END_TEST

/* The client gets a whole answer, or the connection ends: never half of one on a connection that goes on. */
START_TEST(a_request_survives_every_allocation_failure)
{
    static fpd_router router;
    fpd_metrics *m = fpd_metrics_new();
    fpd_dispatcher *d;

    ck_assert(fpd_router_add(&router, &route, 1, NULL));
    d = fpd_dispatcher_new(&router, m, "", NULL);
    fpd_log_set_level(FILEPROC_LOG_ERROR + 1);
    EACH_ALLOCATION_FAILS({
        void *upgrade = NULL;
        fake_http f;
        int status;

        stop_failing();
        fake_init(&f, "GET", "/hello", "");
        countdown = n - 1;
        f.sent.data = __real_malloc(65536);
        f.sent.capacity = 65536;
        status = fpd_dispatch(d, &f.head, &f.wire, &f.scratch, &upgrade);
        stop_failing();
        if (f.sent.size == 0)
            ck_assert(f.closed);
        else if (status == 200)
            ck_assert(fake_sent(&f, "\r\n\r\n{\"hello\":\"world\"}"));
        else
            ck_assert_int_eq(status, 503);
        ck_assert(failed || status == 200);
        f.rq.headers.data = NULL;
        fake_dispose(&f);
    })
    fpd_dispatcher_free(d);
    fpd_metrics_free(m);
}
END_TEST

RUN_TESTS("daemon_memory", a_text_survives_every_allocation_failure,
          a_dispatcher_survives_every_allocation_failure, a_hub_survives_every_allocation_failure,
          a_request_survives_every_allocation_failure)
