/* Owns: the database benchmark: rows inserted, then claimed one by one and finished, each step a transaction on disk, by several
 * threads; and reads by key.
 * Must not know: internals. Prints one JSON line per URI. Usage: bench_database THREADS ROWS URI... */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

#define MAX_THREADS 64

static fp_database *database;
static const char *claim;
static atomic_int next, done;
static int rows_wanted;

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

static fp_status statement(fp_tx *tx, void *user_data, fp_error *err)
{
    return fp_tx_exec(tx, user_data, NULL, 0, NULL, err);
}

static fp_status insert_row(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(*(const int *)user_data),
                                FILEPROC_V_TEXT(
                                    "a job's definition, some hundred bytes long as usual") };

    return fp_tx_exec(tx, "INSERT INTO bench (id, state, body) VALUES ($1, 'queued', $2)", params,
                      2, NULL, err);
}

/* *user_data becomes the row's id, or -1. */
static fp_status claim_row(fp_tx *tx, void *user_data, fp_error *err)
{
    fp_rows *rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, claim, NULL, 0, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    *(int *)user_data = more ? (int)fp_rows_int64(rows, 0) : -1;
    fp_rows_free(rows);
    return rc;
}

static fp_status finish_row(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(*(const int *)user_data) };

    return fp_tx_exec(tx, "UPDATE bench SET state = 'done' WHERE id = $1 AND state = 'running'",
                      params, 1, NULL, err);
}

static fp_status read_row(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(*(const int *)user_data) };
    fp_rows *rows = NULL;
    int32_t more = 0;
    fp_status rc =
        fp_tx_query(tx, "SELECT id, state, body FROM bench WHERE id = $1", params, 1, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    fp_rows_free(rows);
    return rc;
}

static void *insert(void *arg)
{
    fp_error err = { 0 };
    int id;

    while ((id = atomic_fetch_add(&next, 1)) < rows_wanted)
        must(fp_database_transact(database, 0, insert_row, &id, &err), &err);
    return arg;
}

static void *work(void *arg)
{
    fp_error err = { 0 };
    int id = 0;

    while (id >= 0) {
        must(fp_database_transact(database, FILEPROC_TX_READ_COMMITTED, claim_row, &id, &err),
             &err);
        if (id >= 0)
            must(fp_database_transact(database, FILEPROC_TX_READ_COMMITTED, finish_row, &id, &err),
                 &err);
        atomic_fetch_add(&done, id >= 0);
    }
    return arg;
}

static void *read_rows(void *arg)
{
    fp_error err = { 0 };
    int id;

    while ((id = atomic_fetch_add(&next, 1)) < rows_wanted)
        must(fp_database_transact(database, FILEPROC_TX_READONLY, read_row, &id, &err), &err);
    return arg;
}

/* Transactions per second. */
static double run(int threads, void *(*fn)(void *), int transactions)
{
    pthread_t ids[MAX_THREADS];
    struct timespec start, end;

    atomic_store(&next, 0);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, fn, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return transactions /
           ((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
}

static void measure(fp_context *ctx, const char *uri, int threads)
{
    const int postgresql = strncmp(uri, "postgres", 8) == 0;
    double inserts, claims, reads;
    fp_error err = { 0 };
    char sql[256];

    snprintf(sql, sizeof(sql),
             "UPDATE bench SET state = 'running' WHERE id = (SELECT id FROM bench WHERE state ="
             " 'queued' ORDER BY id LIMIT 1%s) RETURNING id",
             postgresql ? " FOR UPDATE SKIP LOCKED" : "");
    claim = sql;
    must(fp_database_open(ctx, uri, NULL, &database, &err), &err);
    must(fp_database_transact(database, 0, statement, "DROP TABLE IF EXISTS bench", &err), &err);
    must(fp_database_transact(database, 0, statement,
                              "CREATE TABLE bench (id BIGINT PRIMARY KEY, state TEXT, body TEXT)",
                              &err),
         &err);
    must(fp_database_transact(database, 0, statement,
                              "CREATE INDEX bench_queued ON bench (id) WHERE state = 'queued'",
                              &err),
         &err);
    inserts = run(threads, insert, rows_wanted);
    atomic_store(&done, 0);
    claims = run(threads, work, 2 * rows_wanted);
    reads = run(threads, read_rows, rows_wanted);
    if (atomic_load(&done) != rows_wanted) {
        fprintf(stderr, "%d of %d rows were claimed\n", atomic_load(&done), rows_wanted);
        exit(1);
    }
    must(fp_database_transact(database, 0, statement, "DROP TABLE bench", &err), &err);
    printf("{\"database\": \"%s\", \"threads\": %d, \"inserts_per_s\": %.0f, "
           "\"claims_and_ends_per_s\": %.0f, \"reads_per_s\": %.0f}\n",
           postgresql ? "postgresql" : "sqlite", threads, inserts, claims, reads);
    fp_database_free(database);
}

int main(int argc, char **argv)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    int threads;

    if (argc < 4)
        return 2;
    threads = (int)strtol(argv[1], NULL, 10);
    rows_wanted = (int)strtol(argv[2], NULL, 10);
    if (threads < 1 || threads > MAX_THREADS || rows_wanted < 1)
        return 2;
    must(fp_context_new(NULL, &ctx, &err), &err);
    for (int i = 3; i < argc; i++)
        measure(ctx, argv[i], threads);
    fp_context_free(ctx);
    return 0;
}
