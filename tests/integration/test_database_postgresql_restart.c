/* Owns: what the driver does while its server crashes, is away, and comes back. The server is this test's own. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/context_private.h"
#include "database/database_postgresql.h"
#include "postgresql_schema.h"
#include "runner.h"
#include "scratch.h"

#define SCRIPT SOURCE_ROOT "/tests/support/servers/postgresql"
#define WORKERS 8
#define IDS_MAX 100000

typedef struct server {
    char folder[64];
    char uri[256];
} server;

/* One for each test, made and removed outside of them, so that none is left behind by a test that fails. */
static server servers[2];

/* uri may be NULL; a server keeps its own. */
static void command(const server *s, const char *prefix, const char *verb, char uri[256])
{
    char line[512], text[256];
    FILE *out;

    snprintf(line, sizeof(line), "%s %s %s %s", prefix, SCRIPT, verb, s->folder);
    out = popen(line, "r");
    ck_assert_ptr_nonnull(out);
    while (fgets(text, sizeof(text), out))
        if (uri && strncmp(text, "FILEPROC_TEST_POSTGRESQL_URI=", 29) == 0)
            sscanf(text + 29, "%255s", uri);
    ck_assert_int_eq(pclose(out), 0);
}

static void server_make(server *s)
{
    s->uri[0] = '\0';
    scratch_make(s->folder);
    ck_assert_int_eq(chmod(s->folder, 0755), 0); /* the server's user is another one than root */
    command(s, "FILEPROC_FSYNC=on", "start", s->uri);
    ck_assert_int_ne(s->uri[0], 0);
}

static void server_remove(server *s)
{
    command(s, "", "stop", NULL);
    scratch_remove(s->folder);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void open_here(const server *s, uint32_t busy_timeout_ms, fp_context **ctx, fp_database **db)
{
    fp_database_options o = FILEPROC_DATABASE_OPTIONS_INIT;
    fp_error err = { 0 };

    o.busy_timeout_ms = busy_timeout_ms;
    ck_status(fp_context_new(NULL, ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(*ctx, s->uri, &o, db, &err), FILEPROC_OK, &err);
}

/* Inserts one number after the other, and keeps what it was told. */
typedef struct inserter {
    fp_database *db;
    int64_t first;
    size_t count;
    size_t kept, refused, unknown;
    _Atomic size_t progress;
    _Atomic int *stop;
    signed char told[IDS_MAX]; /* 1 = it is there, 0 = it is not, -1 = nobody knows */
} inserter;

static fp_status insert_number(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(*(const int64_t *)user_data) };

    return fp_tx_exec(tx, "INSERT INTO t (id) VALUES ($1)", params, 1, NULL, err);
}

static void *insert_thread(void *arg)
{
    inserter *in = arg;

    while (!atomic_load(in->stop) && in->count < IDS_MAX) {
        int64_t id = in->first + (int64_t)in->count;
        fp_error err = { 0 };
        fp_status rc = fp_database_transact(in->db, 0, insert_number, &id, &err);

        if (rc < 0 && rc != FILEPROC_ERR_BUSY)
            ck_assert_msg(rc == FILEPROC_ERR_IO && (err.flags & FILEPROC_ERROR_UNCERTAIN), "%s",
                          err.message);
        in->told[in->count++] = rc == FILEPROC_OK ? 1 : rc == FILEPROC_ERR_BUSY ? 0 : -1;
        in->kept += rc == FILEPROC_OK;
        in->refused += rc == FILEPROC_ERR_BUSY;
        in->unknown += rc == FILEPROC_ERR_IO;
        atomic_store(&in->progress, in->kept);
    }
    return NULL;
}

static void check_told(const server *s, const inserter *in)
{
    char *found = calloc(1, IDS_MAX);
    PGconn *pg = PQconnectdb(s->uri);
    char sql[128];
    PGresult *rows;

    ck_assert_ptr_nonnull(found);
    snprintf(sql, sizeof(sql), "SELECT id FROM t WHERE id >= %lld AND id < %lld",
             (long long)in->first, (long long)in->first + IDS_MAX);
    rows = PQexec(pg, sql);
    ck_assert_int_eq(PQresultStatus(rows), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(rows); i++)
        found[strtoll(PQgetvalue(rows, i, 0), NULL, 10) - in->first]++;
    for (size_t i = 0; i < in->count; i++)
        ck_assert_msg(in->told[i] < 0 ? found[i] <= 1 : found[i] == in->told[i],
                      "told %d, found %d times", in->told[i], found[i]);
    PQclear(rows);
    PQfinish(pg);
    free(found);
}

static void wait_for_progress(inserter **in)
{
    for (size_t i = 0; i < WORKERS; i++) {
        size_t before = atomic_load(&in[i]->progress);
        int64_t end = fpi_monotonic_ms() + 5000;

        while (atomic_load(&in[i]->progress) == before && fpi_monotonic_ms() < end)
            pause_ms(10);
        ck_assert_uint_gt(atomic_load(&in[i]->progress), before);
    }
}

START_TEST(restarts_under_load_lose_nothing_and_invent_nothing)
{
    static const char *const ways[] = { "FILEPROC_STOP=immediate", "FILEPROC_STOP=fast" };
    pthread_t threads[WORKERS];
    inserter *in[WORKERS];
    _Atomic int stop = 0;
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    size_t kept = 0, unknown = 0;
    const server *s = &servers[0];

    open_here(s, 5000, &ctx, &db);
    must_sql(db, "CREATE TABLE t (id BIGINT)"); /* no key: twice would be seen */
    for (size_t i = 0; i < WORKERS; i++) {
        in[i] = calloc(1, sizeof(*in[i]));
        ck_assert_ptr_nonnull(in[i]);
        in[i]->db = db;
        in[i]->first = (int64_t)i * 1000000;
        in[i]->stop = &stop;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, insert_thread, in[i]), 0);
    }
    for (int round = 0; round < 6; round++) {
        wait_for_progress(in);
        command(s, ways[round % 2], "stop", NULL);
        command(s, "", "start", NULL);
    }
    wait_for_progress(in);
    atomic_store(&stop, 1);
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        check_told(s, in[i]);
        kept += in[i]->kept;
        unknown += in[i]->unknown;
        ck_assert_uint_eq(in[i]->refused, 0); /* it was away for less than they wait */
        free(in[i]);
    }
    ck_assert_uint_gt(kept, 100);
    ck_assert_uint_le(unknown, 3 * WORKERS); /* at most those that were in COMMIT at a crash */
    fp_database_free(db);
    fp_context_free(ctx);
}
END_TEST

START_TEST(server_away_for_long_is_told_fast_and_found_again)
{
    const char *slow = getenv("FILEPROC_SLOW");
    int64_t away_ms = slow && strcmp(slow, "yes") == 0 ? 20000 : 3000;
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    int64_t began, last = 0;
    int quick = 0, calls = 0;
    const server *s = &servers[1];

    open_here(s, 500, &ctx, &db);
    must_sql(db, "CREATE TABLE t (id BIGINT)");
    command(s, "FILEPROC_STOP=fast", "stop", NULL);
    began = fpi_monotonic_ms();
    while (fpi_monotonic_ms() - began < away_ms) {
        int64_t before = fpi_monotonic_ms();
        fp_error err = { 0 };

        ck_status(run_sql(db, "INSERT INTO t (id) VALUES (1)", &err), FILEPROC_ERR_BUSY, &err);
        ck_assert_uint_eq(err.flags & FILEPROC_ERROR_RETRYABLE, FILEPROC_ERROR_RETRYABLE);
        ck_assert_int_eq(fp_database_ping(db, &err), FILEPROC_ERR_BUSY);
        last = fpi_monotonic_ms() - before;
        calls++;
        quick += last < 50;
        pause_ms(20);
    }
    ck_assert_int_gt(quick, calls / 2);
    command(s, "", "start", NULL);
    began = fpi_monotonic_ms();
    while (run_sql(db, "INSERT INTO t (id) VALUES (2)", NULL) < 0)
        pause_ms(10);
    ck_assert_int_lt(fpi_monotonic_ms() - began, 2500);
    ck_assert_int_eq(sql_number(db, "SELECT SUM(id) FROM t"), 2);
    fp_database_free(db);
    fp_context_free(ctx);
}
END_TEST

static void make_servers(void)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++)
        server_make(&servers[i]);
}

static void remove_servers(void)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++)
        server_remove(&servers[i]);
}

int main(void)
{
    Suite *suite = suite_create("database_postgresql_restart");
    TCase *tcase = tcase_create("restart");

    if (!postgresql_server())
        return skip_suite("no PostgreSQL: FILEPROC_TEST_POSTGRESQL_URI is not set");
    tcase_set_timeout(tcase, 100);
    tcase_add_unchecked_fixture(tcase, make_servers, remove_servers);
    tcase_add_test(tcase, restarts_under_load_lose_nothing_and_invent_nothing);
    tcase_add_test(tcase, server_away_for_long_is_told_fast_and_found_again);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
