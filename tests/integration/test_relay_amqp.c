/* Owns: the tests of the relay with a broker and a subscriber.
 * Must not know: the broker's ways (test_queue_amqp.c). */
#include <fileproc/event.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "broker_world.h"
#include "event/outbox.h"
#include "runner.h"
#include "scratch.h"

#define EVENTS 600
#define SUBJECTS 6

typedef struct world {
    broker_world broker;
    fp_database *db[2]; /* of two processes, so to say */
    char folder[64];
    int appended;
    int seen[EVENTS];   /* how often */
    int last[SUBJECTS]; /* the newest first sight of each subject */
    char ids[EVENTS][40];
} world;

static void world_open(world *w)
{
    fp_error err = { 0 };
    char uri[128];

    memset(w, 0, sizeof(*w));
    for (int i = 0; i < SUBJECTS; i++)
        w->last[i] = -1;
    broker_world_open(&w->broker, NULL, true, "");
    scratch_make(w->folder);
    snprintf(uri, sizeof(uri), "sqlite://%s/file.db", w->folder);
    for (int i = 0; i < 2; i++) {
        ck_status(fp_database_open(w->broker.ctx, uri, NULL, &w->db[i], &err), FILEPROC_OK, &err);
        ck_status(fp_database_migrate(w->db[i], &err), FILEPROC_OK, &err);
    }
}

static void world_close(world *w)
{
    fp_database_free(w->db[0]);
    fp_database_free(w->db[1]);
    broker_world_close(&w->broker);
    scratch_remove(w->folder);
}

static fp_status append_one(fp_tx *tx, void *user_data, fp_error *err)
{
    const world *w = user_data;
    char subject[20], data[40];

    snprintf(subject, sizeof(subject), "s%d", w->appended % SUBJECTS);
    snprintf(data, sizeof(data), "{\"n\":%d}", w->appended);
    return fpi_outbox_append(w->broker.ctx, tx, "test.happened", subject, data, err);
}

static void append(world *w, int count)
{
    fp_error err = { 0 };

    for (int i = 0; i < count; i++) {
        ck_status(fp_database_transact(w->db[0], 0, append_one, w, &err), FILEPROC_OK, &err);
        w->appended++;
    }
}

/* A subscriber's queue at the exchange that the relay has made. */
static void subscribe(world *w)
{
    amqp_connection_state_t admin;
    char name[256];

    ck_assert_int_eq(broker_depth(&w->broker, "subscriber"), -1);
    admin = w->broker.admin;
    amqp_channel_open(admin, 1);
    ck_assert_int_eq(amqp_get_rpc_reply(admin).reply_type, AMQP_RESPONSE_NORMAL);
    broker_name(&w->broker, "events", name);
    amqp_exchange_declare(admin, 1, amqp_cstring_bytes(name), amqp_cstring_bytes("topic"), 0, 1, 0,
                          0, amqp_empty_table);
    ck_assert_int_eq(amqp_get_rpc_reply(admin).reply_type, AMQP_RESPONSE_NORMAL);
    amqp_queue_declare(admin, 1, amqp_cstring_bytes("relay-test"), 0, 0, 1, 1, amqp_empty_table);
    ck_assert_int_eq(amqp_get_rpc_reply(admin).reply_type, AMQP_RESPONSE_NORMAL);
    amqp_queue_bind(admin, 1, amqp_cstring_bytes("relay-test"), amqp_cstring_bytes(name),
                    amqp_cstring_bytes("test.#"), amqp_empty_table);
    ck_assert_int_eq(amqp_get_rpc_reply(admin).reply_type, AMQP_RESPONSE_NORMAL);
    amqp_basic_consume(admin, 1, amqp_cstring_bytes("relay-test"), amqp_empty_bytes, 0, 1, 0,
                       amqp_empty_table);
    ck_assert_int_eq(amqp_get_rpc_reply(admin).reply_type, AMQP_RESPONSE_NORMAL);
}

static void take_event(world *w, const amqp_envelope_t *e)
{
    char body[600], id[40];
    const char *data;
    int n = -1;

    snprintf(body, sizeof(body), "%.*s", (int)e->message.body.len, (char *)e->message.body.bytes);
    snprintf(id, sizeof(id), "%.*s", (int)e->message.properties.message_id.len,
             (char *)e->message.properties.message_id.bytes);
    ck_assert_ptr_nonnull(strstr(body, id));
    data = strstr(body, "\"data\":{\"n\":");
    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(sscanf(data, "\"data\":{\"n\":%d}", &n), 1);
    ck_assert(n >= 0 && n < EVENTS);
    if (w->seen[n]++) {
        ck_assert_str_eq(w->ids[n], id); /* the same event each time */
        return;
    }
    snprintf(w->ids[n], sizeof(w->ids[n]), "%s", id);
    ck_assert_int_gt(n, w->last[n % SUBJECTS]);
    w->last[n % SUBJECTS] = n;
}

static int seen_count(const world *w)
{
    int count = 0;

    for (int i = 0; i < EVENTS; i++)
        count += w->seen[i] > 0;
    return count;
}

static void take_all(world *w, int wanted, int64_t ms)
{
    struct timeval timeout = { 0, 100000 };
    int64_t end = monotonic_ms() + ms;

    while (seen_count(w) < wanted && monotonic_ms() < end) {
        amqp_envelope_t e;
        amqp_rpc_reply_t reply;

        amqp_maybe_release_buffers(w->broker.admin);
        reply = amqp_consume_message(w->broker.admin, &e, &timeout, 0);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL)
            continue;
        take_event(w, &e);
        amqp_destroy_envelope(&e);
    }
    ck_assert_int_eq(seen_count(w), wanted);
}

typedef struct relaying {
    fp_queue *q;
    fp_relay *relay;
    pthread_t thread;
} relaying;

static void *relay_on(void *arg)
{
    fp_error err = { 0 };
    fp_status rc;

    while ((rc = fp_relay_run(arg, 1000, NULL, &err)) != FILEPROC_ERR_CANCELLED) {
        if (rc != FILEPROC_OK)
            ck_status(rc, FILEPROC_ERR_BUSY, &err);
        if (rc != FILEPROC_OK)
            pause_for_ms(20);
    }
    return NULL;
}

static void start_relay(world *w, int which, relaying *r)
{
    fp_relay_options o = FILEPROC_RELAY_OPTIONS_INIT;
    fp_error err = { 0 };

    r->q = broker_world_another(&w->broker);
    o.database = w->db[which];
    o.queue = r->q;
    o.batch = 20;
    o.lease_ms = 15000;
    o.poll_interval_ms = 20;
    ck_status(fp_relay_open(w->broker.ctx, &o, &r->relay, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(pthread_create(&r->thread, NULL, relay_on, r->relay), 0);
}

static void end_relay(relaying *r)
{
    fp_relay_stop(r->relay);
    pthread_join(r->thread, NULL);
    fp_relay_free(r->relay);
    fp_queue_free(r->q);
}

START_TEST(two_relays_send_each_event_in_the_order_of_its_subject)
{
    static world w;
    relaying r[2];

    world_open(&w);
    subscribe(&w);
    for (int i = 0; i < 2; i++)
        start_relay(&w, i, &r[i]);
    append(&w, EVENTS / 2);
    take_all(&w, EVENTS / 2, 30000);
    end_relay(&r[0]); /* whichever has the lease: the other goes on at once */
    append(&w, EVENTS / 2);
    take_all(&w, EVENTS, 30000);
    end_relay(&r[1]);
    for (int i = 0; i < EVENTS; i++)
        ck_assert_int_eq(w.seen[i], 1);
    world_close(&w);
}
END_TEST

START_TEST(events_survive_cut_and_frozen_connections)
{
    static world w;
    relaying r;

    world_open(&w);
    subscribe(&w);
    start_relay(&w, 0, &r);
    for (int i = 0; i < 6; i++) {
        append(&w, EVENTS / 10);
        flow_proxy_cut(w.broker.proxy);
        append(&w, EVENTS / 30);
        pause_for_ms(i * 150);
    }
    flow_proxy_hold(w.broker.proxy, false, true); /* what is sent now arrives, but nobody says so */
    append(&w, EVENTS / 10);
    pause_for_ms(1000);
    flow_proxy_cut(w.broker.proxy);
    flow_proxy_hold(w.broker.proxy, false, false);
    append(&w, EVENTS / 10);
    take_all(&w, w.appended, 60000);
    ck_assert_int_eq(w.appended, EVENTS);
    end_relay(&r);
    world_close(&w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        two_relays_send_each_event_in_the_order_of_its_subject,
        events_survive_cut_and_frozen_connections,
    };

    if (!broker_uri()) {
        printf("1..0 # SKIP no RabbitMQ: FILEPROC_TEST_RABBITMQ_URI is not set\n");
        return EXIT_SUCCESS;
    }
    return run_suite(suite_of("relay_amqp", tests, sizeof(tests) / sizeof(*tests)));
}
