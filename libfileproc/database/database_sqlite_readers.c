/* Owns: the pool of reading connections and the snapshots that bodies see on them.
 * Must not know: the writer. */
#include <pthread.h>
#include <string.h>

#include "database/database_sqlite.h"

struct fpi_sqlite_readers {
    fp_context *ctx;
    char *path;
    uint32_t busy_timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    size_t open; /* connections that exist, in use or idle */
    size_t idle_count;
    size_t max;
    fpi_sqlite_connection *idle[];
};

fp_status fpi_sqlite_readers_new(fp_context *ctx, const char *path, const fp_database_options *opts,
                                 fpi_sqlite_readers **out, fp_error *err)
{
    FPI_CLEANUP(fpi_sqlite_readers) readers = NULL;

    readers =
        fpi_calloc(&ctx->a, 1, sizeof(*readers) + opts->max_readers * sizeof(readers->idle[0]));
    if (!readers)
        return fpi_no_memory(err);
    readers->ctx = ctx;
    readers->busy_timeout_ms = opts->busy_timeout_ms;
    readers->max = opts->max_readers;
    pthread_mutex_init(&readers->lock, NULL);
    pthread_cond_init(&readers->returned, NULL);
    readers->path = fpi_strdup(&ctx->a, path);
    if (!readers->path)
        return fpi_no_memory(err);
    *out = fpi_steal(&readers);
    return FILEPROC_OK;
}

void fpi_sqlite_readers_free(fpi_sqlite_readers *readers)
{
    if (!readers)
        return;
    while (readers->idle_count)
        fpi_sqlite_connection_close(readers->idle[--readers->idle_count]);
    pthread_cond_destroy(&readers->returned);
    pthread_mutex_destroy(&readers->lock);
    fpi_free(&readers->ctx->a, readers->path);
    fpi_free(&readers->ctx->a, readers);
}

/* The connection used last comes first: its cache is the warmest. NULL = the caller may open one more. */
static fpi_sqlite_connection *take_idle(fpi_sqlite_readers *readers)
{
    fpi_sqlite_connection *conn = NULL;

    pthread_mutex_lock(&readers->lock);
    while (!readers->idle_count && readers->open == readers->max)
        pthread_cond_wait(&readers->returned, &readers->lock);
    if (readers->idle_count)
        conn = readers->idle[--readers->idle_count];
    else
        readers->open++;
    pthread_mutex_unlock(&readers->lock);
    return conn;
}

/* NULL = the connection is no more, its place is free. */
static void give_back(fpi_sqlite_readers *readers, fpi_sqlite_connection *conn)
{
    pthread_mutex_lock(&readers->lock);
    if (conn)
        readers->idle[readers->idle_count++] = conn;
    else
        readers->open--;
    pthread_cond_signal(&readers->returned);
    pthread_mutex_unlock(&readers->lock);
}

static fp_status acquire(fpi_sqlite_readers *readers, fpi_sqlite_connection **out, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    *out = take_idle(readers);
    if (!*out)
        rc = fpi_sqlite_connection_open(readers->ctx, readers->path, readers->busy_timeout_ms,
                                        FPI_SQLITE_READER, out, err);
    if (rc < 0)
        give_back(readers, NULL);
    return rc;
}

fp_status fpi_sqlite_read(fpi_sqlite_readers *readers, fpi_sqlite_body body, void *body_data,
                          fp_error *err)
{
    fpi_sqlite_connection *conn;
    fp_status rc = acquire(readers, &conn, err);

    if (rc < 0)
        return rc;
    rc = fpi_sqlite_control(conn, "BEGIN", err);
    if (rc == FILEPROC_OK)
        rc = fpi_sqlite_run_body(conn, true, body, body_data, err);
    fpi_sqlite_rollback(conn);
    if (!sqlite3_get_autocommit(conn->db)) {
        fpi_sqlite_connection_close(conn);
        conn = NULL;
    }
    give_back(readers, conn);
    return rc;
}
