/* Owns: the tests of daemons/common/dispatch.c. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "body.h"
#include "dispatch.h"
#include "fake_http.h"
#include "log.h"
#include "reply.h"
#include "runner.h"

static sem_t inside, leave;

static void hello(fpd_request *rq, void *user_data)
{
    (void)user_data;
    fpd_reply(rq, 200, "text/plain", "hello", 5);
}

static void say_nothing(fpd_request *rq, void *user_data)
{
    (void)rq;
    (void)user_data;
}

static void too_little(fpd_request *rq, void *user_data)
{
    (void)user_data;
    if (fpd_reply_begin(rq, 200, "text/plain", 100))
        fpd_reply_write(rq, "short", 5);
}

static void wait_inside(fpd_request *rq, void *user_data)
{
    (void)user_data;
    sem_post(&inside);
    sem_wait(&leave);
    fpd_reply(rq, 200, "text/plain", "done", 4);
}

static void upgrade(fpd_request *rq, void *user_data)
{
    rq->upgrade = user_data;
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/hello", hello, 0 },
    { FPD_METHOD_PUT, "/hello", hello, 0 },
    { FPD_METHOD_GET, "/nothing", say_nothing, 0 },
    { FPD_METHOD_GET, "/little", too_little, 0 },
    { FPD_METHOD_GET, "/wait", wait_inside, 0 },
    { FPD_METHOD_GET, "/livez", hello, FPD_ROUTE_ALWAYS },
    { FPD_METHOD_GET, "/socket", upgrade, 0 },
};

static int mark;
static fpd_router router;
static fpd_metrics *metrics;
static fpd_dispatcher *dispatcher;

static void set_up(void)
{
    fpd_log_set_level(FILEPROC_LOG_ERROR + 1);
    router.count = 0;
    ck_assert(fpd_router_add(&router, routes, sizeof(routes) / sizeof(*routes), &mark));
    metrics = fpd_metrics_new();
    dispatcher = fpd_dispatcher_new(&router, metrics, "https://app.example", "files.example");
    ck_assert_ptr_nonnull(dispatcher);
}

static void tear_down(void)
{
    fpd_dispatcher_free(dispatcher);
    fpd_metrics_free(metrics);
}

/* Serves a request; f holds the reply. */
static int serve(fake_http *f, const char *method, const char *path, const char *lines)
{
    void *upgraded = NULL;

    fake_init(f, method, path, lines);
    f->rq.headers = (fpd_text)FPD_TEXT_INIT(0);
    return fpd_dispatch(dispatcher, &f->head, &f->wire, &f->scratch, &upgraded);
}

START_TEST(requests_reach_their_route_and_are_counted)
{
    fpd_text text = FPD_TEXT_INIT(65536);
    fake_http f;

    set_up();
    ck_assert_int_eq(serve(&f, "GET", "/hello", ""), 200);
    ck_assert(fake_sent(&f, "\r\n\r\nhello"));
    ck_assert(!f.closed);
    fake_dispose(&f);
    ck_assert_int_eq(serve(&f, "HEAD", "/hello", ""), 200);
    ck_assert(!fake_sent(&f, "\r\n\r\nhello"));
    fake_dispose(&f);
    fpd_metrics_write(metrics, &text);
    ck_assert_ptr_nonnull(
        strstr(text.data,
               "fileproc_http_requests_total{route=\"/hello\",method=\"GET\",status=\"200\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(
        text.data,
        "fileproc_http_requests_total{route=\"/hello\",method=\"HEAD\",status=\"200\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "fileproc_http_sent_bytes_total 5\n"));
    fpd_text_dispose(&text);
    tear_down();
}
END_TEST

START_TEST(what_has_no_route_is_answered)
{
    fake_http f;

    set_up();
    ck_assert_int_eq(serve(&f, "GET", "/unknown/by/anyone", ""), 404);
    ck_assert(fake_sent(&f, "\"code\":\"not_found\""));
    fake_dispose(&f);
    ck_assert_int_eq(serve(&f, "DELETE", "/hello", ""), 405);
    ck_assert(fake_sent(&f, "\r\nAllow: GET, HEAD, PUT, OPTIONS\r\n"));
    fake_dispose(&f);
    ck_assert_int_eq(serve(&f, "OPTIONS", "/hello", ""), 204);
    ck_assert(fake_sent(&f, "\r\nAllow: GET, HEAD, PUT, OPTIONS\r\n"));
    fake_dispose(&f);
    ck_assert_int_eq(serve(&f, "GET", "/%zz", ""), 400);
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(bad_framing_ends_the_connection)
{
    fake_http f;

    set_up();
    ck_assert_int_eq(serve(&f, "PUT", "/hello", "Content-Length: 5\nTransfer-Encoding: chunked"),
                     400);
    ck_assert(f.closed);
    ck_assert(fake_sent(&f, "Connection: close\r\n"));
    ck_assert_uint_eq(f.body_at, 0);
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(a_refused_body_is_drained_and_the_connection_closed)
{
    static char body[300000];
    void *upgraded;
    fake_http f;

    set_up();
    fake_init(&f, "DELETE", "/hello", "Content-Length: 300000");
    fake_body(&f, body, sizeof(body));
    ck_assert_int_eq(fpd_dispatch(dispatcher, &f.head, &f.wire, &f.scratch, &upgraded), 405);
    ck_assert(f.closed);
    ck_assert_uint_eq(f.body_at, sizeof(body));
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(a_handler_that_says_nothing_is_a_500)
{
    fake_http f;

    set_up();
    ck_assert_int_eq(serve(&f, "GET", "/nothing", ""), 500);
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(a_reply_shorter_than_promised_ends_the_connection)
{
    fake_http f;

    set_up();
    ck_assert_int_eq(serve(&f, "GET", "/little", ""), 200);
    ck_assert(f.closed);
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(only_listed_pages_get_cors_headers)
{
    fake_http f;

    set_up();
    serve(&f, "GET", "/hello", "Origin: https://app.example");
    ck_assert(fake_sent(&f, "Access-Control-Allow-Origin: https://app.example\r\n"));
    fake_dispose(&f);
    serve(&f, "GET", "/hello", "Origin: https://evil.example");
    ck_assert(!fake_sent(&f, "Access-Control"));
    fake_dispose(&f);
    serve(&f, "OPTIONS", "/hello",
          "Origin: https://app.example\nAccess-Control-Request-Method: PUT");
    ck_assert(fake_sent(&f, "Access-Control-Allow-Methods: GET, HEAD, PUT, OPTIONS\r\n"));
    ck_assert(fake_sent(&f, "Access-Control-Max-Age"));
    fake_dispose(&f);
    serve(&f, "OPTIONS", "/hello",
          "Origin: https://evil.example\nAccess-Control-Request-Method: PUT");
    ck_assert(!fake_sent(&f, "Access-Control"));
    fake_dispose(&f);
    tear_down();
}
END_TEST

/* The status of GET with this Host; NULL = HTTP/1.0 without. */
static int status_for(const char *path, const char *host)
{
    void *upgraded = NULL;
    fake_http f;
    int status;

    fake_init(&f, "GET", path, "");
    if (host)
        f.head.headers[0].value = host;
    else
        f.head = (fpd_head){ .method = "GET", .target = path, .version = "1.0" };
    status = fpd_dispatch(dispatcher, &f.head, &f.wire, &f.scratch, &upgraded);
    ck_assert(status != 421 || fake_sent(&f, "\"code\":\"host_not_allowed\""));
    fake_dispose(&f);
    return status;
}

START_TEST(only_our_own_names_are_answered)
{
    set_up();
    ck_assert_int_eq(status_for("/hello", "evil.example"), 421);
    ck_assert_int_eq(status_for("/nowhere", "evil.example"), 421);
    ck_assert_int_eq(status_for("/socket", "evil.example"), 421);
    ck_assert_int_eq(status_for("/hello", "files.example:8000"), 200);
    ck_assert_int_eq(status_for("/hello", NULL), 200);
    ck_assert_int_eq(status_for("/livez", "evil.example"), 200);
    tear_down();
}
END_TEST

START_TEST(an_upgrade_goes_to_the_server_unanswered)
{
    void *upgraded = NULL;
    fake_http f;

    set_up();
    fake_init(&f, "GET", "/socket", "");
    ck_assert_int_eq(fpd_dispatch(dispatcher, &f.head, &f.wire, &f.scratch, &upgraded), 101);
    ck_assert_ptr_eq(upgraded, &mark);
    ck_assert_uint_eq(f.writes, 0);
    fake_dispose(&f);
    tear_down();
}
END_TEST

static void *serve_wait(void *f)
{
    return (void *)(intptr_t)serve(f, "GET", "/wait", "");
}

START_TEST(draining_refuses_new_requests_and_waits_for_old_ones)
{
    fake_http waiting, f;
    pthread_t thread;
    void *status;

    set_up();
    sem_init(&inside, 0, 0);
    sem_init(&leave, 0, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_wait, &waiting), 0);
    sem_wait(&inside);
    ck_assert_int_eq(fpd_dispatcher_in_progress(dispatcher), 1);
    fpd_dispatcher_drain(dispatcher);
    ck_assert_int_eq(serve(&f, "GET", "/hello", ""), 503);
    ck_assert(f.closed);
    ck_assert(fake_sent(&f, "Retry-After: 1\r\n"));
    fake_dispose(&f);
    ck_assert_int_eq(serve(&f, "GET", "/livez", ""), 200);
    fake_dispose(&f);
    ck_assert(!fpd_dispatcher_wait_idle(dispatcher, 20));
    sem_post(&leave);
    ck_assert(fpd_dispatcher_wait_idle(dispatcher, 10000));
    pthread_join(thread, &status);
    ck_assert_int_eq((intptr_t)status, 200);
    ck_assert(fake_sent(&waiting, "\r\n\r\ndone"));
    fake_dispose(&waiting);
    tear_down();
}
END_TEST

START_TEST(what_the_server_refused_is_a_problem_too)
{
    const fpd_bad_request why = { 431, "headers_too_large", "Too large." };
    fpd_head head = { .method = "", .target = "", .version = "1.1", .remote = "127.0.0.1" };
    fake_http f;

    set_up();
    fake_init(&f, "", "", "");
    fpd_dispatch_refused(dispatcher, &head, &f.wire, &f.scratch, &why);
    ck_assert_int_eq(fake_status(&f), 431);
    ck_assert(fake_sent(&f, "\"code\":\"headers_too_large\""));
    ck_assert(fake_sent(&f, "Connection: close\r\n"));
    fake_dispose(&f);
    tear_down();
}
END_TEST

RUN_TESTS("dispatch", requests_reach_their_route_and_are_counted, what_has_no_route_is_answered,
          bad_framing_ends_the_connection, a_refused_body_is_drained_and_the_connection_closed,
          a_handler_that_says_nothing_is_a_500, a_reply_shorter_than_promised_ends_the_connection,
          only_listed_pages_get_cors_headers, only_our_own_names_are_answered,
          an_upgrade_goes_to_the_server_unanswered,
          draining_refuses_new_requests_and_waits_for_old_ones,
          what_the_server_refused_is_a_problem_too)
