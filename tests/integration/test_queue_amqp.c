/* Owns: the tests of the driver amqp against a broker: that it keeps the promises of every queue, and what only a broker can do to it.
 * Must not know: jobs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "broker_world.h"
#include "core/uuid.h"
#include "fault.h"
#include "queue_contract.h"
#include "runner.h"
#include "scratch.h"

#define TOPIC "test.topic"
#define QUEUE "topic." TOPIC

/* Names of its own for each queue, so that it is empty and the tests don't meet. */
static char contract_uri[600];

static fp_queue *fresh_broker(fp_context *ctx)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_queue *q = NULL;

    ck_status(fpi_uuid7(ctx, id, &err), FILEPROC_OK, &err);
    snprintf(contract_uri, sizeof(contract_uri), "%s?prefix=test-%s.", broker_uri(), id);
    ck_status(fp_queue_open(ctx, contract_uri, NULL, &q, &err), FILEPROC_OK, &err);
    return q;
}

static void gone_broker(fp_queue *q)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    fp_queue_free(q);
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    broker_forget(ctx, contract_uri);
    fp_context_free(ctx);
}

static const queue_contract drivers[] = { { fresh_broker, gone_broker } };

/* ---- shortcuts ---- */

static bool is_slow(void)
{
    const char *slow = getenv("FILEPROC_SLOW");

    return slow && strcmp(slow, "yes") == 0;
}

static void must_send(fp_queue *q, const char *body)
{
    fp_error err = { 0 };

    ck_status(fp_queue_send(q, TOPIC, body, strlen(body), &err), FILEPROC_OK, &err);
}

/* As often as it takes, while the broker is being found again. */
static void send_at_last(fp_queue *q, const char *body)
{
    int64_t end = monotonic_ms() + 60000;
    fp_error err = { 0 };
    fp_status rc;

    while ((rc = fp_queue_send(q, TOPIC, body, strlen(body), &err)) == FILEPROC_ERR_BUSY &&
           monotonic_ms() < end) {
        ck_assert(err.flags & FILEPROC_ERROR_RETRYABLE);
        pause_for_ms(20);
    }
    ck_status(rc, FILEPROC_OK, &err);
}

static fp_message *receive_within(fp_queue *q, int64_t ms)
{
    int64_t end = monotonic_ms() + ms;
    fp_message *msg = NULL;

    while (!msg && monotonic_ms() < end) {
        fp_error err = { 0 };
        fp_status rc = fp_queue_receive(q, TOPIC, 200, &msg, &err);

        if (rc != FILEPROC_OK)
            ck_status(rc, FILEPROC_ERR_BUSY, &err);
    }
    return msg;
}

static void must_hear(fp_queue *q, const char *body)
{
    fp_message *msg = receive_within(q, 10000);
    fp_error err = { 0 };

    ck_assert_ptr_nonnull(msg);
    ck_assert_str_eq(fp_message_body(msg, NULL), body);
    ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    fp_message_free(msg);
}

/* The connection was cut: acknowledgements may be lost with it, so that older messages come again. */
static void must_hear_among(fp_queue *q, const char *body)
{
    bool found = false;

    while (!found) {
        fp_message *msg = receive_within(q, 10000);
        fp_error err = { 0 };

        ck_assert_ptr_nonnull(msg);
        found = strcmp(fp_message_body(msg, NULL), body) == 0;
        ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
        fp_message_free(msg);
    }
}

/* ---- who is let in ---- */

static void must_refuse(const char *uri, fp_status code, const char *secret)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    fp_queue *q = NULL;

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_queue_open(ctx, uri, NULL, &q, &err), code, &err);
    ck_assert_int_eq(err.code, code);
    ck_assert_ptr_null(q);
    ck_assert_ptr_null(strstr(err.message, secret));
    fp_context_free(ctx);
}

START_TEST(wrong_password_is_refused_and_not_told)
{
    char uri[600];
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    snprintf(uri, sizeof(uri), "amqp://%s:w0rdz@127.0.0.1:%u/", w.settings.user, w.settings.port);
    must_refuse(uri, FILEPROC_ERR_AUTH, "w0rdz");
    snprintf(uri, sizeof(uri), "amqp://nobody:w0rdz@127.0.0.1:%u/", w.settings.port);
    must_refuse(uri, FILEPROC_ERR_AUTH, "w0rdz");
    broker_world_close(&w);
}
END_TEST

START_TEST(unknown_virtual_host_is_not_found)
{
    char uri[600];

    snprintf(uri, sizeof(uri), "%snowhere", broker_uri());
    must_refuse(uri, FILEPROC_ERR_NOTFOUND, "s3cret");
}
END_TEST

START_TEST(broker_that_is_not_there_is_an_io_error)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    fp_queue *q = NULL;

    must_refuse("amqp://u:w0rdz@127.0.0.1:1/", FILEPROC_ERR_IO, "w0rdz");
    must_refuse("amqp://u:w0rdz@127.0.0.1:1/?heartbeat=x", FILEPROC_ERR_INVALID, "w0rdz");
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_queue_open(ctx, "amqp://127.0.0.1:1/", NULL, &q, &err), FILEPROC_ERR_IO, &err);
    ck_assert_str_eq(err.message, "no connection to the broker at 127.0.0.1:1: nobody answers");
    fp_context_free(ctx);
}
END_TEST

START_TEST(tls_is_used_and_the_broker_verified)
{
    const char *uri = getenv("FILEPROC_TEST_RABBITMQ_TLS_URI");
    char changed[600];
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    fp_queue *q = NULL;

    ck_assert_ptr_nonnull(uri);
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    snprintf(changed, sizeof(changed), "%s&prefix=test-tls.", uri);
    ck_status(fp_queue_open(ctx, changed, NULL, &q, &err), FILEPROC_OK, &err);
    must_send(q, "sealed");
    must_hear(q, "sealed");
    fp_queue_free(q);
    fp_context_free(ctx);
    snprintf(changed, sizeof(changed), "%.*s", (int)strcspn(uri, "?"), uri);
    must_refuse(changed, FILEPROC_ERR_AUTH, "s3cret"); /* an issuer that nobody knows */
    snprintf(changed, sizeof(changed), "%.*s?cacertfile=/nowhere", (int)strcspn(uri, "?"), uri);
    must_refuse(changed, FILEPROC_ERR_INVALID, "s3cret");
}
END_TEST

/* ---- nobody calls for long ---- */

START_TEST(idle_connections_end_without_an_error)
{
    fp_message *msg;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, false, "&heartbeat=1");
    must_send(w.q, "before");
    msg = receive_within(w.q, 5000);
    ck_assert_ptr_nonnull(msg);
    pause_for_ms(5000); /* the broker closes after two heartbeats */
    ck_assert_int_eq(w.opened, 2);
    must_send(w.q, "after");
    ck_status(fp_message_ack(msg, &err), FILEPROC_ERR_BUSY, &err);
    fp_message_free(msg);
    must_hear(w.q, "before"); /* what was not acknowledged comes again */
    must_hear(w.q, "after");
    ck_assert_int_eq(w.opened, 4);
    broker_world_close(&w);
}
END_TEST

START_TEST(ping_keeps_idle_connections)
{
    fp_message *msg;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, false, "&heartbeat=1");
    must_send(w.q, "kept");
    msg = receive_within(w.q, 5000);
    for (int i = 0; i < 20; i++) {
        pause_for_ms(250);
        ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    }
    ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    fp_message_free(msg);
    ck_assert_int_eq(w.opened, 2);
    broker_world_close(&w);
}
END_TEST

START_TEST(waiting_keeps_the_connection)
{
    fp_message *msg = NULL;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, false, "&heartbeat=1");
    ck_status(fp_queue_receive(w.q, TOPIC, 5000, &msg, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(msg);
    ck_assert_int_eq(w.opened, 2);
    broker_world_close(&w);
}
END_TEST

/* ---- things that others do to the broker ---- */

typedef struct listener {
    fp_queue *q;
    int64_t heard_ms;
    atomic_bool heard;
} listener;

static void *hear_one(void *arg)
{
    listener *l = arg;
    fp_message *msg = receive_within(l->q, 20000);
    fp_error err = { 0 };

    l->heard_ms = monotonic_ms();
    l->heard = msg != NULL;
    if (msg)
        ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    fp_message_free(msg);
    return NULL;
}

START_TEST(deleted_queue_is_made_again)
{
    pthread_t thread;
    listener l;
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    l = (listener){ .q = w.q };
    ck_assert_int_eq(pthread_create(&thread, NULL, hear_one, &l), 0);
    pause_for_ms(100);
    broker_delete_queue(&w, QUEUE);
    send_at_last(w.q, "two");
    pthread_join(thread, NULL);
    ck_assert(l.heard);
    broker_world_close(&w);
}
END_TEST

/* Deleted and made again at once by somebody who does not know of it, before the broker has told us: RabbitMQ 3.10 then keeps our
 * subscription but brings nothing any more. */
START_TEST(subscription_that_the_broker_lost_is_made_anew)
{
    fp_message *msg;
    fp_queue *other;
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    other = broker_world_another(&w);
    broker_delete_queue(&w, QUEUE);
    must_send(other, "two");
    msg = receive_within(w.q, 75000);
    ck_assert_ptr_nonnull(msg);
    fp_message_free(msg);
    fp_queue_free(other);
    broker_world_close(&w);
}
END_TEST

START_TEST(message_that_no_queue_takes_is_an_error)
{
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "one");
    broker_delete_queue(&w, QUEUE);
    ck_status(fp_queue_send(w.q, TOPIC, "two", 3, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "no queue"));
    send_at_last(w.q, "three"); /* made again */
    must_hear(w.q, "three");
    broker_world_close(&w);
}
END_TEST

START_TEST(queue_that_was_made_otherwise_is_named)
{
    char name[256];
    fp_message *msg = NULL;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    ck_assert_int_eq(broker_depth(&w, "topic.odd"), -1);
    amqp_channel_open(w.admin, 1);
    ck_assert_int_eq(amqp_get_rpc_reply(w.admin).reply_type, AMQP_RESPONSE_NORMAL);
    amqp_queue_declare(w.admin, 1, amqp_cstring_bytes(broker_name(&w, "topic.odd", name)), 0, 0, 0,
                       0, amqp_empty_table);
    ck_assert_int_eq(amqp_get_rpc_reply(w.admin).reply_type, AMQP_RESPONSE_NORMAL);
    for (int i = 0; i < 3; i++) {
        ck_status(fp_queue_send(w.q, "odd", "x", 1, &err), FILEPROC_ERR_CONFLICT, &err);
        ck_assert_ptr_nonnull(strstr(err.message, name));
        ck_assert_int_eq(err.cause, 406);
        ck_status(fp_queue_receive(w.q, "odd", 1000, &msg, &err), FILEPROC_ERR_CONFLICT, &err);
        must_send(w.q, "others go on");
        must_hear(w.q, "others go on");
    }
    ck_assert_int_eq(w.opened, 2);
    broker_world_close(&w);
}
END_TEST

static void publish_raw(broker_world *w, const char *body, size_t size, int32_t delays)
{
    amqp_table_entry_t entry = { .key = amqp_cstring_bytes("x-fileproc-delays") };
    amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_HEADERS_FLAG };
    char name[256];

    ck_assert_int_ge(broker_depth(w, QUEUE), 0);
    amqp_channel_open(w->admin, 1);
    ck_assert_int_eq(amqp_get_rpc_reply(w->admin).reply_type, AMQP_RESPONSE_NORMAL);
    entry.value.kind = AMQP_FIELD_KIND_I32;
    entry.value.value.i32 = delays;
    properties.headers = (amqp_table_t){ 1, &entry };
    ck_assert_int_eq(amqp_basic_publish(w->admin, 1, amqp_empty_bytes,
                                        amqp_cstring_bytes(broker_name(w, QUEUE, name)), 0, 0,
                                        &properties, (amqp_bytes_t){ size, (void *)body }),
                     0);
    amqp_channel_close(w->admin, 1, AMQP_REPLY_SUCCESS);
}

static void must_reach(broker_world *w, const char *queue, int depth)
{
    int64_t end = monotonic_ms() + 5000;

    while (broker_depth(w, queue) != depth && monotonic_ms() < end)
        pause_for_ms(50);
    ck_assert_int_eq(broker_depth(w, queue), depth);
}

START_TEST(strangers_large_message_is_set_aside)
{
    static char large[200000];
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "before");
    publish_raw(&w, large, sizeof(large), 0);
    must_send(w.q, "after");
    must_hear(w.q, "before");
    must_hear(w.q, "after");
    must_reach(&w, "dead", 1);
    broker_world_close(&w);
}
END_TEST

START_TEST(message_given_back_again_and_again_comes_later)
{
    int64_t freed;
    fp_message *msg;
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "hot");
    for (int i = 0; i < 4; i++) {
        msg = receive_within(w.q, 2000);
        ck_assert_ptr_nonnull(msg);
        fp_message_free(msg);
    }
    freed = monotonic_ms();
    msg = receive_within(w.q, 5000);
    ck_assert_ptr_nonnull(msg);
    ck_assert_str_eq(fp_message_body(msg, NULL), "hot");
    ck_assert_int_ge(monotonic_ms() - freed, 900);
    fp_message_free(msg); /* and now for ten seconds */
    must_reach(&w, "delay.10s", 1);
    ck_assert_int_eq(broker_depth(&w, QUEUE), 0);
    broker_world_close(&w);
}
END_TEST

START_TEST(message_that_nobody_can_use_is_dead_at_last)
{
    fp_message *msg;
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    publish_raw(&w, "poison", 6, 3);
    msg = receive_within(w.q, 2000);
    ck_assert_ptr_nonnull(msg);
    fp_message_free(msg);
    must_reach(&w, "dead", 1);
    ck_assert_int_eq(broker_depth(&w, QUEUE), 0);
    broker_world_close(&w);
}
END_TEST

/* ---- the network between ---- */

START_TEST(lost_confirm_is_an_error_in_bounded_time)
{
    int64_t began;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    flow_proxy_hold(w.proxy, false, true);
    began = monotonic_ms();
    ck_status(fp_queue_send(w.q, TOPIC, "two", 3, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_lt(monotonic_ms() - began, 8000);
    flow_proxy_hold(w.proxy, false, false);
    must_hear(w.q, "two"); /* it did arrive: at least once */
    send_at_last(w.q, "three");
    must_hear(w.q, "three");
    broker_world_close(&w);
}
END_TEST

START_TEST(broker_that_is_away_is_said_so_at_once)
{
    int64_t began;
    fp_message *msg = NULL;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    flow_proxy_refuse(w.proxy, true);
    flow_proxy_cut(w.proxy);
    pause_for_ms(100);
    began = monotonic_ms();
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_ERR_BUSY, &err);
    ck_status(fp_queue_send(w.q, TOPIC, "two", 3, &err), FILEPROC_ERR_BUSY, &err);
    ck_status(fp_queue_receive(w.q, TOPIC, 300, &msg, &err), FILEPROC_ERR_BUSY, &err);
    ck_status(fp_queue_receive(w.q, TOPIC, 0, &msg, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_int_lt(monotonic_ms() - began, 1500);
    flow_proxy_refuse(w.proxy, false);
    send_at_last(w.q, "three");
    must_hear_among(w.q, "three");
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    broker_world_close(&w);
}
END_TEST

START_TEST(ping_alone_brings_the_subscriptions_back)
{
    int64_t end;
    fp_error err = { 0 };
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    flow_proxy_cut(w.proxy);
    end = monotonic_ms() + 10000;
    while (fp_queue_ping(w.q, &err) != FILEPROC_OK && monotonic_ms() < end)
        pause_for_ms(50);
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    must_send(w.q, "two");
    must_reach(&w, QUEUE, 0); /* it was delivered to us although nobody waits */
    must_hear_among(w.q, "two");
    broker_world_close(&w);
}
END_TEST

static void *wait_long(void *arg)
{
    fp_message *msg = NULL;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(arg, TOPIC, 60000, &msg, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(msg);
    return NULL;
}

START_TEST(wake_ends_waiting_while_the_broker_is_away)
{
    pthread_t threads[3];
    int64_t woken;
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    flow_proxy_refuse(w.proxy, true);
    flow_proxy_cut(w.proxy);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_long, w.q), 0);
    pause_for_ms(1500);
    woken = monotonic_ms();
    fp_queue_wake(w.q);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_lt(monotonic_ms() - woken, 300);
    broker_world_close(&w);
}
END_TEST

START_TEST(slow_network_only_takes_longer)
{
    char body[2000];
    broker_world w;

    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    broker_world_open(&w, NULL, true, "");
    must_send(w.q, "one");
    must_hear(w.q, "one");
    flow_proxy_slow(w.proxy, 30); /* 3 kB/s */
    for (int i = 0; i < 3; i++)
        must_send(w.q, body);
    for (int i = 0; i < 3; i++)
        must_hear(w.q, body);
    ck_assert_int_eq(w.opened, 2);
    broker_world_close(&w);
}
END_TEST

/* ---- many at once ---- */

#define SENDERS 2
#define RECEIVERS 3
#define EACH 400

typedef struct load {
    fp_queue *q;
    int number;
    atomic_int *seen; /* SENDERS * EACH */
    atomic_int *left; /* not seen yet */
    bool patient;     /* the broker comes and goes */
} load;

static void *send_many(void *arg)
{
    const load *l = arg;

    for (int i = 0; i < EACH; i++) {
        char body[24];

        snprintf(body, sizeof(body), "%d", l->number * EACH + i);
        if (l->patient)
            send_at_last(l->q, body);
        else
            must_send(l->q, body);
        if (l->patient)
            pause_for_ms(3);
    }
    return NULL;
}

static void *hear_many(void *arg)
{
    const load *l = arg;

    while (atomic_load(l->left) > 0) {
        fp_message *msg = NULL;
        fp_error err = { 0 };
        fp_status rc = fp_queue_receive(l->q, TOPIC, 100, &msg, &err);

        if (rc != FILEPROC_OK && !(l->patient && rc == FILEPROC_ERR_BUSY))
            ck_status(rc, FILEPROC_OK, &err);
        if (!msg)
            continue;
        rc = fp_message_ack(msg, &err);
        if (rc == FILEPROC_OK &&
            atomic_fetch_add(&l->seen[strtol(fp_message_body(msg, NULL), NULL, 10)], 1) == 0)
            atomic_fetch_sub(l->left, 1);
        fp_message_free(msg);
    }
    return NULL;
}

/* Every sender and every receiver is a process of its own, so to say. Calls disturb() meanwhile. */
static void run_load(broker_world *w, bool patient, void (*disturb)(broker_world *w),
                     atomic_int *seen)
{
    atomic_int left = SENDERS * EACH;
    pthread_t threads[SENDERS + RECEIVERS];
    load loads[SENDERS + RECEIVERS];

    for (int i = 0; i < SENDERS + RECEIVERS; i++) {
        loads[i] = (load){ broker_world_another(w), i, seen, &left, patient };
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, i < SENDERS ? send_many : hear_many, &loads[i]), 0);
    }
    while (disturb && left > 0)
        disturb(w);
    for (int i = 0; i < SENDERS + RECEIVERS; i++) {
        pthread_join(threads[i], NULL);
        fp_queue_free(loads[i].q);
    }
}

START_TEST(many_handles_share_the_messages)
{
    static atomic_int seen[SENDERS * EACH];
    broker_world w;

    broker_world_open(&w, NULL, false, "");
    /* Made before: to several who make it at once the broker may refuse the first messages. By one who does not listen: he
     * would be given some. */
    must_send(w.q, "0");
    run_load(&w, false, NULL, seen);
    for (int i = 0; i < SENDERS * EACH; i++)
        ck_assert_int_eq(seen[i], i == 0 ? 2 : 1);
    broker_world_close(&w);
}
END_TEST

static void cut_now_and_then(broker_world *w)
{
    pause_for_ms(700);
    flow_proxy_cut(w->proxy);
}

START_TEST(nothing_is_lost_with_cut_connections)
{
    static atomic_int seen[SENDERS * EACH];
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    run_load(&w, true, cut_now_and_then, seen);
    for (int i = 0; i < SENDERS * EACH; i++)
        ck_assert_int_ge(seen[i], 1);
    broker_world_close(&w);
}
END_TEST

static void cut_inside_frames(broker_world *w)
{
    static int bytes = 4000;

    flow_proxy_cut_after(w->proxy, bytes++); /* wherever that is */
    pause_for_ms(50);
}

START_TEST(nothing_is_lost_with_frames_cut_short)
{
    static atomic_int seen[SENDERS * EACH];
    broker_world w;

    broker_world_open(&w, NULL, true, "");
    run_load(&w, true, cut_inside_frames, seen);
    for (int i = 0; i < SENDERS * EACH; i++)
        ck_assert_int_ge(seen[i], 1);
    broker_world_close(&w);
}
END_TEST

/* ---- a broker that ends ---- */

static char own_folder[64];

/* The script's second line of output is about TLS. */
static void own_broker(const char *verb, char uri[600])
{
    char command[400], line[600];
    FILE *out;

    snprintf(command, sizeof(command), SOURCE_ROOT "/tests/support/servers/rabbitmq %s %s", verb,
             own_folder);
    out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    while (fgets(line, sizeof(line), out))
        if (uri && sscanf(line, "FILEPROC_TEST_RABBITMQ_URI=%599s", uri) == 1)
            uri = NULL;
    ck_assert_int_eq(pclose(out), 0);
    ck_assert_msg(!uri || strcmp(verb, "stop") == 0, "the broker does not start");
}

static int restarts;

static void restart_once(broker_world *w)
{
    char uri[600];

    (void)w;
    if (restarts++ > 0) {
        pause_for_ms(100);
        return;
    }
    pause_for_ms(300);
    own_broker("stop", NULL); /* as in a crash */
    pause_for_ms(is_slow() ? 20000 : 500);
    own_broker("start", uri);
}

START_TEST(what_was_confirmed_survives_the_broker_s_crash)
{
    static atomic_int seen[SENDERS * EACH];
    char uri[600] = "";
    broker_world w;

    scratch_make(own_folder);
    own_broker("start", uri);
    broker_world_open(&w, uri, false, "");
    must_send(w.q, "0");
    pause_for_ms(
        2000); /* RabbitMQ 3.10 writes down within half a second that there is a new queue */
    run_load(&w, true, restart_once, seen);
    ck_assert_int_gt(restarts, 0);
    for (int i = 0; i < SENDERS * EACH; i++)
        ck_assert_int_ge(seen[i], 1);
    broker_world_close(&w);
    own_broker("stop", NULL);
    scratch_remove(own_folder);
}
END_TEST

/* ---- memory ---- */

START_TEST(open_send_receive_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options co = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_queue *q = NULL;
        fp_message *msg = NULL;
        char uri[600];
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        snprintf(uri, sizeof(uri), "%s?prefix=test-faults.&cacertfile=x", broker_uri());
        co.allocator = &f.allocator;
        ck_status(fp_context_new(&co, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_queue_open(ctx, uri, NULL, &q, &err);
        if (rc == FILEPROC_OK)
            rc = fp_queue_send(q, TOPIC, "x", 1, &err);
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK) {
            fault_arm(&f);
            rc = fp_queue_receive(q, TOPIC, 300, &msg, &err);
            fault_judge(&f, rc, &err);
            for (int i = 0; i < 50 && !msg; i++) /* it went back to the broker */
                rc = fp_queue_receive(q, TOPIC, 200, &msg, &err);
            ck_status(rc, FILEPROC_OK, &err);
            ck_assert_ptr_nonnull(msg);
            ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
        }
        fp_message_free(msg);
        fp_queue_free(q);
        fp_context_free(ctx);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        wrong_password_is_refused_and_not_told,
        unknown_virtual_host_is_not_found,
        broker_that_is_not_there_is_an_io_error,
        tls_is_used_and_the_broker_verified,
        idle_connections_end_without_an_error,
        ping_keeps_idle_connections,
        waiting_keeps_the_connection,
        deleted_queue_is_made_again,
        message_that_no_queue_takes_is_an_error,
        queue_that_was_made_otherwise_is_named,
        strangers_large_message_is_set_aside,
        message_given_back_again_and_again_comes_later,
        message_that_nobody_can_use_is_dead_at_last,
        lost_confirm_is_an_error_in_bounded_time,
        broker_that_is_away_is_said_so_at_once,
        ping_alone_brings_the_subscriptions_back,
        wake_ends_waiting_while_the_broker_is_away,
        slow_network_only_takes_longer,
        many_handles_share_the_messages,
        nothing_is_lost_with_cut_connections,
        nothing_is_lost_with_frames_cut_short,
        open_send_receive_survive_every_allocation_failure,
    };
    Suite *suite;
    TCase *own;

    if (!broker_uri()) {
        printf("1..0 # SKIP no RabbitMQ: FILEPROC_TEST_RABBITMQ_URI is not set\n");
        return EXIT_SUCCESS;
    }
    suite = suite_of("queue_amqp", tests, sizeof(tests) / sizeof(*tests));
    own = tcase_create("own broker");
    tcase_set_timeout(own, 300);
    tcase_add_test(own, what_was_confirmed_survives_the_broker_s_crash);
    if (is_slow())
        tcase_add_test(own, subscription_that_the_broker_lost_is_made_anew);
    suite_add_tcase(suite, own);
    queue_contract_add(suite, drivers, sizeof(drivers) / sizeof(*drivers));
    return run_suite(suite);
}
