/* Owns: the contract of fileproc/database.h, run against PostgreSQL, and what else the driver promises while all goes well. */
#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fileproc/queue.h>

#include "database/database_postgresql.h"
#include "database_contract.h"
#include "fault.h"
#include "postgresql_schema.h"
#include "runner.h"
#include "scratch.h"

static const database_contract drivers[] = { { postgresql_schema_make, postgresql_schema_remove } };

typedef struct world {
    fp_context *ctx;
    fp_database *db;
    char schema[128]; /* its URI */
    char uri[256];    /* ... with more */
} world;

static uint32_t patience_ms = 2000;

/* more is added to the URI. */
static void world_open(world *w, const char *more)
{
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    fp_error err = { 0 };

    o.busy_timeout_ms = patience_ms;
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    postgresql_schema_make(w->schema);
    snprintf(w->uri, sizeof(w->uri), "%s%s", w->schema, more);
    ck_status(fp_database_open(w->ctx, w->uri, &o, &w->db, &err), FILEPROC_OK, &err);
    must_sql(w->db, "CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT)");
}

static void world_close(world *w)
{
    fp_database_free(w->db);
    postgresql_schema_remove(w->schema);
    fp_context_free(w->ctx);
}

static fp_status try_open(const char *uri, fp_error *err)
{
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    fp_status rc;

    ck_status(fp_context_new(NULL, &ctx, err), FILEPROC_OK, err);
    rc = fp_database_open(ctx, uri, NULL, &db, err);
    fp_database_free(db);
    fp_context_free(ctx);
    return rc;
}

/* The server's URI with another password or database. */
static void altered_uri(char uri[256], const char *password, const char *name)
{
    const char *server = postgresql_server();
    const char *user = strstr(server, "://") + 3, *colon = strchr(user, ':');
    const char *at = strchr(server, '@'), *slash = strchr(at, '/');

    snprintf(uri, 256, "postgresql://%.*s:%.*s%.*s/%s", (int)(colon - user), user,
             password ? (int)strlen(password) : (int)(at - colon - 1),
             password ? password : colon + 1, (int)(slash - at), at, name ? name : slash + 1);
}

START_TEST(wrong_password_is_told_without_it)
{
    fp_error err = { 0 };
    char uri[256];

    altered_uri(uri, "hunter2%21", NULL);
    ck_status(try_open(uri, &err), FILEPROC_ERR_AUTH, &err);
    ck_assert_str_eq(err.domain, "pq");
    ck_assert_int_eq(err.cause, fpi_postgresql_cause("28P01"));
    ck_assert_ptr_nonnull(strstr(err.message, "28P01"));
    ck_assert_ptr_null(strstr(err.message, "hunter2"));
    ck_assert_uint_eq(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
}
END_TEST

START_TEST(missing_database_is_told_at_once)
{
    fp_error err = { 0 };
    char uri[256];

    altered_uri(uri, NULL, "nowhere");
    ck_status(try_open(uri, &err), FILEPROC_ERR_IO, &err);
    ck_assert_int_eq(err.cause, fpi_postgresql_cause("3D000"));
}
END_TEST

START_TEST(server_that_is_not_there_is_busy)
{
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    int64_t before = fpi_monotonic_ms();
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    fp_error err = { 0 };

    o.busy_timeout_ms = 300;
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(ctx, "postgresql://u:secret@127.0.0.1:1/x", &o, &db, &err),
              FILEPROC_ERR_BUSY, &err);
    ck_assert_uint_eq(err.flags & FILEPROC_ERROR_RETRYABLE, FILEPROC_ERROR_RETRYABLE);
    ck_assert_ptr_null(strstr(err.message, "secret"));
    ck_assert_int_ge(fpi_monotonic_ms() - before, 300);
    ck_assert_int_lt(fpi_monotonic_ms() - before, 2000);
    fp_context_free(ctx);
}
END_TEST

START_TEST(schemes_of_other_programs_are_understood)
{
    static const char *const schemes[] = { "postgres", "postgresql+asyncpg", "postgres+psycopg2",
                                           "POSTGRESQL" };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        fp_error err = { 0 };
        char uri[256];

        snprintf(uri, sizeof(uri), "%s%s?ssl=prefer&application_name=a%%20test", schemes[i],
                 strstr(postgresql_server(), "://"));
        ck_status(try_open(uri, &err), FILEPROC_OK, &err);
    }
}
END_TEST

static void *migrate_here(void *arg)
{
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    fp_error err = { 0 };
    fp_status rc = fp_context_new(NULL, &ctx, &err);

    if (rc == FILEPROC_OK)
        rc = fp_database_open(ctx, arg, NULL, &db, &err);
    if (rc == FILEPROC_OK)
        rc = fp_database_migrate(db, &err);
    fp_database_free(db);
    fp_context_free(ctx);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.message);
    return rc == FILEPROC_OK ? NULL : arg;
}

START_TEST(many_processes_may_migrate_at_once)
{
    pid_t children[12];
    world w;

    world_open(&w, "&pool_size=1");
    for (size_t i = 0; i < 12; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(migrate_here(w.uri) ? 1 : 0);
    }
    for (size_t i = 0; i < 12; i++) {
        int status = -1;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) - MAX(version) FROM schema_migrations"), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 0);
    world_close(&w);
}
END_TEST

typedef struct holder {
    fp_database *db;
    fp_status rc;
    pthread_barrier_t *in, *out;
} holder;

static fp_status hold(fp_tx *tx, void *user_data, fp_error *err)
{
    const holder *h = user_data;

    (void)err;
    ck_assert_int_eq(tx_number(tx, "SELECT 1"), 1);
    pthread_barrier_wait(h->in);
    pthread_barrier_wait(h->out);
    return FILEPROC_OK;
}

static void *hold_thread(void *arg)
{
    holder *h = arg;

    h->rc = fp_database_transact(h->db, 0, hold, h, NULL);
    return NULL;
}

static fp_status nest(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)tx;
    return run_sql(user_data, "SELECT 1", err);
}

START_TEST(pool_that_is_used_up_is_busy_and_recovers)
{
    pthread_barrier_t in, out;
    pthread_t threads[2];
    holder holders[2];
    fp_error err = { 0 };
    world w;

    world_open(&w, "&pool_size=2");
    pthread_barrier_init(&in, NULL, 3);
    pthread_barrier_init(&out, NULL, 3);
    for (int i = 0; i < 2; i++) {
        holders[i] = (holder){ w.db, 1, &in, &out };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_thread, &holders[i]), 0);
    }
    pthread_barrier_wait(&in);
    ck_status(run_sql(w.db, "SELECT 1", &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "all 2 connections"));
    pthread_barrier_wait(&out);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(holders[i].rc, FILEPROC_OK);
    }
    must_sql(w.db, "SELECT 1");
    pthread_barrier_destroy(&in);
    pthread_barrier_destroy(&out);
    world_close(&w);
}
END_TEST

START_TEST(transaction_inside_another_is_refused)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "");
    ck_status(fp_database_transact(w.db, 0, nest, w.db, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, nest, w.db, &err),
              FILEPROC_ERR_INVALID, &err);
    world_close(&w);
}
END_TEST

/* Two transactions read what the other one writes: run one after the other, one of them would see it. */
typedef struct skew {
    fp_database *db;
    pthread_barrier_t *both_read;
    const char *read, *write;
    uint32_t flags;
    int runs;
    fp_status rc;
} skew;

static fp_status skew_body(fp_tx *tx, void *user_data, fp_error *err)
{
    skew *s = user_data;
    int64_t n = tx_number(tx, s->read);
    const fp_value params[] = { FILEPROC_V_INT(n + 1) };

    if (s->runs++ == 0)
        pthread_barrier_wait(s->both_read);
    return fp_tx_exec(tx, s->write, params, 1, NULL, err);
}

static void *skew_thread(void *arg)
{
    skew *s = arg;

    s->rc = fp_database_transact(s->db, s->flags, skew_body, s, NULL);
    return NULL;
}

static void run_skew(world *w, uint32_t flags, skew s[2])
{
    pthread_barrier_t both_read;
    pthread_t thread;

    pthread_barrier_init(&both_read, NULL, 2);
    must_sql(w->db, "DELETE FROM t");
    must_sql(w->db, "INSERT INTO t (id, n) VALUES ('a', 0), ('b', 0)");
    s[0] = (skew){ w->db,
                   &both_read,
                   "SELECT n FROM t WHERE id = 'a'",
                   "UPDATE t SET n = $1 WHERE id = 'b'",
                   flags,
                   0,
                   1 };
    s[1] = (skew){ w->db,
                   &both_read,
                   "SELECT n FROM t WHERE id = 'b'",
                   "UPDATE t SET n = $1 WHERE id = 'a'",
                   flags,
                   0,
                   1 };
    ck_assert_int_eq(pthread_create(&thread, NULL, skew_thread, &s[0]), 0);
    skew_thread(&s[1]);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&both_read);
    ck_assert_int_eq(s[0].rc, FILEPROC_OK);
    ck_assert_int_eq(s[1].rc, FILEPROC_OK);
}

START_TEST(transactions_run_as_if_one_after_the_other)
{
    skew s[2];
    world w;

    world_open(&w, "");
    run_skew(&w, 0, s);
    ck_assert_int_eq(sql_number(w.db, "SELECT MAX(n) FROM t"), 2); /* one saw the other's 1 */
    /* the second try of one may come before the other one has ended */
    ck_assert_int_ge(s[0].runs + s[1].runs, 3);
    run_skew(&w, FILEPROC_TX_READ_COMMITTED, s);
    ck_assert_int_eq(sql_number(w.db, "SELECT MAX(n) FROM t"), 1); /* as asked for */
    ck_assert_int_eq(s[0].runs + s[1].runs, 2);
    world_close(&w);
}
END_TEST

/* Each locks its first row, waits for the other one to have done so, and wants the other's. */
static fp_status deadlock_body(fp_tx *tx, void *user_data, fp_error *err)
{
    static const fp_value params[] = { FILEPROC_V_INT(1) };
    skew *s = user_data;
    fp_status rc = fp_tx_exec(tx, s->read, params, 1, NULL, err);

    if (rc == FILEPROC_OK && s->runs++ == 0)
        pthread_barrier_wait(s->both_read);
    return rc < 0 ? rc : fp_tx_exec(tx, s->write, params, 1, NULL, err);
}

static void *deadlock_thread(void *arg)
{
    skew *s = arg;

    s->rc = fp_database_transact(s->db, s->flags, deadlock_body, s, NULL);
    return NULL;
}

START_TEST(deadlock_is_nobodys_failure)
{
    static const char a[] = "UPDATE t SET n = n + $1 WHERE id = 'a'";
    static const char b[] = "UPDATE t SET n = n + $1 WHERE id = 'b'";
    pthread_barrier_t both;
    pthread_t thread;
    world w;

    patience_ms = 20000; /* the server takes a second to see a deadlock */
    world_open(&w, "");
    pthread_barrier_init(&both, NULL, 2);
    must_sql(w.db, "INSERT INTO t (id, n) VALUES ('a', 0), ('b', 0)");
    {
        skew s[2] = { { w.db, &both, a, b, FILEPROC_TX_READ_COMMITTED, 0, 1 },
                      { w.db, &both, b, a, FILEPROC_TX_READ_COMMITTED, 0, 1 } };

        ck_assert_int_eq(pthread_create(&thread, NULL, deadlock_thread, &s[0]), 0);
        deadlock_thread(&s[1]);
        pthread_join(thread, NULL);
        ck_assert_int_eq(s[0].rc, FILEPROC_OK);
        ck_assert_int_eq(s[1].rc, FILEPROC_OK);
        /* The victim may be back before the other one has woken, and become the victim again. */
        ck_assert_int_ge(s[0].runs + s[1].runs, 3);
    }
    pthread_barrier_destroy(&both);
    ck_assert_int_eq(sql_number(w.db, "SELECT SUM(n) FROM t"), 4);
    patience_ms = 2000;
    world_close(&w);
}
END_TEST

typedef struct claim {
    fp_database *db;
    const char *skip_locked;
    pthread_barrier_t *claimed;
    char id[16];
} claim;

static fp_status claim_body(fp_tx *tx, void *user_data, fp_error *err)
{
    claim *c = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    char sql[200];
    fp_status rc;

    snprintf(sql, sizeof(sql),
             "UPDATE t SET n = 1 WHERE id = (SELECT id FROM t WHERE n = 0 ORDER BY id LIMIT 1%s)"
             " RETURNING id",
             c->skip_locked);
    rc = fp_tx_query(tx, sql, NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    snprintf(c->id, sizeof(c->id), "%s", more ? fp_rows_text(rows, 0) : "none");
    pthread_barrier_wait(c->claimed);
    return rc;
}

static void *claim_thread(void *arg)
{
    claim *c = arg;
    fp_error err = { 0 };

    ck_status(fp_database_transact(c->db, FILEPROC_TX_READ_COMMITTED, claim_body, c, &err),
              FILEPROC_OK, &err);
    return NULL;
}

START_TEST(two_workers_claim_two_rows_without_waiting)
{
    pthread_barrier_t claimed;
    pthread_t thread;
    claim c[2];
    world w;

    world_open(&w, "");
    must_sql(w.db, "INSERT INTO t (id, n) VALUES ('a', 0), ('b', 0)");
    pthread_barrier_init(&claimed, NULL, 2); /* neither has committed when both have a row */
    for (int i = 0; i < 2; i++)
        c[i] = (claim){ w.db, fpi_database_skip_locked(w.db), &claimed, "" };
    ck_assert_int_eq(pthread_create(&thread, NULL, claim_thread, &c[0]), 0);
    claim_thread(&c[1]);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&claimed);
    ck_assert_int_eq(c[0].id[0] + c[1].id[0], 'a' + 'b');
    ck_assert_int_eq(sql_number(w.db, "SELECT SUM(n) FROM t"), 2);
    world_close(&w);
}
END_TEST

START_TEST(slow_statement_and_held_lock_have_their_codes)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "%20-cstatement_timeout%3D100");
    ck_status(run_sql(w.db, "SELECT pg_sleep(5)", &err), FILEPROC_ERR_TIMEOUT, &err);
    ck_assert_int_eq(err.cause, fpi_postgresql_cause("57014"));
    ck_assert_uint_eq(err.flags & FILEPROC_ERROR_RETRYABLE, FILEPROC_ERROR_RETRYABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "57014"));
    ck_status(run_sql(w.db, "SELECT pg_sleep(0)", &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

static fp_status numbers_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(5000000000), FILEPROC_V_INT(1),
                                FILEPROC_V_REAL(0.1) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_query(tx,
                          "SELECT $1 + $2, COALESCE($1, 0), SUM(n), EXISTS (SELECT 1), 1 = 2, $3,"
                          " 1.5::numeric FROM t WHERE n < $1",
                          params, 3, &rows, err),
              FILEPROC_OK, err);
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(fp_rows_int64(rows, 0), 5000000001);
    ck_assert_int_eq(fp_rows_int64(rows, 1), 5000000000);
    ck_assert_int_eq(fp_rows_int64(rows, 2), 7);
    ck_assert_int_eq(fp_rows_int64(rows, 3), 1);
    ck_assert_str_eq(fp_rows_text(rows, 3), "1");
    ck_assert_int_eq(fp_rows_int64(rows, 4), 0);
    ck_assert_double_eq(fp_rows_double(rows, 5), 0.1);
    ck_assert_double_eq(fp_rows_double(rows, 6), 1.5);
    return FILEPROC_OK;
}

START_TEST(expressions_have_64_bits_and_no_locale)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "");
    must_sql(w.db, "INSERT INTO t (id, n) VALUES ('a', 3), ('b', 4)");
    for (int i = 0; i < 3; i++) { /* unprepared, prepared, and found again */
        ck_status(fp_database_transact(w.db, 0, numbers_body, NULL, &err), FILEPROC_OK, &err);
        if (!setlocale(LC_ALL, "de_DE.UTF-8")) /* where numbers have a comma */
            setlocale(LC_ALL, "de_DE.utf8");
    }
    world_close(&w);
}
END_TEST

static fp_status insert_x(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT("x") };

    (void)user_data;
    return fp_tx_exec(tx, "INSERT INTO t (id) VALUES ($1)", params, 1, NULL, err);
}

START_TEST(failing_statements_do_not_pile_up_at_the_server)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "&pool_size=1");
    must_sql(w.db, "INSERT INTO t (id) VALUES ('x')");
    for (int i = 0; i < 50; i++)
        ck_status(fp_database_transact(w.db, 0, insert_x, NULL, &err), FILEPROC_ERR_EXISTS, &err);
    for (int i = 0; i < 1000; i++) {
        char sql[64];

        snprintf(sql, sizeof(sql), "SELECT %d", i % 300);
        ck_assert_int_eq(sql_number(w.db, sql), i % 300);
        ck_assert_int_eq(sql_number(w.db, sql), i % 300);
    }
    ck_assert_int_le(sql_number(w.db, "SELECT COUNT(*) FROM pg_prepared_statements"),
                     FPI_POSTGRESQL_STATEMENTS + 1);
    world_close(&w);
}
END_TEST

static fp_status select_all(fp_tx *tx, void *user_data, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;

    (void)user_data;
    return fp_tx_query(tx, "SELECT * FROM t", NULL, 0, &rows, err);
}

START_TEST(tables_may_change_under_prepared_statements)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, "&pool_size=1");
    for (int i = 0; i < 3; i++)
        ck_status(fp_database_transact(w.db, 0, select_all, NULL, &err), FILEPROC_OK, &err);
    postgresql_sql(w.schema, "ALTER TABLE t ADD COLUMN more TEXT");
    ck_status(fp_database_transact(w.db, 0, select_all, NULL, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

START_TEST(what_is_answered_for_is_on_disk)
{
    world w;

    world_open(&w, "%20-csynchronous_commit%3Doff");
    ck_assert_int_eq(
        sql_number(
            w.db,
            "SELECT CASE WHEN current_setting('synchronous_commit') = 'on' THEN 1 ELSE 0 END"),
        1);
    world_close(&w);
}
END_TEST

typedef struct ring {
    fp_database *db;
    _Atomic int64_t at_ms; /* 0 = not yet */
} ring;

static void *ring_thread(void *arg)
{
    ring *r = arg;

    usleep(100000);
    atomic_store(&r->at_ms, fpi_monotonic_ms());
    ck_assert_int_eq(fpi_database_ring(r->db, NULL), FILEPROC_OK);
    return NULL;
}

START_TEST(ring_is_heard_by_others_at_once)
{
    fp_database *other = NULL;
    fp_error err = { 0 };
    int32_t changed = 0;
    int64_t heard_ms;
    pthread_t thread;
    ring r;
    world w;

    world_open(&w, "");
    ck_assert(fpi_database_can_wait(w.db));
    ck_status(fp_database_open(w.ctx, w.uri, NULL, &other, &err), FILEPROC_OK, &err);
    ck_status(fpi_database_wait_change(w.db, -1, 5000, &changed, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(changed, 1); /* it has only begun to listen, and may have missed one */
    r.db = other;
    atomic_init(&r.at_ms, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, ring_thread, &r), 0);
    do /* other tests ring, too */
        ck_status(fpi_database_wait_change(w.db, -1, 5000, &changed, &err), FILEPROC_OK, &err);
    while (changed && atomic_load(&r.at_ms) == 0);
    heard_ms = fpi_monotonic_ms();
    pthread_join(thread, NULL);
    ck_assert_int_eq(changed, 1);
    ck_assert_int_lt(heard_ms - r.at_ms, 1000); /* on a machine that is busy */
    fp_database_free(other);
    world_close(&w);
}
END_TEST

START_TEST(waiting_ends_for_a_descriptor_and_for_the_time)
{
    int64_t before;
    fp_error err = { 0 };
    int32_t changed = 0;
    int fd = eventfd(1, EFD_CLOEXEC);
    world w;

    world_open(&w, "");
    ck_status(fpi_database_wait_change(w.db, fd, 5000, &changed, &err), FILEPROC_OK, &err);
    before = fpi_monotonic_ms();
    ck_status(fpi_database_wait_change(w.db, fd, 5000, &changed, &err), FILEPROC_OK, &err);
    ck_assert_int_lt(fpi_monotonic_ms() - before, 1000);
    ck_status(fpi_database_ring(w.db, &err), FILEPROC_OK, &err); /* its own is not heard */
    before = fpi_monotonic_ms();
    ck_status(fpi_database_wait_change(w.db, -1, 200, &changed, &err), FILEPROC_OK, &err);
    if (!changed)
        ck_assert_int_ge(fpi_monotonic_ms() - before, 200);
    close(fd);
    world_close(&w);
}
END_TEST

START_TEST(listener_that_was_cut_off_listens_again)
{
    fp_error err = { 0 };
    int32_t changed = 0;
    world w;

    world_open(&w, "&application_name=listener_that_was_cut_off");
    ck_status(fpi_database_wait_change(w.db, -1, 0, &changed, &err), FILEPROC_OK, &err);
    postgresql_sql(
        postgresql_server(),
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'listener_that_was_cut_off' AND query LIKE 'LISTEN%%'");
    ck_status(fpi_database_wait_change(w.db, -1, 5000, &changed, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(changed, 1); /* a ring may have been missed */
    ck_status(fpi_database_wait_change(w.db, -1, 0, &changed, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(changed, 1);
    world_close(&w);
}
END_TEST

typedef struct receiver {
    fp_queue *q;
    fp_message *msg;
    int64_t at_ms;
} receiver;

static void *receive_thread(void *arg)
{
    receiver *r = arg;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(r->q, "jobs", 10000, &r->msg, &err), FILEPROC_OK, &err);
    r->at_ms = fpi_monotonic_ms();
    return NULL;
}

/* Other tests ring, too. */
static void *receive_until(void *arg)
{
    receiver *r = arg;

    while (!r->msg)
        receive_thread(r);
    return NULL;
}

/* What one process sends, receivers of another one return for; one of them listens, the others hear it from that one. */
START_TEST(doorbell_of_another_process_wakes_all_receivers_at_once)
{
    fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_database *other = NULL;
    fp_queue *here = NULL, *there = NULL;
    fp_error err = { 0 };
    receiver receivers[3];
    pthread_t threads[3];
    int64_t sent_ms;
    world w;

    world_open(&w, "");
    ck_status(fp_database_open(w.ctx, w.uri, NULL, &other, &err), FILEPROC_OK, &err);
    o.database = w.db;
    o.poll_interval_ms = 3000; /* so that it is not found by looking */
    ck_status(fp_queue_open(w.ctx, "database:", &o, &here, &err), FILEPROC_OK, &err);
    o.database = other;
    ck_status(fp_queue_open(w.ctx, "database:", &o, &there, &err), FILEPROC_OK, &err);
    receivers[0] = (receiver){ .q = here };
    receive_thread(&receivers[0]); /* it begins to listen, which counts as a change */
    usleep(3100000);               /* ... that is no news any more */
    for (int i = 0; i < 3; i++) {
        receivers[i] = (receiver){ .q = here };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, receive_thread, &receivers[i]), 0);
    }
    usleep(200000);
    sent_ms = fpi_monotonic_ms();
    ck_status(fp_queue_send(there, "jobs", "x", 1, &err), FILEPROC_OK, &err);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_ptr_null(receivers[i].msg);
        ck_assert_int_lt(receivers[i].at_ms - sent_ms, 1000);
    }
    receivers[0] = (receiver){ .q = here };
    ck_assert_int_eq(pthread_create(&threads[0], NULL, receive_until, &receivers[0]), 0);
    usleep(100000);
    sent_ms = fpi_monotonic_ms();
    ck_status(fp_queue_send(here, "jobs", "y", 1, &err), FILEPROC_OK, &err);
    pthread_join(threads[0], NULL);
    ck_assert_int_lt(receivers[0].at_ms - sent_ms, 1000);
    fp_message_free(receivers[0].msg);
    fp_queue_free(here);
    fp_queue_free(there);
    fp_database_free(other);
    world_close(&w);
}
END_TEST

START_TEST(counter_changes_with_a_commit_of_somebody_else)
{
    int64_t before = 0, after = 0;
    fp_error err = { 0 };
    world w;

    world_open(&w, "");
    ck_status(fpi_database_change_counter(w.db, &before, &err), FILEPROC_OK, &err);
    postgresql_sql(w.uri, "INSERT INTO t (id) VALUES ('theirs')");
    ck_status(fpi_database_change_counter(w.db, &after, &err), FILEPROC_OK, &err);
    ck_assert_int_ne(before, after);
    world_close(&w);
}
END_TEST

static fp_status everything(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT("key") };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    (void)user_data;
    rc = fp_tx_exec(tx, "INSERT INTO t (id) VALUES ($1)", params, 1, NULL, err);
    for (int i = 0; rc == FILEPROC_OK && i < 2; i++) {
        fp_rows_free(fpi_steal(&rows));
        rc = fp_tx_query(tx, "SELECT id FROM t WHERE id = $1", params, 1, &rows, err);
        if (rc == FILEPROC_OK)
            rc = fp_rows_next(rows, &more, err);
    }
    return rc;
}

START_TEST(open_and_transact_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_database *db = NULL;
        fp_error err = { 0 };
        char uri[128];
        int inserted = 0;
        fp_status rc;

        fault_disarm(&f);
        postgresql_schema_make(uri);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_database_open(ctx, uri, NULL, &db, &err);
        if (rc < 0)
            ck_assert_ptr_null(db);
        if (rc == FILEPROC_OK) {
            rc = run_sql(db, "CREATE TABLE t (id TEXT PRIMARY KEY)", &err);
            if (rc == FILEPROC_OK)
                rc = fp_database_transact(db, 0, everything, NULL, &err);
            inserted = rc == FILEPROC_OK;
            if (rc == FILEPROC_OK)
                rc = fp_database_ping(db, &err);
            if (rc == FILEPROC_OK)
                rc = fpi_database_ring(db, &err);
        }
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert_int_eq(inserted, 1);
        if (db) { /* a failed transaction left nothing behind, and did no harm */
            must_sql(db, "CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY)");
            ck_assert_int_eq(sql_number(db, "SELECT COUNT(*) FROM t"), inserted);
            ck_status(fp_database_transact(db, 0, everything, NULL, &err),
                      inserted ? FILEPROC_ERR_EXISTS : FILEPROC_OK, &err);
        }
        fp_database_free(db);
        fp_context_free(ctx);
        postgresql_schema_remove(uri);
    }
}
END_TEST

START_TEST(migrate_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_database *db = NULL;
        fp_error err = { 0 };
        char uri[128];
        fp_status rc;

        fault_disarm(&f);
        postgresql_schema_make(uri);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        ck_status(fp_database_open(ctx, uri, NULL, &db, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_database_migrate(db, &err);
        fault_judge(&f, rc, &err);
        ck_status(fp_database_migrate(db, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(sql_number(db, "SELECT COUNT(*) FROM files"), 0);
        fp_database_free(db);
        fp_context_free(ctx);
        postgresql_schema_remove(uri);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        wrong_password_is_told_without_it,
        missing_database_is_told_at_once,
        server_that_is_not_there_is_busy,
        schemes_of_other_programs_are_understood,
        many_processes_may_migrate_at_once,
        pool_that_is_used_up_is_busy_and_recovers,
        transaction_inside_another_is_refused,
        transactions_run_as_if_one_after_the_other,
        deadlock_is_nobodys_failure,
        two_workers_claim_two_rows_without_waiting,
        slow_statement_and_held_lock_have_their_codes,
        expressions_have_64_bits_and_no_locale,
        failing_statements_do_not_pile_up_at_the_server,
        tables_may_change_under_prepared_statements,
        what_is_answered_for_is_on_disk,
        ring_is_heard_by_others_at_once,
        waiting_ends_for_a_descriptor_and_for_the_time,
        listener_that_was_cut_off_listens_again,
        doorbell_of_another_process_wakes_all_receivers_at_once,
        counter_changes_with_a_commit_of_somebody_else,
        open_and_transact_survive_every_allocation_failure,
        migrate_survives_every_allocation_failure,
    };
    Suite *suite;

    if (!postgresql_server())
        return skip_suite("no PostgreSQL: FILEPROC_TEST_POSTGRESQL_URI is not set");
    suite = suite_of("database_postgresql", tests, sizeof(tests) / sizeof(*tests));
    database_contract_add(suite, drivers, 1);
    return run_suite(suite);
}
