/* Owns: the tests of queue/queue.c and of the driver database.
 * Must not know: jobs. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fileproc/driver/queue_driver.h>

#include "database/database_private.h"
#include "fault.h"
#include "queue/queue_private.h"
#include "queue_contract.h"
#include "runner.h"
#include "scratch.h"

#define TOPIC "test.topic"

static fp_database *db; /* of the queue that the contract tests; one at a time */

static fp_queue *fresh_database(fp_context *ctx)
{
    fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_error err = { 0 };
    fp_queue *q = NULL;

    ck_status(fp_database_open(ctx, "sqlite::memory:", NULL, &db, &err), FILEPROC_OK, &err);
    o.database = db;
    ck_status(fp_queue_open(ctx, "database:", &o, &q, &err), FILEPROC_OK, &err);
    return q;
}

static void gone_database(fp_queue *q)
{
    fp_queue_free(q);
    fp_database_free(db);
}

static const queue_contract drivers[] = { { fresh_database, gone_database } };

/* Two handles on one database file, as two processes would have, and a queue of the first. */
typedef struct pair {
    fp_context *ctx;
    fp_database *ours, *theirs;
    fp_queue *q;
    char folder[64];
} pair;

static void pair_open(pair *p, uint32_t poll_interval_ms)
{
    fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_error err = { 0 };
    char uri[128];

    scratch_make(p->folder);
    snprintf(uri, sizeof(uri), "sqlite://%s/file.db", p->folder);
    ck_status(fp_context_new(NULL, &p->ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(p->ctx, uri, NULL, &p->ours, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(p->ctx, uri, NULL, &p->theirs, &err), FILEPROC_OK, &err);
    must_sql(p->theirs, "CREATE TABLE t (n BIGINT)");
    o.database = p->ours;
    o.poll_interval_ms = poll_interval_ms;
    ck_status(fp_queue_open(p->ctx, "database:", &o, &p->q, &err), FILEPROC_OK, &err);
}

static void pair_close(pair *p)
{
    fp_queue_free(p->q);
    fp_database_free(p->ours);
    fp_database_free(p->theirs);
    fp_context_free(p->ctx);
    scratch_remove(p->folder);
}

/* How long a receiver waited, at the most timeout_ms, for nothing. */
static int64_t wait_in_vain(fp_queue *q, uint32_t timeout_ms)
{
    int64_t began = fpi_monotonic_ms();
    fp_message *msg = NULL;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(q, TOPIC, timeout_ms, &msg, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(msg);
    return fpi_monotonic_ms() - began;
}

static void *insert_soon(void *arg)
{
    nanosleep(&(struct timespec){ 0, 100 * 1000000 }, NULL);
    must_sql(arg, "INSERT INTO t (n) VALUES (1)");
    return NULL;
}

START_TEST(commit_of_another_process_is_noticed)
{
    pthread_t thread;
    int64_t took;
    pair p;

    pair_open(&p, 50);
    ck_assert_int_ge(wait_in_vain(p.q, 200), 199); /* nothing happens */
    ck_assert_int_eq(pthread_create(&thread, NULL, insert_soon, p.theirs), 0);
    took = wait_in_vain(p.q, 5000);
    pthread_join(thread, NULL);
    ck_assert_int_ge(took, 90);
    ck_assert_int_lt(took, 1500);
    pair_close(&p);
}
END_TEST

START_TEST(commit_before_the_wait_is_noticed_too)
{
    pair p;

    pair_open(&p, 50);
    must_sql(p.theirs, "INSERT INTO t (n) VALUES (1)");
    ck_assert_int_lt(wait_in_vain(p.q, 5000), 1500);
    /* And when another receiver noticed it, which may have been between this one's look and its wait. */
    ck_assert_int_lt(wait_in_vain(p.q, 5000), 1500);
    pair_close(&p);
}
END_TEST

START_TEST(old_commits_don_t_disturb)
{
    pair p;

    pair_open(&p, 20);
    must_sql(p.theirs, "INSERT INTO t (n) VALUES (1)");
    wait_in_vain(p.q, 500);
    wait_in_vain(p.q, 500);
    nanosleep(&(struct timespec){ 0, 50 * 1000000 }, NULL);
    ck_assert_int_ge(wait_in_vain(p.q, 300), 299);
    pair_close(&p);
}
END_TEST

START_TEST(unheard_doorbells_take_bounded_memory)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    fp_message *msg;
    long before;
    int heard = 0;
    fp_queue *q;
    fault f;

    fault_init(&f);
    o.allocator = &f.allocator;
    ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
    q = fresh_database(ctx);
    before = f.live;
    for (int i = 0; i < 20000; i++) {
        char topic[32];

        snprintf(topic, sizeof(topic), "topic.%d", i % 5000);
        ck_status(fp_queue_send(q, i % 2 ? TOPIC : topic, "x", 1, &err), FILEPROC_OK, &err);
    }
    ck_assert_int_le(f.live - before, 1024);
    do {
        msg = NULL;
        ck_status(fp_queue_receive(q, TOPIC, 0, &msg, &err), FILEPROC_OK, &err);
        if (msg)
            ck_status(fp_message_ack(msg, &err), FILEPROC_OK, &err);
        heard += msg != NULL;
        fp_message_free(msg);
    } while (msg);
    ck_assert_int_eq(heard, 512); /* the newer half is still there */
    gone_database(q);
    fp_context_free(ctx);
    ck_assert_int_eq(f.live, 0);
}
END_TEST

START_TEST(wrong_queues_are_refused)
{
    fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_context *ctx = NULL;
    fp_queue *q = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(fp_queue_open(ctx, "database:", NULL, &q, NULL), FILEPROC_ERR_INVALID);
    ck_status(fp_database_open(ctx, "sqlite::memory:", NULL, &o.database, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(fp_queue_open(ctx, "database:x", &o, &q, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_open(ctx, "nothing", &o, &q, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_open(ctx, "pigeon://x", &o, &q, NULL), FILEPROC_ERR_NOTSUP);
    ck_assert_int_eq(fp_queue_open(NULL, "database:", &o, &q, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_open(ctx, NULL, &o, &q, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_queue_open(ctx, "database:", &o, NULL, NULL), FILEPROC_ERR_INVALID);
    o.struct_size = 1;
    ck_assert_int_eq(fp_queue_open(ctx, "database:", &o, &q, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(q);
    fp_database_free(o.database);
    fp_context_free(ctx);
}
END_TEST

static fp_status pigeon_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                             void **self, fp_error *err)
{
    (void)ctx, (void)opts, (void)err;
    ck_assert_str_eq(uri, "pigeon://roof");
    *self = (void *)uri;
    return FILEPROC_OK;
}

static void pigeon_close(void *self)
{
    (void)self;
}

START_TEST(driver_of_the_embedder_is_used)
{
    static fp_queue_driver pigeon;
    fp_context *ctx = NULL;
    fp_queue *q = NULL;
    fp_error err = { 0 };

    pigeon = fpi_queue_database_driver;
    pigeon.scheme = "pigeon";
    pigeon.open = pigeon_open;
    pigeon.close = pigeon_close;
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_queue_driver(ctx, &pigeon, &err), FILEPROC_OK, &err);
    ck_status(fp_queue_open(ctx, "pigeon://roof", NULL, &q, &err), FILEPROC_OK, &err);
    fp_queue_free(q);
    fp_context_free(ctx);
}
END_TEST

START_TEST(open_send_and_receive_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options co = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_message *msg = NULL;
        fp_queue *q = NULL;
        fp_error err = { 0 };
        bool sent = false;
        fp_status rc;

        co.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&co, &ctx, &err), FILEPROC_OK, &err);
        ck_status(fp_database_open(ctx, "sqlite::memory:", NULL, &o.database, &err), FILEPROC_OK,
                  &err);
        fault_arm(&f);
        rc = fp_queue_open(ctx, "database:", &o, &q, &err);
        if (rc == FILEPROC_OK)
            rc = fp_queue_send(q, TOPIC, "x", 1, &err);
        sent = rc == FILEPROC_OK;
        if (rc == FILEPROC_OK)
            rc = fp_queue_receive(q, TOPIC, 0, &msg, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(msg != NULL, rc == FILEPROC_OK);
        if (sent && !msg) /* it is not lost with the handle that could not be made */
            ck_status(fp_queue_receive(q, TOPIC, 0, &msg, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(msg != NULL, sent);
        fp_message_free(msg);
        fp_queue_free(q);
        fp_database_free(o.database);
        fp_context_free(ctx);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        commit_of_another_process_is_noticed,
        commit_before_the_wait_is_noticed_too,
        old_commits_don_t_disturb,
        unheard_doorbells_take_bounded_memory,
        wrong_queues_are_refused,
        driver_of_the_embedder_is_used,
        open_send_and_receive_survive_every_allocation_failure,
    };
    Suite *suite = suite_of("queue", tests, sizeof(tests) / sizeof(*tests));

    queue_contract_add(suite, drivers, sizeof(drivers) / sizeof(*drivers));
    return run_suite(suite);
}
