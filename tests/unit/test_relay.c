/* Owns: the tests of event/relay.c and event/outbox_batch.c, with a broker in memory.
 * Must not know: a real broker. */
#include <fileproc/event.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/context_private.h"
#include "event/outbox.h"
#include "fake_sink.h"
#include "fault.h"
#include "fresh_database.h"
#include "runner.h"
#include "scratch.h"

typedef struct world {
    fp_context *ctx;
    fp_database *db;
    fp_queue *q;
    int64_t now;
    fp_relay *other;
    char uri[128];
    int appended; /* by append_many() */
} world;

static int64_t world_clock(void *user_data)
{
    return __atomic_load_n(&((world *)user_data)->now, __ATOMIC_SEQ_CST);
}

static void world_open(world *w, const fp_allocator *allocator)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (world){ .now = 1700000000000 };
    o.clock_ms = world_clock;
    o.user_data = w;
    o.allocator = allocator;
    sink_clear();
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_queue_driver(w->ctx, &fake_sink_driver, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_queue_driver(w->ctx, &deaf_sink_driver, &err), FILEPROC_OK, &err);
    fresh_database_open(w->ctx, w->uri, &w->db);
    ck_status(fp_database_migrate(w->db, &err), FILEPROC_OK, &err);
    ck_status(fp_queue_open(w->ctx, "sink:", NULL, &w->q, &err), FILEPROC_OK, &err);
}

static void world_close(world *w)
{
    fp_queue_free(w->q);
    fresh_database_close(w->db, w->uri);
    fp_context_free(w->ctx);
}

static fp_relay *open_relay(world *w, uint32_t batch)
{
    fp_relay_options o = FILEPROC_RELAY_OPTIONS_INIT;
    fp_relay *r = NULL;
    fp_error err = { 0 };

    o.database = w->db;
    o.queue = w->q;
    o.batch = batch;
    o.poll_interval_ms = 20;
    ck_status(fp_relay_open(w->ctx, &o, &r, &err), FILEPROC_OK, &err);
    return r;
}

typedef struct append_call {
    world *w;
    int count;
} append_call;

static fp_status append_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const append_call *c = user_data;
    fp_status rc = FILEPROC_OK;

    for (int i = 0; rc == FILEPROC_OK && i < c->count; i++) {
        char type[40];

        snprintf(type, sizeof(type), "test.%d", c->w->appended + i);
        rc = fpi_outbox_append(c->w->ctx, tx, type, "subject", "{\"n\":1}", err);
    }
    return rc;
}

static void append_many(world *w, int count)
{
    append_call call = { w, count };
    fp_error err = { 0 };

    ck_status(fp_database_transact(w->db, 0, append_body, &call, &err), FILEPROC_OK, &err);
    w->appended += count;
}

static uint64_t must_run(fp_relay *r, uint32_t timeout_ms)
{
    uint64_t sent = 99;
    fp_error err = { 0 };

    ck_status(fp_relay_run(r, timeout_ms, &sent, &err), FILEPROC_OK, &err);
    return sent;
}

static int64_t unsent(world *w)
{
    return sql_number(w->db, "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL");
}

START_TEST(events_are_sent_once_and_in_order)
{
    world w;
    fp_relay *r;

    world_open(&w, NULL);
    r = open_relay(&w, 10);
    ck_assert_uint_eq(must_run(r, 0), 0);
    append_many(&w, 25);
    ck_assert_uint_eq(must_run(r, 0), 10);
    ck_assert_uint_eq(must_run(r, 0), 10);
    ck_assert_uint_eq(must_run(r, 0), 5);
    ck_assert_uint_eq(must_run(r, 0), 0);
    ck_assert_uint_eq(sink.count, 25);
    for (int i = 0; i < 25; i++) {
        char type[40];

        snprintf(type, sizeof(type), "test.%d", i);
        ck_assert_str_eq(sink.types[i], type);
    }
    ck_assert_ptr_nonnull(strstr(sink.first_body, "\"source\":\"/fileproc\""));
    ck_assert_ptr_nonnull(strstr(sink.first_body, "\"data\":{\"n\":1}"));
    ck_assert_ptr_nonnull(strstr(sink.first_body, sink.ids[0]));
    ck_assert_int_eq(unsent(&w), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE sent_at = 1700000000000"),
                     25);
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

START_TEST(what_the_broker_did_not_take_is_sent_again)
{
    uint64_t sent = 99;
    fp_error err = { 0 };
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    r = open_relay(&w, 0);
    append_many(&w, 20);
    sink.fail_after = 7;
    ck_status(fp_relay_run(r, 0, &sent, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_uint_eq(sent, 7);
    ck_assert_str_eq(err.message, "the sink is away");
    ck_assert_int_eq(unsent(&w), 13);
    sink.fail_after = 0;
    ck_status(fp_relay_run(r, 0, &sent, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_uint_eq(sent, 0);
    ck_assert_uint_eq(must_run(r, 0), 13);
    ck_assert_uint_eq(sink.count, 20);
    for (size_t i = 0; i < 20; i++)
        ck_assert_uint_eq(sink_seen(sink.ids[i]), 1);
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

START_TEST(one_relay_sends_and_the_other_stands_by)
{
    fp_relay *one, *two;
    world w;

    world_open(&w, NULL);
    one = open_relay(&w, 5);
    two = open_relay(&w, 5);
    append_many(&w, 20);
    ck_assert_uint_eq(must_run(one, 0), 5);
    ck_assert_uint_eq(must_run(two, 0), 0);
    w.now += 29000;
    ck_assert_uint_eq(must_run(two, 0), 0);
    w.now += 1000; /* one is gone, it seems */
    ck_assert_uint_eq(must_run(two, 0), 5);
    ck_assert_uint_eq(must_run(one, 0), 0);
    fp_relay_free(two); /* and this one says so */
    ck_assert_uint_eq(must_run(one, 0), 5);
    fp_relay_free(one);
    world_close(&w);
}
END_TEST

START_TEST(relay_that_sends_keeps_its_lease)
{
    fp_relay *one, *two;
    world w;

    world_open(&w, NULL);
    one = open_relay(&w, 1);
    two = open_relay(&w, 1);
    append_many(&w, 20);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(must_run(one, 0), 1);
        ck_assert_uint_eq(must_run(two, 0), 0);
        w.now += 10000;
    }
    fp_relay_free(one);
    fp_relay_free(two);
    world_close(&w);
}
END_TEST

/* Another one took over while this one was sending: it learns so when it notes what it has sent. */
static void take_over(void *user_data)
{
    world *w = user_data;

    sink.meanwhile = NULL;
    w->now += 100000;
    ck_assert_uint_eq(must_run(w->other, 0), 5);
}

START_TEST(relay_that_was_too_slow_gives_way)
{
    fp_relay *slow;
    world w;

    world_open(&w, NULL);
    slow = open_relay(&w, 5);
    w.other = open_relay(&w, 5);
    append_many(&w, 20);
    sink.meanwhile = take_over;
    sink.user_data = &w;
    ck_assert_uint_eq(must_run(slow, 0), 5); /* the same five, a second time */
    ck_assert_int_eq(unsent(&w), 15);
    ck_assert_uint_eq(must_run(slow, 0), 0);
    ck_assert_uint_eq(must_run(w.other, 0), 5);
    fp_relay_free(slow); /* gives back nothing that is not its own */
    append_many(&w, 1);
    ck_assert_uint_eq(must_run(w.other, 0), 5);
    fp_relay_free(w.other);
    world_close(&w);
}
END_TEST

static void *run_until_stopped(void *arg)
{
    fp_error err = { 0 };
    fp_status rc;

    do
        rc = fp_relay_run(arg, 1000, NULL, &err);
    while (rc == FILEPROC_OK);
    ck_status(rc, FILEPROC_ERR_CANCELLED, &err);
    return NULL;
}

static int64_t real_ms(void)
{
    return fpi_monotonic_ms();
}

START_TEST(two_relays_at_once_send_each_event_once)
{
    pthread_t threads[2];
    fp_relay *r[2];
    int64_t end;
    world w;

    world_open(&w, NULL);
    for (int i = 0; i < 2; i++) {
        r[i] = open_relay(&w, 7);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_until_stopped, r[i]), 0);
    }
    for (int i = 0; i < 50; i++)
        append_many(&w, 20);
    end = real_ms() + 20000;
    while (unsent(&w) > 0 && real_ms() < end)
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    for (int i = 0; i < 2; i++) {
        fp_relay_stop(r[i]);
        pthread_join(threads[i], NULL);
        fp_relay_free(r[i]);
    }
    ck_assert_uint_eq(sink.count, 1000);
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(sink_seen(sink.ids[i]), 1);
    world_close(&w);
}
END_TEST

START_TEST(waiting_relay_notices_and_stops)
{
    pthread_t thread;
    int64_t began;
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    r = open_relay(&w, 0);
    began = real_ms();
    ck_assert_uint_eq(must_run(r, 100), 0);
    ck_assert_int_ge(real_ms() - began, 99);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_until_stopped, r), 0);
    append_many(&w, 1);
    began = real_ms();
    while (unsent(&w) && real_ms() - began < 5000)
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    ck_assert_int_lt(real_ms() - began, 1000);
    began = real_ms();
    fp_relay_stop(r);
    pthread_join(thread, NULL);
    ck_assert_int_lt(real_ms() - began, 500);
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

START_TEST(event_committed_late_is_not_passed_over)
{
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    r = open_relay(&w, 0);
    append_many(&w, 3);
    ck_assert_uint_eq(must_run(r, 0), 3);
    /* An id from before, as a transaction has that took long. */
    must_sql(w.db, "INSERT INTO outbox (id, type, subject, data, created_at)"
                   " VALUES ('00000000-0000-7000-8000-000000000000', 'late', 's', '{}', 1)");
    ck_assert_uint_eq(must_run(r, 0), 1);
    ck_assert_str_eq(sink.types[3], "late");
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

START_TEST(large_events_go_in_smaller_batches)
{
    char sql[400];
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    r = open_relay(&w, 100);
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8)"
             " INSERT INTO outbox (id, type, subject, data, created_at) SELECT 'id' || i,"
             " 'large', 's', '\"' || %s || '\"', 1 FROM n",
             fresh_database_is_postgresql(w.db) ? "repeat('0', 400000)" : "hex(zeroblob(200000))");
    must_sql(w.db, sql);
    ck_assert_uint_eq(must_run(r, 0), 3);
    ck_assert_uint_eq(must_run(r, 0), 3);
    ck_assert_uint_eq(must_run(r, 0), 2);
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

static fp_status prune(fp_tx *tx, void *user_data, fp_error *err)
{
    const world *w = user_data;

    return fpi_outbox_prune(tx, w->now - 24 * 3600 * 1000, err);
}

static int64_t left_after_prune(world *w, int64_t days)
{
    fp_error err = { 0 };

    w->now += days * 24 * 3600 * 1000;
    ck_status(fp_database_transact(w->db, 0, prune, w, &err), FILEPROC_OK, &err);
    return sql_number(w->db, "SELECT COUNT(*) FROM outbox");
}

START_TEST(unsent_events_wait_for_a_relay_that_was_seen)
{
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    append_many(&w, 4);
    ck_assert_int_eq(left_after_prune(&w, 2), 0); /* nobody ever wanted them */
    r = open_relay(&w, 2);
    append_many(&w, 4);
    ck_assert_uint_eq(must_run(r, 0), 2);
    ck_assert_int_eq(left_after_prune(&w, 2), 2); /* the sent ones are gone */
    for (int i = 0; i < 10; i++) { /* the broker is away for long, the relay is not */
        sink.fail_after = 0;
        ck_assert_int_eq(fp_relay_run(r, 0, NULL, NULL), FILEPROC_ERR_BUSY);
        ck_assert_int_eq(left_after_prune(&w, 2), 2);
    }
    fp_relay_free(r);
    ck_assert_int_eq(left_after_prune(&w, 4), 2);
    ck_assert_int_eq(left_after_prune(&w, 2), 0);
    world_close(&w);
}
END_TEST

START_TEST(idle_relay_says_now_and_then_that_it_is_about)
{
    fp_relay *r;
    world w;

    world_open(&w, NULL);
    r = open_relay(&w, 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT seen_at FROM relays"), w.now);
    w.now += 1800 * 1000;
    ck_assert_uint_eq(must_run(r, 0), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT seen_at FROM relays"), w.now - 1800 * 1000);
    w.now += 1800 * 1000;
    ck_assert_uint_eq(must_run(r, 0), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT seen_at FROM relays"), w.now);
    fp_relay_free(r);
    world_close(&w);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    fp_relay_options o = FILEPROC_RELAY_OPTIONS_INIT;
    fp_queue *deaf = NULL;
    fp_relay *r = NULL;
    fp_error err = { 0 };
    world w;

    world_open(&w, NULL);
    ck_status(fp_relay_open(w.ctx, NULL, &r, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_INVALID, &err);
    o.database = w.db;
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_INVALID, &err);
    o.queue = w.q;
    o.batch = 1001;
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_INVALID, &err);
    o.batch = 0;
    o.source = "";
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_INVALID, &err);
    o.source = "a b";
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_INVALID, &err);
    o.source = NULL;
    ck_status(fp_queue_open(w.ctx, "deaf:", NULL, &deaf, &err), FILEPROC_OK, &err);
    o.queue = deaf;
    ck_status(fp_relay_open(w.ctx, &o, &r, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_assert_ptr_null(r);
    ck_status(fp_relay_run(NULL, 0, NULL, &err), FILEPROC_ERR_INVALID, &err);
    fp_relay_stop(NULL);
    fp_relay_free(NULL);
    fp_queue_free(deaf);
    world_close(&w);
}
END_TEST

START_TEST(open_and_run_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_relay_options o = FILEPROC_RELAY_OPTIONS_INIT;
        fp_relay *r = NULL;
        fp_error err = { 0 };
        fp_status rc;
        world w;

        fault_disarm(&f);
        world_open(&w, &f.allocator);
        append_many(&w, 3);
        o.database = w.db;
        o.queue = w.q;
        fault_arm(&f);
        rc = fp_relay_open(w.ctx, &o, &r, &err);
        ck_assert_int_eq(r != NULL, rc == FILEPROC_OK);
        if (rc == FILEPROC_OK)
            rc = fp_relay_run(r, 0, NULL, &err);
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert_uint_eq(sink.count, 3);
        fp_relay_free(r);
        world_close(&w);
    }
}
END_TEST

RUN_TESTS("relay", events_are_sent_once_and_in_order, what_the_broker_did_not_take_is_sent_again,
          one_relay_sends_and_the_other_stands_by, relay_that_sends_keeps_its_lease,
          relay_that_was_too_slow_gives_way, two_relays_at_once_send_each_event_once,
          waiting_relay_notices_and_stops, event_committed_late_is_not_passed_over,
          large_events_go_in_smaller_batches, unsent_events_wait_for_a_relay_that_was_seen,
          idle_relay_says_now_and_then_that_it_is_about, wrong_options_are_refused,
          open_and_run_survive_every_allocation_failure)
