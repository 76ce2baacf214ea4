/* Owns: a queue on a test broker, behind a proxy when wanted, and a second connection to do things behind its back.
 * Must not know: what is tested. */
#include "broker_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include "core/uuid.h"
#include "queue/queue_amqp_connect.h"
#include "queue/queue_private.h"
#include "scratch.h"

const char *broker_uri(void)
{
    const char *uri = getenv("FILEPROC_TEST_RABBITMQ_URI");

    return uri && *uri ? uri : NULL;
}

int64_t monotonic_ms(void)
{
    return fpi_monotonic_ms();
}

void pause_for_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void count_opened(void *user_data, int32_t level, const char *component, const char *message)
{
    broker_world *w = user_data;

    (void)level;
    if (strcmp(component, "amqp") == 0 && strstr(message, ": open"))
        w->opened++;
    if (getenv("FILEPROC_TEST_VERBOSE"))
        fprintf(stderr, "%lld %s: %s\n", (long long)monotonic_ms(), component, message);
}

/* The same broker by the proxy's port: what stands between the last ":" and the "/" behind it. */
static void write_uri(broker_world *w, const char *broker, const char *parameters)
{
    const char *port = strrchr(broker, ':'), *rest = strchr(port, '/');
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };

    ck_status(fpi_uuid7(w->ctx, id, &err), FILEPROC_OK, &err);
    if (w->proxy)
        snprintf(w->uri, sizeof(w->uri), "%.*s:%d%s?prefix=test-%s.%s", (int)(port - broker),
                 broker, flow_proxy_port(w->proxy), rest, id, parameters);
    else
        snprintf(w->uri, sizeof(w->uri), "%s?prefix=test-%s.%s", broker, id, parameters);
}

void broker_world_open(broker_world *w, const char *broker, bool proxied, const char *parameters)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (broker_world){ .ctx = NULL };
    broker = broker ? broker : broker_uri();
    ck_assert_ptr_nonnull(broker);
    o.log = count_opened;
    o.user_data = w;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_amqp_settings_parse(w->ctx, broker, &w->settings, &err), FILEPROC_OK, &err);
    if (proxied)
        w->proxy = flow_proxy_start((int)w->settings.port);
    write_uri(w, broker, parameters);
    w->q = broker_world_another(w);
}

fp_queue *broker_world_another(broker_world *w)
{
    fp_error err = { 0 };
    fp_queue *q = NULL;

    ck_status(fp_queue_open(w->ctx, w->uri, NULL, &q, &err), FILEPROC_OK, &err);
    return q;
}

void broker_forget(fp_context *ctx, const char *uri)
{
    static const char *const names[] = { "dead",      "delay.1s",         "delay.10s",
                                         "delay.1m",  "topic.test.topic", "topic.test.other",
                                         "topic.odd", "subscriber" };
    amqp_connection_state_t conn = NULL;
    fpi_amqp_settings s = { 0 };
    fp_error err = { 0 };

    ck_status(fpi_amqp_settings_parse(ctx, uri, &s, &err), FILEPROC_OK, &err);
    if (fpi_amqp_connect(&s, "test", &conn, &err) == FILEPROC_OK) {
        amqp_channel_open(conn, 1);
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            char name[256];

            snprintf(name, sizeof(name), "%s%s", s.prefix, names[i]);
            amqp_queue_delete(conn, 1, amqp_cstring_bytes(name), 0, 0);
        }
        amqp_destroy_connection(conn);
    }
    fpi_amqp_settings_dispose(&s);
}

void broker_world_close(broker_world *w)
{
    fp_queue_free(w->q);
    if (w->admin)
        amqp_destroy_connection(w->admin);
    if (w->proxy) {
        flow_proxy_refuse(w->proxy, false);
        flow_proxy_hold(w->proxy, false, false);
        flow_proxy_slow(w->proxy, 0);
        flow_proxy_cut_after(w->proxy, 0);
    }
    broker_forget(w->ctx, w->uri);
    fpi_amqp_settings_dispose(&w->settings);
    if (w->proxy)
        flow_proxy_stop(w->proxy);
    fp_context_free(w->ctx);
}

/* Each question is asked on a fresh channel: the broker closes it with a "no". */
static void open_admin(broker_world *w)
{
    fp_error err = { 0 };

    if (!w->admin)
        ck_status(fpi_amqp_connect(&w->settings, "test", &w->admin, &err), FILEPROC_OK, &err);
    amqp_channel_open(w->admin, 1);
    ck_assert_int_eq(amqp_get_rpc_reply(w->admin).reply_type, AMQP_RESPONSE_NORMAL);
}

static void close_admin(broker_world *w, bool refused)
{
    amqp_channel_close_ok_t close_ok = { 0 };

    if (refused)
        amqp_send_method(w->admin, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    else
        amqp_channel_close(w->admin, 1, AMQP_REPLY_SUCCESS);
    amqp_maybe_release_buffers(w->admin);
}

const char *broker_name(const broker_world *w, const char *what, char name[256])
{
    const char *prefix = strstr(w->uri, "?prefix=") + strlen("?prefix=");

    snprintf(name, 256, "%.*s%s", (int)strcspn(prefix, "&"), prefix, what);
    return name;
}

void broker_delete_queue(broker_world *w, const char *what)
{
    char name[256];

    open_admin(w);
    amqp_queue_delete(w->admin, 1, amqp_cstring_bytes(broker_name(w, what, name)), 0, 0);
    ck_assert_int_eq(amqp_get_rpc_reply(w->admin).reply_type, AMQP_RESPONSE_NORMAL);
    close_admin(w, false);
}

int broker_depth(broker_world *w, const char *what)
{
    amqp_queue_declare_ok_t *ok;
    char name[256];
    int depth;

    open_admin(w);
    ok = amqp_queue_declare(w->admin, 1, amqp_cstring_bytes(broker_name(w, what, name)), 1, 1, 0, 0,
                            amqp_empty_table);
    depth = ok ? (int)ok->message_count : -1;
    close_admin(w, !ok);
    return depth;
}
