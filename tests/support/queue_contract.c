/* Owns: the promises of fileproc/queue.h as tests, to be run against every driver.
 * Must not know: any driver. */
#include "queue_contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

#include "queue/queue_private.h"
#include "scratch.h"

#define TOPIC "test.topic"
#define THREADS 4
#define MESSAGES 200
/* Longer than a broker needs to bring a message that is there. */
#define SOON_MS 2000

static const queue_contract *drivers;

typedef struct world {
    const queue_contract *driver;
    fp_context *ctx;
    fp_queue *q;
} world;

static void world_open(world *w, int index)
{
    fp_error err = { 0 };

    *w = (world){ .driver = &drivers[index] };
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    w->q = w->driver->fresh(w->ctx);
}

static void world_close(world *w)
{
    w->driver->gone(w->q);
    fp_context_free(w->ctx);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void must_send(fp_queue *q, const char *topic, const char *body)
{
    fp_error err = { 0 };

    ck_status(fp_queue_send(q, topic, body, strlen(body), &err), FILEPROC_OK, &err);
}

/* A message of the topic within SOON_MS, whatever wakes the receiver in between. */
static fp_message *must_receive(fp_queue *q, const char *topic)
{
    int64_t end = now_ms() + SOON_MS;
    fp_message *msg = NULL;

    while (!msg && now_ms() < end) {
        fp_error err = { 0 };

        ck_status(fp_queue_receive(q, topic, 100, &msg, &err), FILEPROC_OK, &err);
    }
    ck_assert_ptr_nonnull(msg);
    return msg;
}

static void must_hear(fp_queue *q, const char *topic, const char *body)
{
    fp_message *msg = must_receive(q, topic);
    fp_error err = { 0 };
    size_t size;

    ck_assert_str_eq(fp_message_body(msg, &size), body);
    ck_assert_uint_eq(size, strlen(body));
    ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    fp_message_free(msg);
}

static void must_be_silent(fp_queue *q, const char *topic, uint32_t timeout_ms)
{
    fp_message *msg = NULL;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(q, topic, timeout_ms, &msg, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(msg);
}

START_TEST(messages_arrive_once_in_their_topic)
{
    world w;

    world_open(&w, _i);
    must_send(w.q, TOPIC, "one");
    must_send(w.q, "test.other", "elsewhere");
    must_send(w.q, TOPIC, "");
    must_hear(w.q, TOPIC, "one");
    must_hear(w.q, TOPIC, "");
    must_be_silent(w.q, TOPIC, 0);
    must_hear(w.q, "test.other", "elsewhere");
    must_be_silent(w.q, "test.other", 50);
    world_close(&w);
}
END_TEST

/* What somebody has in hand is his. */
START_TEST(discarded_messages_are_gone_and_others_stay)
{
    fp_message *held;
    size_t gone = 0;
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    for (int i = 0; i < 6; i++)
        must_send(w.q, TOPIC, i == 0 ? "held" : i == 5 ? "last" : "gone");
    must_send(w.q, "test.other", "elsewhere");
    held = must_receive(w.q, TOPIC);
    for (int i = 0; gone < 4 && i < 1000; i++) {
        gone += fpi_queue_discard(w.q, TOPIC, 4 - gone);
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL); /* those of a broker are on their way */
    }
    ck_assert_uint_eq(gone, 4);
    ck_status(fp_message_ack(held, &err), FILEPROC_OK, &err);
    fp_message_free(held);
    must_hear(w.q, TOPIC, "last");
    must_be_silent(w.q, TOPIC, 50);
    must_send(w.q, TOPIC, "again");
    for (int i = 0; gone < 5 && i < 1000; i++) {
        gone += fpi_queue_discard(w.q, TOPIC, 100);
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    }
    ck_assert_uint_eq(gone, 5);
    must_be_silent(w.q, TOPIC, 50);
    must_hear(w.q, "test.other", "elsewhere");
    ck_assert_uint_eq(fpi_queue_discard(w.q, "test.nobody", 4), 0);
    world_close(&w);
}
END_TEST

START_TEST(any_bytes_up_to_the_limit_pass)
{
    unsigned char body[FILEPROC_QUEUE_BODY_MAX + 1];
    fp_message *msg;
    fp_error err = { 0 };
    size_t size;
    world w;

    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (unsigned char)(i * 7);
    ck_status(fp_queue_send(w.q, TOPIC, body, sizeof(body), &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_queue_send(w.q, TOPIC, body, sizeof(body) - 1, &err), FILEPROC_OK, &err);
    msg = must_receive(w.q, TOPIC);
    ck_assert_mem_eq(fp_message_body(msg, &size), body, sizeof(body) - 1);
    ck_assert_uint_eq(size, sizeof(body) - 1);
    ck_assert_int_eq(fp_message_body(msg, NULL)[size], 0);
    ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    fp_message_free(msg);
    world_close(&w);
}
END_TEST

START_TEST(unacknowledged_message_comes_again)
{
    world w;

    world_open(&w, _i);
    must_send(w.q, TOPIC, "again");
    for (int i = 0; i < 3; i++) {
        fp_message *msg = must_receive(w.q, TOPIC);

        ck_assert_str_eq(fp_message_body(msg, NULL), "again");
        fp_message_free(msg);
    }
    must_hear(w.q, TOPIC, "again");
    must_be_silent(w.q, TOPIC, 50);
    world_close(&w);
}
END_TEST

START_TEST(waiting_ends_with_its_time)
{
    int64_t began, took;
    world w;

    world_open(&w, _i);
    began = now_ms();
    must_be_silent(w.q, TOPIC, 300);
    took = now_ms() - began;
    ck_assert_int_ge(took, 299);
    ck_assert_int_lt(took, 300 + SOON_MS);
    began = now_ms();
    must_be_silent(w.q, TOPIC, 0);
    ck_assert_int_lt(now_ms() - began, 200);
    world_close(&w);
}
END_TEST

/* A receiver on a thread of its own. */
typedef struct listener {
    fp_queue *q;
    uint32_t timeout_ms;
    atomic_int *heard;
    int64_t returned_ms;
} listener;

static void *hear_one(void *arg)
{
    listener *l = arg;
    fp_message *msg = NULL;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(l->q, TOPIC, l->timeout_ms, &msg, &err), FILEPROC_OK, &err);
    l->returned_ms = now_ms();
    if (msg) {
        atomic_fetch_add(l->heard, 1);
        ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
    }
    fp_message_free(msg);
    return NULL;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* On a busy machine now and then not. */
START_TEST(waiting_too_briefly_for_a_connection_is_no_failure)
{
    world w;

    world_open(&w, _i);
    must_be_silent(w.q, TOPIC, 1);
    must_be_silent(w.q, "test.other", 1);
    world_close(&w);
}
END_TEST

START_TEST(waiting_receiver_hears_at_once)
{
    atomic_int heard = 0;
    int at_once = 0;
    world w;

    world_open(&w, _i);
    for (int i = 0; i < 5; i++) {
        listener l = { w.q, 10000, &heard, 0 };
        pthread_t thread;
        int64_t sent;

        ck_assert_int_eq(pthread_create(&thread, NULL, hear_one, &l), 0);
        pause_ms(100);
        sent = now_ms();
        must_send(w.q, TOPIC, "now");
        pthread_join(thread, NULL);
        at_once += l.returned_ms - sent < 100;
    }
    ck_assert_int_eq(heard, 5);
    ck_assert_int_ge(at_once, 3);
    world_close(&w);
}
END_TEST

START_TEST(wake_ends_all_waiting_and_stays)
{
    pthread_t threads[THREADS];
    listener l[THREADS];
    atomic_int heard = 0;
    int64_t woken;
    world w;

    world_open(&w, _i);
    for (int i = 0; i < THREADS; i++) {
        l[i] = (listener){ w.q, 10000, &heard, 0 };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hear_one, &l[i]), 0);
    }
    pause_ms(100);
    woken = now_ms();
    fp_queue_wake(w.q);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_lt(l[i].returned_ms - woken, 500);
    }
    ck_assert_int_eq(heard, 0);
    woken = now_ms();
    must_be_silent(w.q, TOPIC, 10000);
    must_be_silent(w.q, TOPIC, 10000);
    ck_assert_int_lt(now_ms() - woken, 500);
    world_close(&w);
}
END_TEST

/* Every message is heard by exactly one of several receivers. */
typedef struct crowd {
    fp_queue *q;
    atomic_int *seen; /* one per message */
    atomic_int *left;
} crowd;

static void *hear_many(void *arg)
{
    const crowd *c = arg;

    while (atomic_load(c->left) > 0) {
        fp_message *msg = NULL;
        fp_error err = { 0 };
        int number = -1;

        ck_status(fp_queue_receive(c->q, TOPIC, 50, &msg, &err), FILEPROC_OK, &err);
        if (!msg)
            continue;
        ck_assert_int_eq(sscanf(fp_message_body(msg, NULL), "%d", &number), 1);
        atomic_fetch_add(&c->seen[number], 1);
        atomic_fetch_sub(c->left, 1);
        ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
        fp_message_free(msg);
    }
    return NULL;
}

START_TEST(each_message_has_one_receiver)
{
    static atomic_int seen[MESSAGES];
    atomic_int left = MESSAGES;
    pthread_t threads[THREADS];
    crowd c;
    world w;

    world_open(&w, _i);
    memset(seen, 0, sizeof(seen));
    c = (crowd){ w.q, seen, &left };
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hear_many, &c), 0);
    for (int i = 0; i < MESSAGES; i++) {
        char body[16];

        snprintf(body, sizeof(body), "%d", i);
        must_send(w.q, TOPIC, body);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < MESSAGES; i++)
        ck_assert_int_eq(seen[i], 1);
    world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_change_nothing)
{
    static const char *const topics[] = { "", "a b", "a/b", "\xc3\xa4", "a\n" };
    fp_message *msg = NULL;
    char longest[102];
    world w;

    world_open(&w, _i);
    memset(longest, 'x', sizeof(longest));
    longest[101] = '\0';
    ck_assert_int_eq(fp_queue_send(w.q, longest, "", 0, NULL), FILEPROC_ERR_INVALID);
    longest[100] = '\0';
    must_send(w.q, longest, "fits");
    must_hear(w.q, longest, "fits");
    for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
        ck_assert_int_eq(fp_queue_send(w.q, topics[i], "x", 1, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_queue_receive(w.q, topics[i], 0, &msg, NULL), FILEPROC_ERR_INVALID);
    }
    ck_assert_int_eq(fp_queue_send(NULL, TOPIC, "x", 1, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_send(w.q, NULL, "x", 1, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_send(w.q, TOPIC, NULL, 1, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_receive(NULL, TOPIC, 0, &msg, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_receive(w.q, NULL, 0, &msg, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_receive(w.q, TOPIC, 0, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_message_ack(NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_message_body(NULL, NULL), "");
    fp_message_free(NULL);
    fp_queue_wake(NULL);
    fp_queue_free(NULL);
    ck_assert_ptr_null(msg);
    must_be_silent(w.q, TOPIC, 0);
    world_close(&w);
}
END_TEST

START_TEST(ping_says_that_it_works)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    must_send(w.q, TOPIC, "between");
    must_hear(w.q, TOPIC, "between");
    ck_status(fp_queue_ping(w.q, &err), FILEPROC_OK, &err);
    must_be_silent(w.q, TOPIC, 0);
    ck_status(fp_queue_ping(NULL, &err), FILEPROC_ERR_INVALID, &err);
    world_close(&w);
}
END_TEST

void queue_contract_add(Suite *suite, const queue_contract *list, int count)
{
    const TTest *const tests[] = {
        messages_arrive_once_in_their_topic, discarded_messages_are_gone_and_others_stay,
        any_bytes_up_to_the_limit_pass,      unacknowledged_message_comes_again,
        waiting_ends_with_its_time,          waiting_too_briefly_for_a_connection_is_no_failure,
        waiting_receiver_hears_at_once,      wake_ends_all_waiting_and_stays,
        each_message_has_one_receiver,       ping_says_that_it_works,
        wrong_arguments_change_nothing,
    };
    TCase *tcase = tcase_create("queue contract");

    drivers = list;
    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(tcase, tests[i], 0, count);
    suite_add_tcase(suite, tcase);
}
