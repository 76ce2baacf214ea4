/* Owns: the PostgreSQL driver as the core sees it: its slots.
 * Must not know: how any of them works. */
#include <stdlib.h>

#include "database/database_postgresql.h"

#define RING_MS 100

typedef struct postgresql {
    fp_context *ctx;
    fpi_postgresql_pool *pool;
    fpi_postgresql_bell *bell;
} postgresql;

static void postgresql_close(void *self)
{
    postgresql *p = self;

    if (!p)
        return;
    fpi_postgresql_bell_free(p->bell);
    fpi_postgresql_pool_free(p->pool);
    fpi_free(&p->ctx->a, p);
}
FPI_DEFINE_CLEANUP(postgresql, postgresql_close)

/* One connection is made at once, so that a wrong password is not only noticed hours later. */
static fp_status try_out(const postgresql *p, fp_error *err)
{
    int64_t deadline_ms = fpi_monotonic_ms() + fpi_postgresql_pool_patience_ms(p->pool);
    fpi_postgresql_connection *conn;
    fp_status rc = fpi_postgresql_pool_take(p->pool, deadline_ms, &conn, err);

    if (rc == FILEPROC_OK)
        fpi_postgresql_pool_give(p->pool, conn);
    return rc;
}

static fp_status postgresql_open(fp_context *ctx, const char *uri, const fp_database_options *opts,
                                 void **self, fp_error *err)
{
    FPI_CLEANUP(postgresql) p = NULL;
    fp_status rc;

    if (!PQisthreadsafe())
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this libpq was built without threads");
    p = fpi_calloc(&ctx->a, 1, sizeof(*p));
    if (!p)
        return fpi_no_memory(err);
    p->ctx = ctx;
    rc = fpi_postgresql_pool_new(ctx, uri, opts, &p->pool, err);
    if (rc == FILEPROC_OK)
        rc = fpi_postgresql_bell_new(ctx, p->pool, &p->bell, err);
    if (rc == FILEPROC_OK)
        rc = try_out(p, err);
    if (rc == FILEPROC_OK)
        *self = fpi_steal(&p);
    return rc;
}

static fp_status postgresql_transact(void *self, uint32_t flags, fpi_postgresql_body body,
                                     void *body_data, fp_error *err)
{
    const postgresql *p = self;

    return fpi_postgresql_transact(p->ctx, p->pool, flags, body, body_data, err);
}

/* Which transactions have ended and which are at it changes with every commit of any database of the server: too often is no
 * harm. */
static fp_status read_counter(void *t, void *body_data, fp_error *err)
{
    PGresult *result = NULL;
    fp_status rc;

    rc = fpi_postgresql_execute(t, "SELECT hashtextextended(pg_current_snapshot()::text, 0)", NULL,
                                0, &result, err);
    if (rc == FILEPROC_OK && PQntuples(result) == 1)
        *(int64_t *)body_data = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return rc;
}

static fp_status postgresql_change_counter(void *self, int64_t *counter, fp_error *err)
{
    fp_error e = { 0 };
    int64_t number = 0;
    fp_status rc = postgresql_transact(self, FILEPROC_TX_READONLY, read_counter, &number, &e);

    if (rc == FILEPROC_OK)
        *counter = number;
    else if (err)
        *err = e;
    return rc;
}

/* The lock lasts as long as the transaction. Who waits for it must not be cut off by the limits of everyday statements, nor a
 * migration that takes its time. */
static fp_status postgresql_lock_migrations(void *t, fp_error *err)
{
    static const char *const steps[] = {
        "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)",
        "SELECT pg_advisory_xact_lock(hashtext('fileproc'), hashtext(current_schema()))"
    };
    fp_status rc = FILEPROC_OK;

    ((fpi_postgresql_connection *)t)->unlimited = true;
    for (size_t i = 0; rc == FILEPROC_OK && i < sizeof(steps) / sizeof(*steps); i++) {
        PGresult *result = NULL;

        rc = fpi_postgresql_execute(t, steps[i], NULL, 0, &result, err);
        PQclear(result);
    }
    return rc;
}

/* Not worth a long wait: who does not hear it looks by himself, later. */
static fp_status postgresql_ring_change(void *self, fp_error *err)
{
    const postgresql *p = self;
    int64_t deadline_ms = fpi_monotonic_ms() + RING_MS;
    fpi_postgresql_connection *conn;
    fp_status rc = fpi_postgresql_pool_take(p->pool, deadline_ms, &conn, err);

    if (rc < 0)
        return rc;
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_OWED, "NOTIFY " FPI_POSTGRESQL_CHANNEL);
    fpi_postgresql_leave(conn);
    fpi_postgresql_pool_give(p->pool, conn);
    return FILEPROC_OK;
}

static fp_status postgresql_wait_change(void *self, int32_t wake_fd, uint32_t timeout_ms,
                                        int32_t *changed, fp_error *err)
{
    const postgresql *p = self;

    return fpi_postgresql_bell_wait(p->bell, wake_fd, timeout_ms, changed, err);
}

#define SLOTS                                                                                      \
    .open = postgresql_open, .close = postgresql_close, .transact = postgresql_transact,           \
    .exec = fpi_postgresql_exec, .query = fpi_postgresql_query, .next = fpi_postgresql_next,       \
    .column_int64 = fpi_postgresql_column_int64, .column_double = fpi_postgresql_column_double,    \
    .column_text = fpi_postgresql_column_text, .rows_free = fpi_postgresql_rows_free,              \
    .change_counter = postgresql_change_counter, .skip_locked = " FOR UPDATE SKIP LOCKED",         \
    .lock_migrations = postgresql_lock_migrations, .ring_change = postgresql_ring_change,          \
    .wait_change = postgresql_wait_change, .exec_each = fpi_postgresql_exec_each,                  \
    .pick_begin = "ctid = ANY (ARRAY(SELECT ctid", .pick_end = " FOR UPDATE SKIP LOCKED))",        \
    .now_ms = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",                      \
    .create_unlogged = "CREATE UNLOGGED TABLE"

const fp_database_driver fpi_database_postgresql_driver = {
    FILEPROC_DATABASE_DRIVER_INIT("postgresql"), SLOTS
};
/* libpq knows both names. */
const fp_database_driver fpi_database_postgres_driver = { FILEPROC_DATABASE_DRIVER_INIT("postgres"),
                                                          SLOTS };
