/* Owns: bringing the tables to this library's version, one numbered migration after the other.
 * Must not know: any table but its own, schema_migrations. */
#include "database/migration.h"

#include <string.h>

#include "core/buf_private.h"
#include "database/database_private.h"

typedef struct migrate_call {
    fp_database *db;
    const fpi_migration *migrations;
    size_t count;
    size_t applied; /* how many the database has, after this run */
} migrate_call;

/* A row that this library does not know, or knows differently, means that somebody else made the tables. */
static fp_status check_row(const migrate_call *c, int64_t version, const char *checksum,
                           fp_error *err)
{
    if (version > (int64_t)c->count)
        return fp_error_setf(
            err, FILEPROC_ERR_CONFLICT,
            "the database has schema version %lld, this library knows only %zu: it was made by a "
            "newer libfileproc",
            (long long)version, c->count);
    if (version != (int64_t)c->applied + 1)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT,
                             "schema_migrations has version %lld where %zu was expected",
                             (long long)version, c->applied + 1);
    if (!checksum || strcmp(checksum, c->migrations[version - 1].checksum) != 0)
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT,
                             "migration %lld (%s) of the database differs from this library's",
                             (long long)version, c->migrations[version - 1].name);
    return FILEPROC_OK;
}

/* The newest first, as the message about a newer library says more than one about the rest. */
static fp_status read_newest(migrate_call *c, fp_tx *tx, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT MAX(version) FROM schema_migrations", NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK && more && fp_rows_int64(rows, 0) > (int64_t)c->count)
        rc = check_row(c, fp_rows_int64(rows, 0), NULL, err);
    return rc;
}

static fp_status read_applied(migrate_call *c, fp_tx *tx, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    c->applied = 0;
    rc = fp_tx_query(tx, "SELECT version, checksum FROM schema_migrations ORDER BY version", NULL,
                     0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    while (rc == FILEPROC_OK && more) {
        rc = check_row(c, fp_rows_int64(rows, 0), fp_rows_text(rows, 1), err);
        if (rc < 0)
            return rc;
        c->applied++;
        rc = fp_rows_next(rows, &more, err);
    }
    return rc;
}

#define UNLOGGED "CREATE UNLOGGED TABLE "

/* Not every database has tables without a log, and each of them calls it otherwise. */
static fp_status run(const migrate_call *c, fp_tx *tx, const char *statement, fp_error *err)
{
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    fp_status rc;

    if (strncmp(statement, UNLOGGED, sizeof(UNLOGGED) - 1) != 0)
        return fp_tx_exec(tx, statement, NULL, 0, NULL, err);
    rc = fpi_buf_printf(c->db->ctx, &text, err, "%s %s", fpi_database_create_unlogged(c->db),
                        statement + sizeof(UNLOGGED) - 1);
    if (rc == FILEPROC_OK)
        rc = fp_tx_exec(tx, text.data, NULL, 0, NULL, err);
    return rc;
}

static fp_status apply(const migrate_call *c, fp_tx *tx, const fpi_migration *m, fp_error *err)
{
    const fp_value row[] = { FILEPROC_V_INT(m->version), FILEPROC_V_TEXT(m->name),
                             FILEPROC_V_TEXT(m->checksum), FILEPROC_V_INT(fpi_now_ms(c->db->ctx)) };
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < m->count; i++)
        rc = run(c, tx, m->statements[i], err);
    if (rc < 0)
        return rc;
    return fp_tx_exec(tx,
                      "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
                      " VALUES ($1, $2, $3, $4)",
                      row, 4, NULL, err);
}

/* Where there is one writer at a time, a writing transaction is the lock between processes. Others have a lock of their own; once
 * they have got it, each statement must see what the one before them has done: READ COMMITTED. */
static fp_status migrate_one(fp_tx *tx, void *user_data, fp_error *err)
{
    migrate_call *c = user_data;
    fp_status rc;

    rc = fpi_database_lock_migrations(tx, err);
    if (rc == FILEPROC_OK)
        rc = fp_tx_exec(tx,
                        "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY,"
                        " name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)",
                        NULL, 0, NULL, err);
    if (rc == FILEPROC_OK)
        rc = read_newest(c, tx, err);
    if (rc == FILEPROC_OK)
        rc = read_applied(c, tx, err);
    if (rc < 0 || c->applied == c->count)
        return rc;
    rc = apply(c, tx, &c->migrations[c->applied], err);
    if (rc == FILEPROC_OK)
        c->applied++;
    return rc;
}

fp_status fpi_migrate(fp_database *db, const fpi_migration *migrations, size_t count, fp_error *err)
{
    migrate_call call = { db, migrations, count, 0 };
    fp_status rc;

    do
        rc = fp_database_transact(db, FILEPROC_TX_READ_COMMITTED, migrate_one, &call, err);
    while (rc == FILEPROC_OK && call.applied < count);
    return rc;
}

fp_status fp_database_migrate(fp_database *db, fp_error *err)
{
    if (!db)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "db is NULL");
    return fpi_migrate(db, fpi_migrations, fpi_migration_count, err);
}
