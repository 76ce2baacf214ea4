/* Owns: the tests of the cache driver redis against a real server: the contract, and what a network and a server can do to it.
 * Must not know: what caches are used for. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cache/cache_redis_private.h"
#include "cache_contract.h"
#include "core/uuid.h"
#include "fault.h"
#include "flow_proxy.h"
#include "runner.h"
#include "scratch.h"

/* What one call may take at the most (the driver's default), and what a busy machine adds. */
#define CALL_MS 1000
#define SLACK_MS 700

static const char *server_uri(void)
{
    const char *uri = getenv("FILEPROC_TEST_REDIS_URI");

    return uri && *uri ? uri : NULL;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* ---- the contract ---- */

static fp_context *contract_ctx;
static fp_cache *contract_peer;
static char contract_uri[700];

static fp_cache *open_at(fp_context *ctx, const char *uri)
{
    fp_cache *c = NULL;
    fp_error err = { 0 };

    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_OK, &err);
    return c;
}

static fp_cache *fresh_redis(fp_context *ctx)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    ck_status(fpi_uuid7(ctx, id, &err), FILEPROC_OK, &err);
    snprintf(contract_uri, sizeof(contract_uri), "%s?prefix=test-%s:", server_uri(), id);
    contract_ctx = ctx;
    return open_at(ctx, contract_uri);
}

static fp_cache *another(fp_cache *c)
{
    (void)c;
    contract_peer = open_at(contract_ctx, contract_uri);
    return contract_peer;
}

static void gone_redis(fp_cache *c)
{
    fp_cache_free(c);
    fp_cache_free(contract_peer);
}

static const cache_contract drivers[] = { { fresh_redis, another, gone_redis } };

/* ---- a world with a server of its own, perhaps behind a proxy ---- */

typedef struct world {
    fp_context *ctx;
    fp_cache *c;
    fp_subscription *sub;
    flow_proxy *proxy;
    char folder[64]; /* of a server of its own; "" = the one of all */
    char uri[700], log[4096];
} world;

static void take_log(void *user_data, int32_t level, const char *component, const char *message)
{
    world *w = user_data;
    size_t used = strlen(w->log);

    (void)level;
    (void)component;
    snprintf(w->log + used, sizeof(w->log) - used, "%s\n", message);
}

/* Its processes hold on to no pipe of ours, so popen() sees the end of what the script writes. */
static void own_server(world *w, const char *verb)
{
    char command[400], line[600];
    FILE *out;

    snprintf(command, sizeof(command), SOURCE_ROOT "/tests/support/servers/redis %s %s", verb,
             w->folder);
    out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    while (fgets(line, sizeof(line), out))
        (void)sscanf(line, "FILEPROC_TEST_REDIS_URI=%599s", w->uri);
    ck_assert_int_eq(pclose(out), 0);
}

static void through_proxy(world *w, const char *server, const char *parameters)
{
    const char *port = strrchr(server, ':'), *rest = strchr(port, '/');
    char id[FPI_UUID_SIZE], uri[600];
    fp_error err = { 0 };

    snprintf(uri, sizeof(uri), "%s", server);
    port = uri + (port - server);
    rest = uri + (rest - server);
    ck_status(fpi_uuid7(w->ctx, id, &err), FILEPROC_OK, &err);
    w->proxy = flow_proxy_start((int)strtol(port + 1, NULL, 10));
    snprintf(w->uri, sizeof(w->uri), "%.*s:%d%s?prefix=test-%s:%s", (int)(port - uri), uri,
             flow_proxy_port(w->proxy), rest, id, parameters);
}

static void world_open(world *w, bool own, const char *parameters)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (world){ .ctx = NULL };
    o.log = take_log;
    o.user_data = w;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    if (own) {
        scratch_make(w->folder);
        own_server(w, "start");
    } else {
        through_proxy(w, server_uri(), parameters);
    }
    w->c = open_at(w->ctx, w->uri);
    ck_status(fp_cache_subscribe(w->c, &w->sub, &err), FILEPROC_OK, &err);
}

static void world_close(world *w)
{
    fp_subscription_free(w->sub);
    fp_cache_free(w->c);
    if (w->proxy)
        flow_proxy_stop(w->proxy);
    if (*w->folder) {
        own_server(w, "stop");
        scratch_remove(w->folder);
    }
    ck_assert_ptr_null(strstr(w->log, "s3cret"));
    fp_context_free(w->ctx);
}

/* A command behind the cache's back. */
static void tell_server(world *w, const char *one, const char *two)
{
    const fpi_redis_word words[] = { FPI_REDIS_TEXT(one), { two, two ? strlen(two) : 0 } };
    fpi_redis_settings s = { 0 };
    fpi_redis_link *link = NULL;
    fpi_redis_reply *reply = NULL;
    int64_t until = fpi_monotonic_ms() + 5000;
    fp_error err = { 0 };

    ck_status(fpi_redis_settings_parse(w->ctx, w->uri, &s, &err), FILEPROC_OK, &err);
    ck_status(fpi_redis_link_open(w->ctx, &s, until, &link, &err), FILEPROC_OK, &err);
    ck_status(fpi_redis_link_ask(link, words, two ? 2 : 1, until, &reply, &err), FILEPROC_OK, &err);
    ck_assert_int_ne(reply->type, REDIS_REPLY_ERROR);
    fpi_redis_reply_free(reply);
    fpi_redis_link_close(link);
    fpi_redis_settings_dispose(&s);
}

static fp_status set_one(fp_cache *c, fp_error *err)
{
    return fp_cache_set(c, "key", "value", 5, 60000, err);
}

static void must_work(world *w)
{
    fp_error err = { 0 };

    ck_status(set_one(w->c, &err), FILEPROC_OK, &err);
}

/* Each call answers in its time, until it works again. */
static void must_come_back(world *w, int64_t within_ms)
{
    int64_t until = fpi_monotonic_ms() + within_ms;
    fp_status rc = FILEPROC_ERR_BUSY;
    fp_error err = { 0 };

    while (rc != FILEPROC_OK && fpi_monotonic_ms() < until) {
        int64_t began = fpi_monotonic_ms();

        rc = set_one(w->c, &err);
        ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
        if (rc != FILEPROC_OK)
            ck_status(rc, FILEPROC_ERR_BUSY, &err);
        pause_ms(20);
    }
    ck_status(rc, FILEPROC_OK, &err);
}

static void must_fail_fast(world *w)
{
    int64_t began = fpi_monotonic_ms();
    fp_error err = { 0 };

    for (int i = 0; i < 20; i++) {
        ck_status(set_one(w->c, &err), FILEPROC_ERR_BUSY, &err);
        ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
        ck_assert_int_gt(err.retry_after_ms, 0);
        ck_assert_ptr_null(strstr(err.message, "s3cret"));
    }
    /* One of them may have been the one to try. */
    ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
}

static void listen_to(world *w, const char *channel)
{
    fp_news news = FILEPROC_NEWS_INIT;
    fp_error err = { 0 };

    ck_status(fp_subscription_add(w->sub, channel, &err), FILEPROC_OK, &err);
    ck_status(fp_subscription_receive(w->sub, 5000, &news, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(news.kind, FILEPROC_NEWS_RESUMED);
}

/* Within that time both channels are heard again, and then a message of one. */
static void must_resume(world *w, int64_t within_ms)
{
    int64_t until = fpi_monotonic_ms() + within_ms;
    int resumed = 0;
    fp_error err = { 0 };

    while (resumed < 2 && fpi_monotonic_ms() < until) {
        fp_news news = FILEPROC_NEWS_INIT;
        fp_status rc = fp_subscription_receive(w->sub, 100, &news, &err);

        if (rc != FILEPROC_OK)
            ck_status(rc, FILEPROC_ERR_BUSY, &err);
        resumed += news.kind == FILEPROC_NEWS_RESUMED;
    }
    ck_assert_int_eq(resumed, 2);
    must_come_back(w, 5000);
    ck_status(fp_cache_publish(w->c, "one", "x", 1, &err), FILEPROC_OK, &err);
    for (;;) {
        fp_news news = FILEPROC_NEWS_INIT;

        ck_status(fp_subscription_receive(w->sub, 5000, &news, &err), FILEPROC_OK, &err);
        if (news.kind == FILEPROC_NEWS_RESUMED)
            continue;
        ck_assert_uint_eq(news.kind, FILEPROC_NEWS_MESSAGE);
        ck_assert_str_eq(news.channel, "one");
        break;
    }
}

/* ---- opening ---- */

START_TEST(wrong_password_is_refused_and_not_told)
{
    const char *at = strrchr(server_uri(), '@');
    fp_context *ctx = NULL;
    fp_cache *c = NULL;
    fp_error err = { 0 };
    char uri[300];

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    snprintf(uri, sizeof(uri), "redis://:w0rdz%s", at);
    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_ERR_AUTH, &err);
    ck_assert_ptr_null(strstr(err.message, "w0rdz"));
    snprintf(uri, sizeof(uri), "redis://nobody:w0rdz%s", at);
    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_ERR_AUTH, &err);
    ck_assert_ptr_null(strstr(err.message, "w0rdz"));
    snprintf(uri, sizeof(uri), "redis://%s", at + 1);
    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_ERR_AUTH, &err);
    ck_assert_ptr_null(c);
    fp_context_free(ctx);
}
END_TEST

START_TEST(database_that_the_server_does_not_have_is_told)
{
    fp_context *ctx = NULL;
    fp_cache *c = NULL;
    fp_error err = { 0 };
    char uri[600];

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    snprintf(uri, sizeof(uri), "%s", server_uri());
    *(strrchr(uri, '/') + 1) = '\0';
    strncat(uri, "9999", 5);
    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_ERR_INVALID, &err);
    *(strrchr(uri, '/') + 1) = '\0';
    strncat(uri, "3", 2);
    ck_status(fp_cache_open(ctx, uri, NULL, &c, &err), FILEPROC_OK, &err);
    fp_cache_free(c);
    fp_context_free(ctx);
}
END_TEST

START_TEST(server_that_is_not_there_yet_is_waited_for)
{
    fp_error err = { 0 };
    fp_cache *c;
    world w;

    world_open(&w, false, "");
    flow_proxy_refuse(w.proxy, true);
    c = open_at(w.ctx, w.uri);
    ck_status(fp_cache_ping(c, &err), FILEPROC_ERR_BUSY, &err);
    flow_proxy_refuse(w.proxy, false);
    pause_ms(300);
    ck_status(fp_cache_ping(c, &err), FILEPROC_OK, &err);
    fp_cache_free(c);
    world_close(&w);
}
END_TEST

/* ---- the network between ---- */

START_TEST(cut_connections_cost_one_call_at_the_most)
{
    int failed = 0;
    fp_error err = { 0 };
    world w;

    world_open(&w, false, "");
    for (int i = 0; i < 20; i++) {
        flow_proxy_cut(w.proxy);
        pause_ms(20);
        failed += set_one(w.c, &err) != FILEPROC_OK;
        must_work(&w);
    }
    ck_assert_int_le(failed, 2); /* that they ended is mostly seen before they are used */
    world_close(&w);
}
END_TEST

START_TEST(answers_cut_short_are_errors)
{
    static char value[5000];
    world w;

    world_open(&w, false, "");
    memset(value, 'x', sizeof(value));
    must_work(&w);
    for (int bytes = 1; bytes < 12; bytes++) {
        fp_buf buf = FILEPROC_BUF_INIT;
        fp_error err = { 0 };
        int32_t found = 0;
        fp_status rc;

        must_come_back(&w, 5000);
        ck_status(fp_cache_set(w.c, "big", value, sizeof(value), 0, &err), FILEPROC_OK, &err);
        flow_proxy_cut_after(w.proxy, bytes);
        flow_proxy_cut(w.proxy);
        rc = fp_cache_get(w.c, "big", &buf, &found, &err);
        ck_status(rc, FILEPROC_ERR_BUSY, &err);
        ck_assert_uint_eq(buf.size, 0);
        flow_proxy_cut_after(w.proxy, 0);
        fp_buf_dispose(&buf);
    }
    must_come_back(&w, 5000);
    world_close(&w);
}
END_TEST

START_TEST(silent_server_costs_one_call_s_time_and_then_nothing)
{
    int64_t began;
    fp_error err = { 0 };
    world w;

    world_open(&w, false, "");
    must_work(&w);
    flow_proxy_hold(w.proxy, false, true);
    began = fpi_monotonic_ms();
    ck_status(set_one(w.c, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_ge(fpi_monotonic_ms() - began, CALL_MS - 10);
    ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
    must_fail_fast(&w);
    flow_proxy_hold(w.proxy, false, false);
    must_come_back(&w, 6000);
    world_close(&w);
}
END_TEST

START_TEST(time_of_a_call_can_be_set)
{
    int64_t began;
    fp_error err = { 0 };
    world w;

    world_open(&w, false, "&timeout=200");
    must_work(&w);
    flow_proxy_hold(w.proxy, true, true);
    began = fpi_monotonic_ms();
    ck_status(set_one(w.c, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_lt(fpi_monotonic_ms() - began, 200 + SLACK_MS);
    flow_proxy_hold(w.proxy, false, false);
    must_come_back(&w, 6000);
    world_close(&w);
}
END_TEST

/* A byte now and then is no reason to wait for longer. */
START_TEST(dripping_server_is_a_silent_one)
{
    static char value[200000];
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    int32_t found = 0;
    int64_t began;
    world w;

    world_open(&w, false, "");
    memset(value, 'x', sizeof(value));
    ck_status(fp_cache_set(w.c, "big", value, sizeof(value), 0, &err), FILEPROC_OK, &err);
    flow_proxy_slow(w.proxy, 100);
    began = fpi_monotonic_ms();
    ck_status(fp_cache_get(w.c, "big", &buf, &found, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
    flow_proxy_slow(w.proxy, 0);
    must_come_back(&w, 6000);
    world_close(&w);
}
END_TEST

START_TEST(subscription_comes_back_after_a_cut)
{
    world w;

    world_open(&w, false, "");
    listen_to(&w, "one");
    listen_to(&w, "two");
    for (int i = 0; i < 3; i++) {
        flow_proxy_cut(w.proxy);
        must_resume(&w, 5000);
    }
    world_close(&w);
}
END_TEST

START_TEST(subscription_finds_that_nobody_answers)
{
    fp_news news = FILEPROC_NEWS_INIT;
    int64_t began = fpi_monotonic_ms();
    fp_error err = { 0 };
    world w;

    world_open(&w, false, "");
    listen_to(&w, "one");
    listen_to(&w, "two");
    flow_proxy_hold(w.proxy, true, true);
    while (fp_subscription_receive(w.sub, 100, &news, &err) == FILEPROC_OK)
        ck_assert_int_lt(fpi_monotonic_ms() - began, 12000);
    flow_proxy_hold(w.proxy, false, false);
    must_resume(&w, 8000);
    world_close(&w);
}
END_TEST

START_TEST(quiet_subscription_stays)
{
    fp_news news = FILEPROC_NEWS_INIT;
    fp_error err = { 0 };
    world w;

    world_open(&w, false, "");
    listen_to(&w, "one");
    ck_status(fp_subscription_receive(w.sub, 13000, &news, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(news.kind, FILEPROC_NEWS_NONE);
    ck_assert_ptr_null(strstr(w.log, "lost"));
    world_close(&w);
}
END_TEST

static void *call_once(void *arg)
{
    fp_error err = { 0 };
    fp_status rc = set_one(arg, &err);

    ck_assert(rc == FILEPROC_OK || rc == FILEPROC_ERR_BUSY);
    return NULL;
}

START_TEST(more_callers_than_connections_take_turns)
{
    pthread_t threads[16];
    world w;

    world_open(&w, false, "&pool_size=2");
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_once, w.c), 0);
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    must_work(&w);
    world_close(&w);
}
END_TEST

/* ---- a server that forgets, ends, hangs ---- */

static fp_lease lease_of(const char *holder)
{
    fp_lease lease = FILEPROC_LEASE_INIT;

    lease.name = "thing";
    lease.holder = holder;
    lease.ttl_ms = 60000;
    return lease;
}

START_TEST(flushed_server_gives_greater_epochs)
{
    fp_lease a = lease_of("a"), b = lease_of("b");
    uint64_t last;
    fp_error err = { 0 };
    world w;

    world_open(&w, true, "");
    ck_status(fp_lease_acquire(w.c, &a, 0, &err), FILEPROC_OK, &err);
    last = a.epoch;
    for (int i = 0; i < 5; i++) {
        fp_lease *next = i % 2 ? &a : &b;

        tell_server(&w, "FLUSHALL", NULL);
        tell_server(&w, "SCRIPT", "FLUSH");
        ck_status(fp_lease_check(w.c, &a, &err), FILEPROC_ERR_CONFLICT, &err);
        next->epoch = 0;
        ck_status(fp_lease_acquire(w.c, next, 0, &err), FILEPROC_OK, &err);
        ck_assert_uint_gt(next->epoch, last);
        last = next->epoch;
    }
    world_close(&w);
}
END_TEST

START_TEST(killed_server_comes_back_with_what_it_knew)
{
    fp_lease a = lease_of("a"), b = lease_of("b");
    fp_error err = { 0 };
    world w;

    world_open(&w, true, "");
    listen_to(&w, "one");
    listen_to(&w, "two");
    ck_status(fp_lease_acquire(w.c, &a, 0, &err), FILEPROC_OK, &err);
    pause_ms(1500); /* it writes down every second */
    for (int i = 0; i < 2; i++) {
        own_server(&w, "stop");
        pause_ms(i ? 3000 : 50);
        must_fail_fast(&w);
        own_server(&w, "start");
        must_come_back(&w, 6000);
        must_resume(&w, 8000);
        ck_status(fp_lease_check(w.c, &a, &err), FILEPROC_OK, &err);
        ck_status(fp_lease_acquire(w.c, &b, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    }
    ck_assert_ptr_nonnull(strstr(w.log, "away"));
    ck_assert_ptr_nonnull(strstr(w.log, "here again"));
    world_close(&w);
}
END_TEST

static void signal_server(const world *w, int number)
{
    char path[100];
    FILE *file;
    int pid = 0;

    snprintf(path, sizeof(path), "%s/pid", w->folder);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    ck_assert_int_eq(kill(pid, number), 0);
}

/* The system accepts connections for it. */
START_TEST(stopped_process_is_a_silent_server)
{
    fp_error err = { 0 };
    int64_t began;
    fp_cache *late;
    world w;

    world_open(&w, true, "");
    must_work(&w);
    signal_server(&w, SIGSTOP);
    ck_status(set_one(w.c, &err), FILEPROC_ERR_BUSY, &err);
    must_fail_fast(&w);
    began = fpi_monotonic_ms();
    late = open_at(w.ctx, w.uri);
    ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
    signal_server(&w, SIGCONT);
    must_come_back(&w, 6000);
    fp_cache_free(late);
    world_close(&w);
}
END_TEST

static atomic_bool calling;

static void *call_all_the_time(void *arg)
{
    world *w = arg;
    fp_lease lease = lease_of("caller");

    while (calling) {
        int64_t began = fpi_monotonic_ms();
        fp_error err = { 0 };
        fp_status rc = fp_lease_acquire(w->c, &lease, 0, &err);

        if (rc != FILEPROC_OK)
            ck_status(rc, FILEPROC_ERR_BUSY, &err);
        ck_assert_int_lt(fpi_monotonic_ms() - began, CALL_MS + SLACK_MS);
    }
    return NULL;
}

START_TEST(load_goes_on_through_restarts)
{
    pthread_t threads[4];
    world w;

    world_open(&w, true, "");
    calling = true;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_all_the_time, &w), 0);
    for (int i = 0; i < 3; i++) {
        pause_ms(200);
        own_server(&w, "stop");
        pause_ms(200);
        own_server(&w, "start");
    }
    must_come_back(&w, 6000);
    calling = false;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    world_close(&w);
}
END_TEST

/* ---- memory ---- */

/* One call of everything; the first that fails ends it. */
static fp_status use(fp_cache *c, fp_subscription *sub, fp_error *err)
{
    fp_lease lease = lease_of("a");
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    fp_news news = FILEPROC_NEWS_INIT;
    fp_rate rate = FILEPROC_RATE_INIT;
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_status rc = set_one(c, err);
    int32_t found = 0;

    rate.limit = rate.window_ms = 1000;
    if (rc == FILEPROC_OK)
        rc = fp_cache_get(c, "key", &buf, &found, err);
    if (rc == FILEPROC_OK)
        rc = fp_lease_acquire(c, &lease, 0, err);
    if (rc == FILEPROC_OK)
        rc = fp_lease_renew(c, &lease, err);
    if (rc == FILEPROC_OK)
        rc = fp_lease_look(c, "thing", &info, err);
    if (rc == FILEPROC_OK)
        rc = fp_cache_count(c, "key", &rate, err);
    if (rc == FILEPROC_OK)
        rc = fp_subscription_add(sub, "a", err);
    if (rc == FILEPROC_OK)
        rc = fp_subscription_receive(sub, 2000, &news, err);
    if (rc == FILEPROC_OK)
        rc = fp_cache_publish(c, "a", "x", 1, err);
    if (rc == FILEPROC_OK)
        rc = fp_subscription_receive(sub, 2000, &news, err);
    if (rc == FILEPROC_OK) {
        ck_assert_int_eq(found, 1);
        ck_assert_uint_eq(info.epoch, lease.epoch);
        ck_assert_uint_eq(news.kind, FILEPROC_NEWS_MESSAGE);
    }
    fp_buf_dispose(&buf);
    return rc;
}

START_TEST(everything_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options co = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_subscription *sub = NULL;
        fp_context *ctx = NULL;
        fp_cache *c = NULL;
        char uri[600];
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        snprintf(uri, sizeof(uri), "%s?prefix=test-faults:", server_uri());
        co.allocator = &f.allocator;
        ck_status(fp_context_new(&co, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_cache_open(ctx, uri, NULL, &c, &err);
        if (rc < 0)
            ck_assert_ptr_null(c);
        if (rc == FILEPROC_OK)
            rc = fp_cache_subscribe(c, &sub, &err);
        if (rc == FILEPROC_OK)
            rc = use(c, sub, &err);
        fault_judge(&f, rc, &err);
        if (c && sub) { /* it works again */
            ck_status(set_one(c, &err), FILEPROC_OK, &err);
        }
        fp_subscription_free(sub);
        fp_cache_free(c);
        fp_context_free(ctx);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        wrong_password_is_refused_and_not_told,
        database_that_the_server_does_not_have_is_told,
        server_that_is_not_there_yet_is_waited_for,
        cut_connections_cost_one_call_at_the_most,
        answers_cut_short_are_errors,
        silent_server_costs_one_call_s_time_and_then_nothing,
        time_of_a_call_can_be_set,
        dripping_server_is_a_silent_one,
        subscription_comes_back_after_a_cut,
        subscription_finds_that_nobody_answers,
        quiet_subscription_stays,
        more_callers_than_connections_take_turns,
        flushed_server_gives_greater_epochs,
        killed_server_comes_back_with_what_it_knew,
        stopped_process_is_a_silent_server,
        load_goes_on_through_restarts,
        everything_survives_every_allocation_failure,
    };
    Suite *suite;

    if (!server_uri())
        return skip_suite("no Redis: FILEPROC_TEST_REDIS_URI is not set");
    suite = suite_of("cache_redis", tests, sizeof(tests) / sizeof(*tests));
    cache_contract_add(suite, drivers, sizeof(drivers) / sizeof(*drivers));
    return run_suite(suite);
}
