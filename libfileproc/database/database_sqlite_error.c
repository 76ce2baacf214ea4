/* Owns: what SQLite's result codes mean to the library's callers.
 * Must not know: transactions. */
#include <errno.h>

#include "core/error_private.h"
#include "database/database_sqlite.h"

static fp_status constraint_status(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return FILEPROC_ERR_EXISTS;
    default:
        return FILEPROC_ERR_CONFLICT;
    }
}

/* SQLITE_FULL is only what write() said; a sync, a quota or the shared memory file say it with an errno. */
static bool is_full(const fpi_sqlite_connection *conn, int code)
{
    int number;

    if ((code & 0xFF) == SQLITE_FULL)
        return true;
    if ((code & 0xFF) != SQLITE_IOERR && (code & 0xFF) != SQLITE_CANTOPEN)
        return false;
    number = sqlite3_system_errno(conn->db);
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

static fp_status status_of(int code)
{
    if (code == SQLITE_IOERR_NOMEM)
        return FILEPROC_ERR_NOMEM;
    switch (code & 0xFF) {
    case SQLITE_NOMEM:
        return FILEPROC_ERR_NOMEM;
    case SQLITE_CONSTRAINT:
        return constraint_status(code);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return FILEPROC_ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FILEPROC_ERR_CORRUPT;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_AUTH:
    case SQLITE_MISUSE:
        return FILEPROC_ERR_INVALID;
    default:
        return FILEPROC_ERR_IO;
    }
}

fp_status fpi_sqlite_error(const fpi_sqlite_connection *conn, int code, fp_error *err)
{
    const char *message = sqlite3_errmsg(conn->db);
    fp_status status = status_of(code);

    if (status == FILEPROC_ERR_NOMEM)
        return fpi_no_memory(err);
    if (is_full(conn, code))
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL,
                                "database: no space left");
    if ((code & 0xFF) == SQLITE_AUTH)
        message = "this statement is not allowed inside a transaction";
    else if ((sqlite3_errcode(conn->db) & 0xFF) != (code & 0xFF))
        message = sqlite3_errstr(code); /* the connection speaks of something that came later */
    return fpi_error_causef(err, status, "sqlite", code, "database: %s", message);
}
