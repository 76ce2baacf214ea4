/* Owns: the promises of fileproc/database.h as tests, to be run against every driver.
 * Must not know: any driver. */
#include "database_contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

#include "database/database_private.h"
#include "scratch.h"

#define THREADS 16
#define ROUNDS 200

static const database_contract *drivers;

/* An open, empty database of the driver under test. */
typedef struct world {
    const database_contract *driver;
    fp_context *ctx;
    fp_database *db;
    char uri[128];
} world;

static void world_open(world *w, int index)
{
    fp_error err = { 0 };

    *w = (world){ .driver = &drivers[index] };
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    w->driver->fresh(w->uri);
    ck_status(fp_database_open(w->ctx, w->uri, NULL, &w->db, &err), FILEPROC_OK, &err);
    must_sql(w->db, "CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT, d DOUBLE PRECISION, x TEXT,"
                    " CHECK (n < 1000000000000000000 OR n > 9000000000000000000))");
}

static void world_close(world *w)
{
    fp_database_free(w->db);
    w->driver->gone(w->uri);
    fp_context_free(w->ctx);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Runs fn(arg) on THREADS threads and waits; arg is the n-th of an array of size-d elements. */
static void run_threads(void *(*fn)(void *), void *args, size_t size)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fn, (char *)args + i * size), 0);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

static fp_status insert_two(fp_tx *tx, void *user_data, fp_error *err)
{
    const int *fail = user_data;
    fp_status rc;

    rc = fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ('a', 1)", NULL, 0, NULL, err);
    if (rc == FILEPROC_OK)
        rc = fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ('b', 2)", NULL, 0, NULL, err);
    if (rc == FILEPROC_OK && *fail)
        rc = fp_error_reasonf(err, FILEPROC_ERR_USER, FILEPROC_REASON_LEASE_LOST,
                              "as the test wants it");
    return rc;
}

START_TEST(transaction_is_kept_whole_or_not_at_all)
{
    fp_error err = { 0 };
    int fail = 1;
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, insert_two, &fail, &err), FILEPROC_ERR_USER, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), 0);
    fail = 0;
    ck_status(fp_database_transact(w.db, 0, insert_two, &fail, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), 2);
    world_close(&w);
}
END_TEST

START_TEST(body_error_arrives_unchanged)
{
    fp_error err = { 0 };
    int fail = 1;
    world w;

    world_open(&w, _i);
    ck_assert_int_eq(fp_database_transact(w.db, 0, insert_two, &fail, &err), FILEPROC_ERR_USER);
    ck_assert_int_eq(err.code, FILEPROC_ERR_USER);
    ck_assert_int_eq(err.cause, FILEPROC_REASON_LEASE_LOST);
    ck_assert_str_eq(err.message, "as the test wants it");
    ck_assert_int_eq(fp_database_transact(w.db, 0, insert_two, &fail, NULL), FILEPROC_ERR_USER);
    world_close(&w);
}
END_TEST

static fp_status fill_error(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)tx, (void)user_data;
    fp_error_setf(err, FILEPROC_ERR_IO, "a failure that the body lives with");
    return FILEPROC_OK;
}

START_TEST(error_is_untouched_by_success)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_assert_int_eq(fp_database_transact(w.db, 0, fill_error, NULL, &err), FILEPROC_OK);
    ck_assert_int_eq(err.code, 0);
    ck_assert_int_eq(err.message[0], 0);
    world_close(&w);
}
END_TEST

typedef struct neighbour {
    fp_database *db;
    int number;
    int failed; /* how many of its transactions were to fail, and did */
} neighbour;

static fp_status neighbour_body(fp_tx *tx, void *user_data, fp_error *err)
{
    neighbour *n = user_data;
    char id[32];
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(n->number) };
    fp_status rc;

    snprintf(id, sizeof(id), "%d", n->number);
    rc = fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ($1, $2)", params, 2, NULL, err);
    if (rc == FILEPROC_OK && n->number % 3 == 0)
        return fp_error_setf(err, FILEPROC_ERR_USER, "%s fails", id);
    if (rc == FILEPROC_OK && n->number % 3 == 1)
        return fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ($1, $2)", params, 2, NULL, err);
    return rc;
}

static void *neighbour_thread(void *arg)
{
    neighbour *n = arg;
    int first = n->number * 100;

    for (n->number = first; n->number < first + 60; n->number++) {
        fp_error err = { 0 };
        fp_status rc = fp_database_transact(n->db, 0, neighbour_body, n, &err);
        fp_status expected[] = { FILEPROC_ERR_USER, FILEPROC_ERR_EXISTS, FILEPROC_OK };

        ck_status(rc, expected[n->number % 3], &err);
        n->failed += rc < 0;
    }
    return NULL;
}

START_TEST(failing_bodies_leave_their_neighbours_alone)
{
    neighbour n[THREADS];
    world w;

    world_open(&w, _i);
    for (int i = 0; i < THREADS; i++)
        n[i] = (neighbour){ .db = w.db, .number = i };
    run_threads(neighbour_thread, n, sizeof(n[0]));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(n[i].failed, 40);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), THREADS * 20);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t WHERE n % 3 <> 2"), 0);
    world_close(&w);
}
END_TEST

static fp_status increment(fp_tx *tx, void *user_data, fp_error *err)
{
    int64_t n = tx_number(tx, "SELECT n FROM t WHERE id = 'counter'");
    const fp_value params[] = { FILEPROC_V_INT(n + 1) };

    (void)user_data;
    return fp_tx_exec(tx, "UPDATE t SET n = $1 WHERE id = 'counter'", params, 1, NULL, err);
}

static void *increment_thread(void *arg)
{
    fp_database **db = arg;

    for (int i = 0; i < ROUNDS; i++) {
        fp_error err = { 0 };

        ck_status(fp_database_transact(*db, 0, increment, NULL, &err), FILEPROC_OK, &err);
    }
    return NULL;
}

START_TEST(sixteen_threads_lose_no_increment)
{
    fp_database *dbs[THREADS];
    world w;

    world_open(&w, _i);
    must_sql(w.db, "INSERT INTO t (id, n) VALUES ('counter', 0)");
    for (int i = 0; i < THREADS; i++)
        dbs[i] = w.db;
    run_threads(increment_thread, dbs, sizeof(dbs[0]));
    ck_assert_int_eq(sql_number(w.db, "SELECT n FROM t WHERE id = 'counter'"), THREADS * ROUNDS);
    world_close(&w);
}
END_TEST

typedef struct snapshot {
    fp_database *db;
    _Atomic int reading;
    int64_t before, after;
} snapshot;

static void *write_beside(void *arg)
{
    snapshot *s = arg;

    while (!atomic_load(&s->reading))
        pause_ms(1);
    must_sql(s->db, "INSERT INTO t (id) VALUES ('beside')");
    return NULL;
}

static fp_status read_twice(fp_tx *tx, void *user_data, fp_error *err)
{
    snapshot *s = user_data;

    (void)err;
    s->before = tx_number(tx, "SELECT COUNT(*) FROM t");
    atomic_store(&s->reading, 1);
    pause_ms(100); /* the writer commits now, or waits for us: both keep the promise */
    s->after = tx_number(tx, "SELECT COUNT(*) FROM t");
    return FILEPROC_OK;
}

START_TEST(reader_sees_one_snapshot)
{
    snapshot s = { 0 };
    fp_error err = { 0 };
    pthread_t thread;
    world w;

    world_open(&w, _i);
    s.db = w.db;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_beside, &s), 0);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, read_twice, &s, &err), FILEPROC_OK,
              &err);
    pthread_join(thread, NULL);
    ck_assert_int_eq(s.before, 0);
    ck_assert_int_eq(s.after, 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), 1);
    world_close(&w);
}
END_TEST

static fp_status write_readonly(fp_tx *tx, void *user_data, fp_error *err)
{
    return fp_tx_exec(tx, user_data, NULL, 0, NULL, err);
}

START_TEST(reading_transaction_refuses_to_write)
{
    static const char *const statements[] = { "INSERT INTO t (id) VALUES ('x')", "DELETE FROM t",
                                              "CREATE TABLE other (id TEXT)", "DROP TABLE t" };
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_sql(w.db, "INSERT INTO t (id) VALUES ('there')");
    for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
        ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, write_readonly,
                                       (void *)statements[i], &err),
                  FILEPROC_ERR_INVALID, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), 1);
    must_sql(w.db, "INSERT INTO t (id) VALUES ('x')");
    world_close(&w);
}
END_TEST

START_TEST(errors_say_what_is_wrong)
{
    static const struct {
        const char *sql;
        fp_status rc;
    } cases[] = {
        { "INSERT INTO t (id) VALUES ('a')", FILEPROC_ERR_EXISTS },
        { "INSERT INTO u (id) VALUES ('nobody')", FILEPROC_ERR_CONFLICT },
        { "INSERT INTO u (id) VALUES (NULL)", FILEPROC_ERR_CONFLICT },
        { "INSERT INTO t (id, n) VALUES ('c', 2000000000000000000)", FILEPROC_ERR_CONFLICT },
        { "INSERT INTO nowhere (id) VALUES ('x')", FILEPROC_ERR_INVALID },
        { "SELEKT 1", FILEPROC_ERR_INVALID },
        { "", FILEPROC_ERR_INVALID },
        { "SELECT 1; SELECT 2", FILEPROC_ERR_INVALID },
        { "INSERT INTO t (id) VALUES (\"quoted\")", FILEPROC_ERR_INVALID },
    };
    world w;

    world_open(&w, _i);
    must_sql(w.db, "CREATE TABLE u (id TEXT NOT NULL REFERENCES t (id))");
    must_sql(w.db, "INSERT INTO t (id) VALUES ('a')");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_error err = { 0 };

        ck_status(run_sql(w.db, cases[i].sql, &err), cases[i].rc, &err);
        ck_assert_int_eq(err.code, cases[i].rc);
        ck_assert_int_ne(err.message[0], 0);
    }
    must_sql(w.db, "SELECT 1 ; \n");
    world_close(&w);
}
END_TEST

typedef struct record {
    const char *text;
    int64_t integer;
    double real;
} record;

static fp_status round_trip(fp_tx *tx, void *user_data, fp_error *err)
{
    const record *v = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(v->text), FILEPROC_V_INT(v->integer),
                                FILEPROC_V_REAL(v->real), FILEPROC_V_NULL };
    fp_rows *rows = NULL;
    int32_t more = 0;

    ck_status(fp_tx_exec(tx, "DELETE FROM t", NULL, 0, NULL, err), FILEPROC_OK, err);
    ck_status(fp_tx_exec(tx, "INSERT INTO t (id, x, n, d) VALUES (COALESCE($4, 'k'), $1, $2, $3)",
                         params, 4, NULL, err),
              FILEPROC_OK, err);
    ck_status(fp_tx_query(tx, "SELECT x, n, d FROM t", NULL, 0, &rows, err), FILEPROC_OK, err);
    ck_assert_ptr_null(fp_rows_text(rows, 0)); /* before the first row */
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(more, 1);
    ck_assert_pstr_eq(fp_rows_text(rows, 0), v->text);
    ck_assert_int_eq(fp_rows_int64(rows, 1), v->integer);
    ck_assert_double_eq(fp_rows_double(rows, 2), v->real);
    ck_assert_ptr_null(fp_rows_text(rows, 99));
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(more, 0);
    ck_assert_int_eq(fp_rows_int64(rows, 1), 0); /* after the last */
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(more, 0); /* and it stays at the end */
    fp_rows_free(rows);
    return FILEPROC_OK;
}

START_TEST(values_come_back_as_they_were)
{
    char *big = malloc(5000001);
    const record records[] = {
        { "", 0, 0.0 },
        { NULL, INT64_MAX, 1.5e300 },
        { "it's \"quoted\"; -- \n\t\\ %s $1", INT64_MIN, -0.125 },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", -1, 3.14159265358979 },
        { big, 42, 1e-300 },
    };
    world w;

    ck_assert_ptr_nonnull(big);
    memset(big, 'x', 5000000);
    big[5000000] = '\0';
    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        fp_error err = { 0 };

        ck_status(fp_database_transact(w.db, 0, round_trip, (void *)&records[i], &err), FILEPROC_OK,
                  &err);
    }
    world_close(&w);
    free(big);
}
END_TEST

static fp_status null_columns(fp_tx *tx, void *user_data, fp_error *err)
{
    fp_rows *rows = NULL;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_query(tx, "SELECT x, n, d FROM t", NULL, 0, &rows, err), FILEPROC_OK, err);
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(more, 1);
    ck_assert_ptr_null(fp_rows_text(rows, 0));
    ck_assert_int_eq(fp_rows_int64(rows, 1), 0);
    ck_assert_double_eq(fp_rows_double(rows, 2), 0.0);
    fp_rows_free(rows);
    return FILEPROC_OK;
}

START_TEST(null_is_null)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_sql(w.db, "INSERT INTO t (id) VALUES ('empty')");
    ck_status(fp_database_transact(w.db, 0, null_columns, NULL, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t WHERE x IS NULL AND n IS NULL"), 1);
    world_close(&w);
}
END_TEST

static fp_status out_of_order(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT("one"), FILEPROC_V_INT(2),
                                FILEPROC_V_TEXT("three") };
    fp_rows *rows = NULL;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_exec(tx, "INSERT INTO t (x, n, id) VALUES ($3, $2, $1)", params, 3, NULL, err),
              FILEPROC_OK, err);
    ck_status(fp_tx_query(tx, "SELECT id, n, x FROM t WHERE x = $2 AND id = $1 AND $2 <> $1",
                          (fp_value[]){ FILEPROC_V_TEXT("one"), FILEPROC_V_TEXT("three") }, 2,
                          &rows, err),
              FILEPROC_OK, err);
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_int_eq(more, 1);
    ck_assert_str_eq(fp_rows_text(rows, 0), "one");
    ck_assert_int_eq(fp_rows_int64(rows, 1), 2);
    ck_assert_str_eq(fp_rows_text(rows, 2), "three");
    fp_rows_free(rows);
    return FILEPROC_OK;
}

START_TEST(parameters_go_by_number_not_by_place)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, out_of_order, NULL, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

static fp_status wrong_parameters(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value two[] = { FILEPROC_V_INT(1), FILEPROC_V_INT(2) };
    const fp_value odd[] = { { 17, 0, 0, 0.0, NULL } };
    fp_rows *rows = NULL;

    (void)user_data;
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1", two, 2, NULL, err), FILEPROC_ERR_INVALID, err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1, d = $2", two, 1, NULL, err),
              FILEPROC_ERR_INVALID, err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1, d = $3", two, 2, NULL, err),
              FILEPROC_ERR_INVALID, err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = ?, d = ?", two, 2, NULL, err), FILEPROC_ERR_INVALID,
              err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $one", two, 1, NULL, err), FILEPROC_ERR_INVALID,
              err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1", odd, 1, NULL, err), FILEPROC_ERR_INVALID, err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1", NULL, 1, NULL, err), FILEPROC_ERR_INVALID, err);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = $1", two, 100000, NULL, err), FILEPROC_ERR_INVALID,
              err);
    ck_status(fp_tx_query(tx, "SELECT $1", two, 2, &rows, err), FILEPROC_ERR_INVALID, err);
    ck_assert_ptr_null(rows);
    return FILEPROC_OK;
}

START_TEST(wrong_parameters_are_refused)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, wrong_parameters, NULL, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

static fp_status returning(fp_tx *tx, void *user_data, fp_error *err)
{
    fp_rows *rows = NULL;
    int64_t sum = 0;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ('a', 1), ('b', 2), ('c', 3)", NULL, 0,
                         NULL, err),
              FILEPROC_OK, err);
    ck_status(fp_tx_query(tx, "UPDATE t SET n = n + 10 RETURNING n", NULL, 0, &rows, err),
              FILEPROC_OK, err);
    while (fp_rows_next(rows, &more, err) == FILEPROC_OK && more)
        sum += fp_rows_int64(rows, 0);
    fp_rows_free(rows);
    ck_assert_int_eq(sum, 36);
    ck_status(fp_tx_query(tx, "UPDATE t SET n = 0 RETURNING n", NULL, 0, &rows, err), FILEPROC_OK,
              err);
    fp_rows_free(rows); /* nobody reads them, yet all rows are changed */
    ck_assert_int_eq(tx_number(tx, "SELECT SUM(n) FROM t"), 0);
    rows = NULL;
    ck_status(fp_tx_query(tx, "INSERT INTO t (id) VALUES ('a') RETURNING id", NULL, 0, &rows, err),
              FILEPROC_ERR_EXISTS, err);
    ck_assert_ptr_null(rows);
    return FILEPROC_OK;
}

START_TEST(returning_gives_rows_and_changes_them_all)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, returning, NULL, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t WHERE n = 0"), 3);
    world_close(&w);
}
END_TEST

static fp_status count_changes(fp_tx *tx, void *user_data, fp_error *err)
{
    uint64_t changed = 99;

    (void)user_data;
    ck_status(fp_tx_exec(tx, "INSERT INTO t (id, n) VALUES ('a', 1), ('b', 2), ('c', 3)", NULL, 0,
                         &changed, err),
              FILEPROC_OK, err);
    ck_assert_uint_eq(changed, 3);
    ck_status(fp_tx_exec(tx, "SELECT 1 FROM t", NULL, 0, &changed, err), FILEPROC_OK, err);
    ck_assert_uint_eq(changed, 0);
    ck_status(fp_tx_exec(tx, "UPDATE t SET n = 5 WHERE n > 1", NULL, 0, &changed, err), FILEPROC_OK,
              err);
    ck_assert_uint_eq(changed, 2);
    ck_status(fp_tx_exec(tx, "CREATE TABLE v (id TEXT)", NULL, 0, &changed, err), FILEPROC_OK, err);
    ck_assert_uint_eq(changed, 0);
    ck_status(fp_tx_exec(tx, "DELETE FROM t WHERE n = 77", NULL, 0, &changed, err), FILEPROC_OK,
              err);
    ck_assert_uint_eq(changed, 0);
    return FILEPROC_OK;
}

START_TEST(exec_counts_the_rows_it_changed)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, count_changes, NULL, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

/* Sets whose types differ, too. */
static fp_status change_each(fp_tx *tx, void *user_data, fp_error *err)
{
    enum { TIMES = 100 };
    char ids[TIMES][8];
    fp_value rows[TIMES * 2];
    uint64_t changed[TIMES];

    (void)user_data;
    for (size_t i = 0; i < TIMES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "e%zu", i);
        rows[2 * i] = (fp_value)FILEPROC_V_TEXT(ids[i]);
        rows[2 * i + 1] = i % 7 ? (fp_value)FILEPROC_V_INT((int64_t)i) : (fp_value)FILEPROC_V_NULL;
    }
    ck_status(
        fpi_tx_exec_each(tx, "INSERT INTO t (id, n) VALUES ($1, $2)", rows, 2, TIMES, changed, err),
        FILEPROC_OK, err);
    for (size_t i = 0; i < TIMES; i++)
        ck_assert_uint_eq(changed[i], 1);
    for (size_t i = 0; i < TIMES; i += 3)
        rows[2 * i] = (fp_value)FILEPROC_V_TEXT("none");
    ck_status(
        fpi_tx_exec_each(tx, "UPDATE t SET n = $2 WHERE id = $1", rows, 2, TIMES, changed, err),
        FILEPROC_OK, err);
    for (size_t i = 0; i < TIMES; i++)
        ck_assert_uint_eq(changed[i], i % 3 != 0);
    ck_assert_int_eq(tx_number(tx, "SELECT COUNT(*) FROM t WHERE id LIKE 'e%'"), TIMES);
    ck_status(fpi_tx_exec_each(tx, "UPDATE t SET n = $2 WHERE id = $1", rows, 2, 0, changed, err),
              FILEPROC_OK, err);
    return FILEPROC_OK;
}

/* One of the sets is refused: a key that is there already. */
static fp_status fail_among_each(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value rows[] = { FILEPROC_V_TEXT("f1"), FILEPROC_V_TEXT("f2"), FILEPROC_V_TEXT("f1"),
                              FILEPROC_V_TEXT("f3") };
    uint64_t changed[4];

    (void)user_data;
    return fpi_tx_exec_each(tx, "INSERT INTO t (id) VALUES ($1)", rows, 1, 4, changed, err);
}

START_TEST(exec_each_runs_each_and_says_what_each_changed)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, change_each, NULL, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w.db, 0, fail_among_each, NULL, &err), FILEPROC_ERR_EXISTS,
              &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t WHERE id LIKE 'f%'"), 0);
    world_close(&w);
}
END_TEST

static fp_status reuse(fp_tx *tx, void *user_data, fp_error *err)
{
    static const char insert[] = "INSERT INTO t (id, x) VALUES ($1, $2)";
    static const char select[] = "SELECT id FROM t ORDER BY id";
    const fp_value a[] = { FILEPROC_V_TEXT("a"), FILEPROC_V_TEXT("text") };
    const fp_value b[] = { FILEPROC_V_TEXT("b"), FILEPROC_V_NULL };
    fp_rows *outer = NULL, *inner = NULL;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_exec(tx, insert, a, 2, NULL, err), FILEPROC_OK, err);
    ck_status(fp_tx_exec(tx, insert, b, 2, NULL, err), FILEPROC_OK, err);
    ck_assert_int_eq(tx_number(tx, "SELECT COUNT(*) FROM t WHERE x IS NULL"),
                     1); /* a's text is not left over */
    ck_status(fp_tx_query(tx, select, NULL, 0, &outer, err), FILEPROC_OK, err);
    ck_status(fp_rows_next(outer, &more, err), FILEPROC_OK, err);
    ck_status(fp_tx_query(tx, "SELECT id FROM t ORDER BY id DESC", NULL, 0, &inner, err),
              FILEPROC_OK, err);
    ck_status(fp_rows_next(inner, &more, err), FILEPROC_OK, err);
    ck_assert_str_eq(fp_rows_text(outer, 0), "a");
    ck_assert_str_eq(fp_rows_text(inner, 0), "b");
    fp_rows_free(inner);
    fp_rows_free(outer); /* before its end */
    ck_status(fp_tx_query(tx, select, NULL, 0, &outer, err), FILEPROC_OK, err);
    ck_status(fp_rows_next(outer, &more, err), FILEPROC_OK, err);
    ck_assert_str_eq(fp_rows_text(outer, 0), "a"); /* it starts again */
    fp_rows_free(outer);
    return FILEPROC_OK;
}

START_TEST(statements_are_used_again_without_leftovers)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, reuse, NULL, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

static fp_status many_texts(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)user_data, (void)err;
    for (int i = 0; i < 1000; i++) {
        char sql[64];

        snprintf(sql, sizeof(sql), "SELECT %d", i);
        ck_assert_int_eq(tx_number(tx, sql), i);
    }
    return FILEPROC_OK;
}

START_TEST(any_number_of_statement_texts_works)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_transact(w.db, 0, many_texts, NULL, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, many_texts, NULL, &err), FILEPROC_OK,
              &err);
    world_close(&w);
}
END_TEST

START_TEST(body_cannot_end_its_transaction)
{
    static const char *const statements[] = { "COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT x",
                                              "RELEASE x" };
    fp_error err = { 0 };
    int fail = 0;
    world w;

    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
        ck_status(run_sql(w.db, statements[i], &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_database_transact(w.db, 0, insert_two, &fail, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    fp_database *db = NULL;
    fp_rows *rows = NULL;
    int32_t more = 0;
    int fail = 0;
    world w;

    world_open(&w, _i);
    ck_assert_int_eq(fp_database_open(NULL, w.uri, NULL, &db, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_open(w.ctx, NULL, NULL, &db, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_open(w.ctx, w.uri, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_open(w.ctx, "nothing", NULL, &db, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_open(w.ctx, "nosuch:driver", NULL, &db, NULL),
                     FILEPROC_ERR_NOTSUP);
    o.max_readers = 100000;
    ck_assert_int_eq(fp_database_open(w.ctx, w.uri, &o, &db, NULL), FILEPROC_ERR_INVALID);
    o.struct_size = 0;
    ck_assert_int_eq(fp_database_open(w.ctx, w.uri, &o, &db, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(db);
    ck_assert_int_eq(fp_database_transact(NULL, 0, insert_two, &fail, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_transact(w.db, 0, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_transact(w.db, 64, insert_two, &fail, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_migrate(NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_database_ping(NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_tx_exec(NULL, "SELECT 1", NULL, 0, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_tx_query(NULL, "SELECT 1", NULL, 0, &rows, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_rows_next(NULL, &more, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_rows_int64(NULL, 0), 0);
    ck_assert_double_eq(fp_rows_double(NULL, 0), 0.0);
    ck_assert_ptr_null(fp_rows_text(NULL, 0));
    fp_rows_free(NULL);
    fp_database_free(NULL);
    world_close(&w);
}
END_TEST

START_TEST(migrating_twice_changes_nothing)
{
    fp_error err = { 0 };
    int64_t version;
    world w;

    world_open(&w, _i);
    ck_status(fp_database_migrate(w.db, &err), FILEPROC_OK, &err);
    version = sql_number(w.db, "SELECT MAX(version) FROM schema_migrations");
    ck_assert_int_ge(version, 1);
    must_sql(
        w.db,
        "INSERT INTO outbox (id, type, subject, data, created_at) VALUES ('i', 't', 's', '{}', 1)");
    ck_status(fp_database_migrate(w.db, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM schema_migrations"), version);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 1);
    world_close(&w);
}
END_TEST

START_TEST(ping_answers)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_database_ping(w.db, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

void database_contract_add(Suite *suite, const database_contract *list, int count)
{
    const TTest *const tests[] = {
        transaction_is_kept_whole_or_not_at_all,
        body_error_arrives_unchanged,
        error_is_untouched_by_success,
        failing_bodies_leave_their_neighbours_alone,
        sixteen_threads_lose_no_increment,
        reader_sees_one_snapshot,
        reading_transaction_refuses_to_write,
        errors_say_what_is_wrong,
        values_come_back_as_they_were,
        null_is_null,
        parameters_go_by_number_not_by_place,
        wrong_parameters_are_refused,
        returning_gives_rows_and_changes_them_all,
        exec_counts_the_rows_it_changed,
        exec_each_runs_each_and_says_what_each_changed,
        statements_are_used_again_without_leftovers,
        any_number_of_statement_texts_works,
        body_cannot_end_its_transaction,
        wrong_arguments_are_refused,
        migrating_twice_changes_nothing,
        ping_answers,
    };
    TCase *tcase = tcase_create("database contract");

    drivers = list;
    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(tcase, tests[i], 0, count);
    suite_add_tcase(suite, tcase);
}
