/* Owns: one connection: how it is set up, its transaction, the body that runs in it.
 * Must not know: other connections, and who waits for them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "database/database_sqlite.h"

/* Room that a log keeps on disk when it starts anew. */
#define JOURNAL_SIZE_LIMIT "16777216"
#define WAL_RETRY_MS 5

static const char common_settings[] = "PRAGMA foreign_keys = ON;"
                                      "PRAGMA synchronous = FULL;"
                                      "PRAGMA temp_store = MEMORY;"
                                      "PRAGMA trusted_schema = OFF;"
                                      "PRAGMA wal_autocheckpoint = 0;"
                                      "PRAGMA journal_size_limit = " JOURNAL_SIZE_LIMIT ";";

/* A body can't end the transaction of its neighbours, nor reach another file. */
static int authorize(void *user_data, int action, const char *a, const char *b, const char *c,
                     const char *d)
{
    const fpi_sqlite_connection *conn = user_data;

    (void)a, (void)b, (void)c, (void)d;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return conn->in_body ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

static fp_status run_settings(fpi_sqlite_connection *conn, const char *sql, fp_error *err)
{
    int code = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? FILEPROC_OK : fpi_sqlite_error(conn, code, err);
}

static fp_status set_wal(fpi_sqlite_connection *conn, bool *wal, fp_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int code;
    fp_status rc = FILEPROC_OK;

    code = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code != SQLITE_ROW)
        rc = fpi_sqlite_error(conn, code, err);
    else
        *wal = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    return rc;
}

/* When several processes make the database at once, the change to WAL answers BUSY without asking the busy time-out. */
static fp_status wait_for_wal(fpi_sqlite_connection *conn, uint32_t timeout_ms, fp_error *err)
{
    const struct timespec pause = { 0, WAL_RETRY_MS * 1000000L };
    int64_t end = fpi_monotonic_ms() + timeout_ms;
    bool wal = false;
    fp_status rc;

    while ((rc = set_wal(conn, &wal, err)) == FILEPROC_ERR_BUSY && fpi_monotonic_ms() < end)
        nanosleep(&pause, NULL);
    if (rc == FILEPROC_OK && !wal)
        rc = fp_error_setf(err, FILEPROC_ERR_IO,
                           "database: the file system can't hold a write-ahead log");
    return rc;
}

/* SQLite would make the file readable for everybody whom the umask lets. It is closed before it gets its name: closing a
 * descriptor of a file drops the locks that other connections of this process have on it. A failure is not looked at, as
 * opening says it better. */
static void make_private_file(const fp_context *ctx, const char *path)
{
    uint64_t number;
    char *temporary;
    FPI_FD fd = -1;

    if (access(path, F_OK) == 0 || fpi_random(ctx, &number, sizeof(number), NULL) < 0)
        return;
    temporary = fpi_printf(&ctx->a, "%s.new-%016" PRIx64, path, number);
    if (!temporary)
        return;
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fpi_steal_fd(&fd));
        if (link(temporary, path) < 0)
            errno = 0;
        unlink(temporary);
    }
    fpi_free(&ctx->a, temporary);
}

static fp_status set_up(fpi_sqlite_connection *conn, bool file, uint32_t busy_timeout_ms,
                        fpi_sqlite_role role, fp_error *err)
{
    fp_status rc;

    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_timeout(conn->db, (int)busy_timeout_ms);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "x" is a name, never a text */
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_set_authorizer(conn->db, authorize, conn);
    rc = run_settings(conn, common_settings, err);
    if (rc == FILEPROC_OK && file && role == FPI_SQLITE_WRITER)
        rc = wait_for_wal(conn, busy_timeout_ms, err);
    if (rc == FILEPROC_OK && role == FPI_SQLITE_READER)
        rc = run_settings(conn, "PRAGMA query_only = ON", err);
    return rc;
}

fp_status fpi_sqlite_connection_open(const fp_context *ctx, const char *path,
                                     uint32_t busy_timeout_ms, fpi_sqlite_role role,
                                     fpi_sqlite_connection **out, fp_error *err)
{
    FPI_CLEANUP(fpi_sqlite_connection) conn = NULL;
    bool file = strcmp(path, ":memory:") != 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, code;
    fp_status rc;

    conn = fpi_calloc(&ctx->a, 1, sizeof(*conn));
    if (!conn)
        return fpi_no_memory(err);
    conn->a = &ctx->a;
    if (role == FPI_SQLITE_WRITER) {
        flags |= SQLITE_OPEN_CREATE;
        if (file)
            make_private_file(ctx, path);
    }
    code = sqlite3_open_v2(path, &conn->db, flags,
                           role == FPI_SQLITE_WRITER ? fpi_sqlite_log_vfs() : NULL);
    if (!conn->db)
        return fpi_no_memory(err);
    if (code != SQLITE_OK)
        return fpi_sqlite_error(conn, code, err);
    rc = set_up(conn, file, busy_timeout_ms, role, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&conn);
    return rc;
}

void fpi_sqlite_connection_close(fpi_sqlite_connection *conn)
{
    if (!conn)
        return;
    fpi_sqlite_statements_free(conn);
    sqlite3_close_v2(conn->db);
    fpi_free(conn->a, conn);
}

fp_status fpi_sqlite_control(fpi_sqlite_connection *conn, const char *sql, fp_error *err)
{
    uint64_t changed;

    return fpi_sqlite_exec(conn, sql, NULL, 0, &changed, err);
}

void fpi_sqlite_rollback(fpi_sqlite_connection *conn)
{
    conn->doomed = 0;
    fpi_sqlite_statements_reset(conn);
    if (sqlite3_get_autocommit(conn->db) ||
        fpi_sqlite_control(conn, "ROLLBACK", NULL) == FILEPROC_OK)
        return;
    /* Out of memory for the statement: this needs none of ours. */
    sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
}

fp_status fpi_sqlite_run_body(fpi_sqlite_connection *conn, bool readonly, fpi_sqlite_body body,
                              void *body_data, fp_error *err)
{
    fp_status rc;

    conn->in_body = true;
    conn->readonly = readonly;
    rc = body(conn, body_data, err);
    conn->in_body = false;
    conn->readonly = false;
    fpi_sqlite_statements_reset(conn);
    if (conn->doomed && rc >= 0)
        rc = fpi_sqlite_error(conn, conn->doomed, err);
    return rc;
}

fp_status fpi_sqlite_data_version(fpi_sqlite_connection *conn, int64_t *version, fp_error *err)
{
    void *rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fpi_sqlite_query(conn, "PRAGMA data_version", NULL, 0, &rows, err);
    if (rc < 0)
        return rc;
    rc = fpi_sqlite_next(rows, &more, err);
    if (rc == FILEPROC_OK && more)
        *version = fpi_sqlite_column_int64(rows, 0);
    fpi_sqlite_rows_free(rows);
    return rc;
}
