/* Owns: the public face of a database: picking its driver, checking arguments, transactions and rows as handles.
 * Must not know: any driver, any table. */
#include <limits.h>
#include <string.h>

#include "core/options.h"
#include "core/uri.h"
#include "database/database_private.h"

#define DEFAULT_MAX_READERS 4u
#define MAX_READERS 64u
#define DEFAULT_BUSY_TIMEOUT_MS 5000u
#define MAX_PARAMETERS 1000u
#define KNOWN_FLAGS (FILEPROC_TX_READONLY | FILEPROC_TX_READ_COMMITTED)
/* A driver of somebody else may be older, and end before a slot. */
#define DRIVER_HAS(d, slot)                                                                        \
    ((d)->struct_size >= offsetof(fp_database_driver, slot) + sizeof((d)->slot) && (d)->slot)

struct fp_tx {
    fp_database *db;
    void *t;
};

struct fp_rows {
    fp_database *db;
    void *r;
    int32_t on_row; /* columns may be read */
};

static const fp_database_driver *find_driver(const fp_context *ctx, const char *scheme)
{
    for (size_t i = 0; i < ctx->database_drivers.count; i++) {
        const fp_database_driver *drv = ctx->database_drivers.items[i];

        if (strcmp(drv->scheme, scheme) == 0)
            return drv;
    }
    for (size_t i = 0; fpi_database_drivers[i]; i++)
        if (strcmp(fpi_database_drivers[i]->scheme, scheme) == 0)
            return fpi_database_drivers[i];
    return NULL;
}

static fp_status import_options(fp_database_options *o, const fp_database_options *theirs,
                                fp_error *err)
{
    fp_status rc;

    *o = (fp_database_options)FILEPROC_DATABASE_OPTIONS_INIT;
    rc = fpi_options_import(o, sizeof(*o), theirs, err);
    if (rc < 0)
        return rc;
    if (!o->max_readers)
        o->max_readers = DEFAULT_MAX_READERS;
    if (!o->busy_timeout_ms)
        o->busy_timeout_ms = DEFAULT_BUSY_TIMEOUT_MS;
    if (o->max_readers > MAX_READERS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "max_readers is over %u", MAX_READERS);
    if (o->busy_timeout_ms > INT_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "busy_timeout_ms is too large");
    return FILEPROC_OK;
}

fp_status fp_database_open(fp_context *ctx, const char *uri, const fp_database_options *opts,
                           fp_database **out, fp_error *err)
{
    FPI_CLEANUP(fp_database) db = NULL;
    fp_database_options o;
    char scheme[32];
    fp_status rc;

    if (!ctx || !uri || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (strnlen(uri, FPI_URI_MAX + 1) > FPI_URI_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI is longer than 4096 bytes");
    rc = import_options(&o, opts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uri_scheme(uri, scheme, err);
    if (rc < 0)
        return rc;
    scheme[strcspn(scheme, "+")] =
        '\0'; /* postgresql+asyncpg: is for programs in another language */
    db = fpi_calloc(&ctx->a, 1, sizeof(*db));
    if (!db)
        return fpi_no_memory(err);
    db->ctx = ctx;
    db->drv = find_driver(ctx, scheme);
    if (!db->drv)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "no database driver for the scheme %s",
                             scheme);
    rc = db->drv->open(ctx, uri, &o, &db->self, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&db);
    return FILEPROC_OK;
}

void fp_database_free(fp_database *db)
{
    if (!db)
        return;
    if (db->self)
        db->drv->close(db->self);
    fpi_free(&db->ctx->a, db);
}

typedef struct tx_call {
    fp_database *db;
    fp_tx_fn fn;
    void *user_data;
} tx_call;

static fp_status run_body(void *t, void *body_data, fp_error *err)
{
    tx_call *call = body_data;
    fp_tx tx = { call->db, t };

    return call->fn(&tx, call->user_data, err);
}

/* The body's error goes into a record of our own: it may have been filled by a run that was repeated, or by
 * a failure that the body chose to live with. */
fp_status fp_database_transact(fp_database *db, uint32_t flags, fp_tx_fn fn, void *user_data,
                               fp_error *err)
{
    tx_call call = { db, fn, user_data };
    fp_error e = { 0 };
    fp_status rc;

    if (!db || !fn)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (flags & ~KNOWN_FLAGS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "unknown flags");
    rc = db->drv->transact(db->self, flags, run_body, &call, &e);
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status check_statement(const fp_tx *tx, const char *sql, const fp_value *params,
                                 size_t count, fp_error *err)
{
    if (!tx || !sql || (!params && count))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (count > MAX_PARAMETERS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "more than %u parameters", MAX_PARAMETERS);
    for (size_t i = 0; i < count; i++)
        if (params[i].kind < FILEPROC_VALUE_NULL || params[i].kind > FILEPROC_VALUE_TEXT)
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "parameter $%zu is of an unknown kind",
                                 i + 1);
    return FILEPROC_OK;
}

fp_status fp_tx_exec(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                     uint64_t *changed, fp_error *err)
{
    fp_status rc = check_statement(tx, sql, params, count, err);
    uint64_t n = 0;

    if (rc < 0)
        return rc;
    rc = tx->db->drv->exec(tx->t, sql, params, count, &n, err);
    if (rc == FILEPROC_OK && changed)
        *changed = n;
    return rc;
}

fp_status fpi_tx_exec_each(fp_tx *tx, const char *sql, const fp_value *params, size_t width,
                           size_t times, uint64_t *changed, fp_error *err)
{
    const fp_database_driver *drv = tx->db->drv;
    fp_status rc = FILEPROC_OK;

    if (DRIVER_HAS(drv, exec_each))
        return drv->exec_each(tx->t, sql, params, width, times, changed, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < times; i++)
        rc = drv->exec(tx->t, sql, params + i * width, width, &changed[i], err);
    return rc;
}

fp_status fp_tx_query(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                      fp_rows **out, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    fp_status rc = check_statement(tx, sql, params, count, err);

    if (rc < 0)
        return rc;
    if (!out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rows = fpi_calloc(&tx->db->ctx->a, 1, sizeof(*rows));
    if (!rows)
        return fpi_no_memory(err);
    rows->db = tx->db;
    rc = tx->db->drv->query(tx->t, sql, params, count, &rows->r, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&rows);
    return FILEPROC_OK;
}

fp_status fp_rows_next(fp_rows *rows, int32_t *more, fp_error *err)
{
    int32_t row = 0;
    fp_status rc;

    if (!rows || !more)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rows->on_row = 0;
    rc = rows->db->drv->next(rows->r, &row, err);
    if (rc < 0)
        return rc;
    rows->on_row = row;
    *more = row;
    return FILEPROC_OK;
}

int64_t fp_rows_int64(fp_rows *rows, uint32_t column)
{
    return rows && rows->on_row ? rows->db->drv->column_int64(rows->r, column) : 0;
}

double fp_rows_double(fp_rows *rows, uint32_t column)
{
    return rows && rows->on_row ? rows->db->drv->column_double(rows->r, column) : 0.0;
}

const char *fp_rows_text(fp_rows *rows, uint32_t column)
{
    return rows && rows->on_row ? rows->db->drv->column_text(rows->r, column) : NULL;
}

void fp_rows_free(fp_rows *rows)
{
    if (!rows)
        return;
    if (rows->r)
        rows->db->drv->rows_free(rows->r);
    fpi_free(&rows->db->ctx->a, rows);
}

static fp_status select_one(fp_tx *tx, void *user_data, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    (void)user_data;
    rc = fp_tx_query(tx, "SELECT 1", NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc;
}

/* SELECT 1 alone may be answered without touching a file; the counter is not. */
fp_status fp_database_ping(fp_database *db, fp_error *err)
{
    int64_t counter;
    fp_status rc;

    if (!db)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_database_change_counter(db, &counter, err);
    if (rc < 0)
        return rc;
    return fp_database_transact(db, FILEPROC_TX_READONLY, select_one, NULL, err);
}

fp_status fpi_database_change_counter(fp_database *db, int64_t *counter, fp_error *err)
{
    return db->drv->change_counter(db->self, counter, err);
}

const char *fpi_database_skip_locked(const fp_database *db)
{
    return DRIVER_HAS(db->drv, skip_locked) ? db->drv->skip_locked : "";
}

const char *fpi_database_pick_begin(const fp_database *db)
{
    return DRIVER_HAS(db->drv, pick_end) ? db->drv->pick_begin : "id IN (SELECT id";
}

const char *fpi_database_pick_end(const fp_database *db)
{
    return DRIVER_HAS(db->drv, pick_end) ? db->drv->pick_end : ")";
}

const char *fpi_database_now_ms(const fp_database *db)
{
    return DRIVER_HAS(db->drv, now_ms) ? db->drv->now_ms : NULL;
}

const char *fpi_database_create_unlogged(const fp_database *db)
{
    return DRIVER_HAS(db->drv, create_unlogged) ? db->drv->create_unlogged : "CREATE TABLE";
}

fp_status fpi_database_lock_migrations(fp_tx *tx, fp_error *err)
{
    const fp_database_driver *drv = tx->db->drv;

    return DRIVER_HAS(drv, lock_migrations) ? drv->lock_migrations(tx->t, err) : FILEPROC_OK;
}

bool fpi_database_can_wait(const fp_database *db)
{
    return DRIVER_HAS(db->drv, wait_change);
}

fp_status fpi_database_ring(fp_database *db, fp_error *err)
{
    return DRIVER_HAS(db->drv, ring_change) ? db->drv->ring_change(db->self, err) : FILEPROC_OK;
}

fp_status fpi_database_wait_change(fp_database *db, int32_t wake_fd, uint32_t timeout_ms,
                                   int32_t *changed, fp_error *err)
{
    return db->drv->wait_change(db->self, wake_fd, timeout_ms, changed, err);
}
