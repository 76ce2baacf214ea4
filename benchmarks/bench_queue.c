/* Owns: the queue benchmark: messages sent with confirms, received and acknowledged, through the library or through plain rabbitmq-c.
 * Must not know: internals. Prints one JSON line. Usage: bench_queue ours|plain URI THREADS MESSAGES; so many threads send, as many
 * receive. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include <fileproc/fileproc.h>

#define TOPIC "bench"
#define QUEUE "fileproc.topic.bench"
#define EXCHANGE "fileproc.topics"
#define BODY "01890000-0000-7000-8000-000000000000"
#define PREFETCH 8
#define MAX_THREADS 64

static fp_queue *queue;
static const char *broker;
static int each;
static atomic_int left;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

/* ---- the library ---- */

static void *send_ours(void *arg)
{
    fp_error err = { 0 };

    (void)arg;
    for (int i = 0; i < each; i++)
        must(fp_queue_send(queue, TOPIC, BODY, strlen(BODY), &err), &err);
    return NULL;
}

static void *receive_ours(void *arg)
{
    (void)arg;
    while (atomic_load(&left) > 0) {
        fp_message *m = NULL;
        fp_error err = { 0 };

        must(fp_queue_receive(queue, TOPIC, 100, &m, &err), &err);
        if (!m)
            continue;
        must(fp_message_ack(m, &err), &err);
        fp_message_free(m);
        atomic_fetch_sub(&left, 1);
    }
    return NULL;
}

/* ---- rabbitmq-c alone: a connection for each thread ---- */

static void check(amqp_connection_state_t conn, const char *what)
{
    if (amqp_get_rpc_reply(conn).reply_type == AMQP_RESPONSE_NORMAL)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static amqp_connection_state_t connect_plain(void)
{
    struct amqp_connection_info info;
    amqp_connection_state_t conn = amqp_new_connection();
    char *url = strndup(broker, strcspn(broker, "?"));

    url[strlen(url) - (url[strlen(url) - 1] == '/')] = '\0';
    if (amqp_parse_url(url, &info) != AMQP_STATUS_OK ||
        amqp_socket_open(amqp_tcp_socket_new(conn), info.host, info.port) != AMQP_STATUS_OK ||
        amqp_login(conn, "/", 0, 131072, 30, AMQP_SASL_METHOD_PLAIN, info.user, info.password)
                .reply_type != AMQP_RESPONSE_NORMAL) {
        fprintf(stderr, "no connection\n");
        exit(1);
    }
    free(url);
    amqp_channel_open(conn, 1);
    check(conn, "opening a channel");
    return conn;
}

static void *send_plain(void *arg)
{
    const amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                                 .delivery_mode = 2 };
    amqp_connection_state_t conn = connect_plain();

    (void)arg;
    amqp_confirm_select(conn, 1);
    check(conn, "asking for confirms");
    for (int i = 0; i < each; i++) {
        amqp_frame_t frame;

        amqp_basic_publish(conn, 1, amqp_cstring_bytes(EXCHANGE), amqp_cstring_bytes(TOPIC), 1, 0,
                           &properties, amqp_cstring_bytes(BODY));
        do
            if (amqp_simple_wait_frame(conn, &frame) != AMQP_STATUS_OK)
                exit(1);
        while (frame.frame_type != AMQP_FRAME_METHOD ||
               frame.payload.method.id != AMQP_BASIC_ACK_METHOD);
        amqp_maybe_release_buffers(conn);
    }
    amqp_destroy_connection(conn);
    return NULL;
}

static void *receive_plain(void *arg)
{
    struct timeval timeout = { 0, 100000 };
    amqp_connection_state_t conn = connect_plain();

    (void)arg;
    amqp_basic_qos(conn, 1, 0, PREFETCH, 0);
    check(conn, "setting the prefetch");
    amqp_basic_consume(conn, 1, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    check(conn, "subscribing");
    while (atomic_load(&left) > 0) {
        amqp_envelope_t e;

        amqp_maybe_release_buffers(conn);
        if (amqp_consume_message(conn, &e, &timeout, 0).reply_type != AMQP_RESPONSE_NORMAL)
            continue;
        amqp_basic_ack(conn, 1, e.delivery_tag, 0);
        amqp_destroy_envelope(&e);
        atomic_fetch_sub(&left, 1);
    }
    amqp_destroy_connection(conn);
    return NULL;
}

/* ---- */

/* Makes the queue, and warms up. The handle that listens is closed for the plain run, so that it keeps no messages. */
static void prepare(fp_context *ctx)
{
    fp_error err = { 0 };
    fp_message *m = NULL;

    must(fp_queue_open(ctx, broker, NULL, &queue, &err), &err);
    must(fp_queue_send(queue, TOPIC, BODY, strlen(BODY), &err), &err);
    while (!m)
        must(fp_queue_receive(queue, TOPIC, 1000, &m, &err), &err);
    must(fp_message_ack(m, &err), &err);
    fp_message_free(m);
}

int main(int argc, char **argv)
{
    int threads = argc == 5 ? (int)strtol(argv[3], NULL, 10) : 0;
    int messages = argc == 5 ? (int)strtol(argv[4], NULL, 10) : 0;
    bool ours = argc == 5 && strcmp(argv[1], "ours") == 0;
    pthread_t ids[2 * MAX_THREADS];
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    double began, took;

    if (threads < 1 || threads > MAX_THREADS || messages < threads) {
        fprintf(stderr, "usage: bench_queue ours|plain URI THREADS MESSAGES\n");
        return 2;
    }
    broker = argv[2];
    each = messages / threads;
    left = each * threads;
    must(fp_context_new(NULL, &ctx, &err), &err);
    prepare(ctx);
    if (!ours) {
        fp_queue_free(queue);
        queue = NULL;
    }
    began = seconds();
    for (int i = 0; i < 2 * threads; i++)
        pthread_create(&ids[i], NULL,
                       i < threads ? (ours ? receive_ours : receive_plain)
                                   : (ours ? send_ours : send_plain),
                       NULL);
    for (int i = 0; i < 2 * threads; i++)
        pthread_join(ids[i], NULL);
    took = seconds() - began;
    printf("{\"messages_per_s\": %.1f}\n", each * threads / took);
    fp_queue_free(queue);
    fp_context_free(ctx);
    return 0;
}
