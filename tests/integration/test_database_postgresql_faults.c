/* Owns: what the driver does when connections break: before, in and after COMMIT. A proxy breaks them at the moment wanted. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "database/database_postgresql.h"
#include "postgresql_schema.h"
#include "runner.h"
#include "scratch.h"
#include "tcp_proxy.h"

typedef struct world {
    fp_context *ctx;
    fp_database *db; /* through the proxy */
    tcp_proxy *proxy;
    char schema[128];
    char uri[256];
    int runs; /* of the body */
} world;

static void through_proxy(world *w, const char *more)
{
    const char *at = strchr(w->schema, '@'), *port = strchr(at, ':') + 1;
    const char *slash = strchr(port, '/');

    w->proxy = tcp_proxy_start((int)strtol(port, NULL, 10));
    snprintf(w->uri, sizeof(w->uri), "%.*s@127.0.0.1:%d%s%s", (int)(at - w->schema), w->schema,
             tcp_proxy_port(w->proxy), slash, more);
}

static void world_open(world *w, const char *more)
{
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (world){ .runs = 0 };
    o.busy_timeout_ms = 10000;
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    postgresql_schema_make(w->schema);
    through_proxy(w, more);
    ck_status(fp_database_open(w->ctx, w->uri, &o, &w->db, &err), FILEPROC_OK, &err);
    must_sql(w->db, "CREATE TABLE t (id BIGINT)");
}

static void world_close(world *w)
{
    fp_database_free(w->db);
    tcp_proxy_stop(w->proxy);
    postgresql_schema_remove(w->schema);
    fp_context_free(w->ctx);
}

static fp_status insert_body(fp_tx *tx, void *user_data, fp_error *err)
{
    world *w = user_data;

    w->runs++;
    return fp_tx_exec(tx, "INSERT INTO t (id) VALUES (1)", NULL, 0, NULL, err);
}

static void insert_once(world *w)
{
    fp_error err = { 0 };

    w->runs = 0;
    ck_status(fp_database_transact(w->db, 0, insert_body, w, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(err.code, 0);
    ck_assert_int_eq(postgresql_sql(w->schema, "SELECT COUNT(*) FROM t"), 1);
    ck_assert_int_eq(tcp_proxy_hits(w->proxy), 1);
}

START_TEST(connection_cut_before_commit_is_not_noticed)
{
    static const char *const needles[] = { "BEGIN", "INSERT" };
    static const int ways[] = { TCP_PROXY_CUT_BEFORE, TCP_PROXY_CUT_AFTER };

    for (int i = 0; i < 4; i++) {
        world w;

        world_open(&w, "");
        tcp_proxy_when(w.proxy, needles[i / 2], ways[i % 2]);
        insert_once(&w);
        ck_assert_int_eq(w.runs, 2);
        world_close(&w);
    }
}
END_TEST

START_TEST(commit_that_did_not_arrive_is_made_again)
{
    world w;

    world_open(&w, "");
    tcp_proxy_when(w.proxy, "COMMIT", TCP_PROXY_CUT_BEFORE);
    insert_once(&w);
    ck_assert_int_eq(w.runs, 2);
    world_close(&w);
}
END_TEST

START_TEST(commit_whose_answer_got_lost_is_not_made_again)
{
    world w;

    world_open(&w, "");
    tcp_proxy_when(w.proxy, "COMMIT", TCP_PROXY_CUT_AFTER);
    insert_once(&w);
    ck_assert_int_eq(w.runs, 1);
    world_close(&w);
}
END_TEST

/* The server still has the transaction, and waits for a COMMIT that never comes; it is ended before it is done again. */
START_TEST(commit_that_hangs_is_ended_and_made_again)
{
    int64_t before = fpi_monotonic_ms();
    world w;

    world_open(&w, "%20-cstatement_timeout%3D500");
    tcp_proxy_when(w.proxy, "COMMIT", TCP_PROXY_FREEZE);
    insert_once(&w);
    ck_assert_int_eq(w.runs, 2);
    ck_assert_int_lt(fpi_monotonic_ms() - before, 9000);
    must_sql(w.db, "INSERT INTO t (id) VALUES (2)");
    ck_assert_int_eq(
        postgresql_sql(w.schema,
                       "SELECT COUNT(*) FROM pg_stat_activity WHERE state LIKE 'idle in%%'"
                       " AND query LIKE 'INSERT INTO t%%VALUES (1)'"),
        0);
    world_close(&w);
}
END_TEST

static fp_status read_body(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)user_data, (void)err;
    ck_assert_int_eq(tx_number(tx, "SELECT COUNT(*) FROM t"), 0);
    return FILEPROC_OK;
}

START_TEST(end_of_a_read_may_get_lost)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "&pool_size=1");
    tcp_proxy_when(w.proxy, "COMMIT", TCP_PROXY_CUT_BEFORE);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, read_body, NULL, &err), FILEPROC_OK,
              &err);
    insert_once(&w);
    world_close(&w);
}
END_TEST

typedef struct terminated {
    world *w;
    int kill_at; /* statement */
} terminated;

static void kill_backends(const world *w)
{
    (void)w;
    postgresql_sql(postgresql_server(),
                   "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                   " WHERE application_name = 'to be killed'");
}

static fp_status terminated_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const terminated *t = user_data;
    fp_status rc = FILEPROC_OK;

    t->w->runs++;
    for (int i = 0; rc == FILEPROC_OK && i < 3; i++) {
        if (t->w->runs == 1 && i == t->kill_at)
            kill_backends(t->w);
        rc = fp_tx_exec(tx, "INSERT INTO t (id) VALUES (1)", NULL, 0, NULL, err);
    }
    if (rc == FILEPROC_OK && t->w->runs == 1 && t->kill_at == 3)
        kill_backends(t->w);
    return rc;
}

START_TEST(backend_terminated_at_any_statement_is_not_noticed)
{
    for (int i = 0; i <= 3; i++) {
        fp_error err = { 0 };
        terminated t;
        world w;

        world_open(&w, "&application_name=to%20be%20killed");
        t = (terminated){ &w, i };
        ck_status(fp_database_transact(w.db, 0, terminated_body, &t, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(postgresql_sql(w.schema, "SELECT COUNT(*) FROM t"), 3);
        ck_assert_int_eq(w.runs, i == 0 ? 1 + (w.runs > 1) : 2);
        kill_backends(&w); /* idle ones */
        must_sql(w.db, "INSERT INTO t (id) VALUES (2)");
        world_close(&w);
    }
}
END_TEST

/* COMMIT runs a trigger of its own that takes a second: within that the backend is terminated. */
static void *kill_in_commit(void *arg)
{
    for (;;) {
        if (postgresql_sql(
                postgresql_server(),
                "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE application_name = 'killed in commit' AND wait_event = 'PgSleep'"))
            return NULL;
        usleep(10000);
        (void)arg;
    }
}

START_TEST(backend_terminated_in_commit_has_not_committed)
{
    fp_error err = { 0 };
    pthread_t thread;
    world w;

    world_open(&w, "&application_name=killed%20in%20commit");
    must_sql(w.db, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$");
    must_sql(w.db, "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
                   " FOR EACH ROW EXECUTE FUNCTION slow()");
    ck_assert_int_eq(pthread_create(&thread, NULL, kill_in_commit, NULL), 0);
    ck_status(fp_database_transact(w.db, 0, insert_body, &w, &err), FILEPROC_OK, &err);
    pthread_join(thread, NULL);
    ck_assert_int_eq(w.runs, 2);
    ck_assert_int_eq(postgresql_sql(w.schema, "SELECT COUNT(*) FROM t"), 1);
    world_close(&w);
}
END_TEST

START_TEST(fate_after_a_crash_is_not_guessed)
{
    fpi_postgresql_trace trace = { 0 };
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    fpi_postgresql_pool *pool = NULL;
    fpi_postgresql_connection *conn = NULL;
    fp_error err = { 0 };
    int64_t soon;
    world w;

    world_open(&w, "");
    o.max_readers = 2;
    o.busy_timeout_ms = 2000;
    ck_status(fpi_postgresql_pool_new(w.ctx, w.uri, &o, &pool, &err), FILEPROC_OK, &err);
    soon = fpi_monotonic_ms() + 5000;
    ck_status(fpi_postgresql_pool_take(pool, soon, &conn, &err), FILEPROC_OK, &err);
    memcpy(trace.incarnation, conn->incarnation, sizeof(trace.incarnation));
    ck_assert_int_ne(trace.incarnation[0], 0);
    fpi_postgresql_pool_give(pool, conn);
    trace.xid = (uint64_t)postgresql_sql(w.schema, "SELECT pg_current_xact_id()::text::bigint");
    ck_assert_int_eq(fpi_postgresql_fate_of(pool, &trace, soon), FPI_POSTGRESQL_COMMITTED);
    trace.incarnation[0]++; /* another life of the server */
    ck_assert_int_eq(fpi_postgresql_fate_of(pool, &trace, soon), FPI_POSTGRESQL_UNKNOWN);
    trace.xid += 1000000; /* a number that went down with the server */
    ck_assert_int_eq(fpi_postgresql_fate_of(pool, &trace, soon), FPI_POSTGRESQL_NOT_COMMITTED);
    fpi_postgresql_pool_free(pool);
    world_close(&w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        connection_cut_before_commit_is_not_noticed,
        commit_that_did_not_arrive_is_made_again,
        commit_whose_answer_got_lost_is_not_made_again,
        commit_that_hangs_is_ended_and_made_again,
        end_of_a_read_may_get_lost,
        backend_terminated_at_any_statement_is_not_noticed,
        backend_terminated_in_commit_has_not_committed,
        fate_after_a_crash_is_not_guessed,
    };

    if (!postgresql_server())
        return skip_suite("no PostgreSQL: FILEPROC_TEST_POSTGRESQL_URI is not set");
    return run_suite(suite_of("database_postgresql_faults", tests, sizeof(tests) / sizeof(*tests)));
}
