/* Owns: what the files of the SQLite driver share: one connection, its statements, the writer, the readers.
 * Must not know: any table. */
#ifndef FPI_DATABASE_SQLITE_H
#define FPI_DATABASE_SQLITE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <sqlite3.h>

#include "database/database_private.h"

/** Statements that a connection keeps prepared. */
#define FPI_SQLITE_STATEMENTS 128

typedef struct fpi_sqlite_connection fpi_sqlite_connection;

/** A prepared statement: also what the driver calls rows, while they are read. */
typedef struct fpi_sqlite_statement {
    fpi_sqlite_connection *conn;
    sqlite3_stmt *stmt;
    const char *sql;
    uint64_t hash;
    uint64_t used; /* when, by the connection's count */
    size_t count;  /* parameters */
    int pending; /* SQLITE_ROW, SQLITE_DONE: the result of a step that the caller has not seen yet; 0 = none */
    bool busy;     /* being read */
    bool kept;     /* in the connection's table */
    bool control;  /* the driver's own; a body asking for the same text does not get it */
    int numbers[]; /* of SQLite's parameter i + 1: the N of its $N. The text stands behind them. */
} fpi_sqlite_statement;

/** What the driver calls a transaction. One thread at a time. */
struct fpi_sqlite_connection {
    const fp_allocator *a;
    sqlite3 *db;
    fpi_sqlite_statement *statements[FPI_SQLITE_STATEMENTS];
    uint64_t count; /* of uses */
    size_t busy;    /* statements being read */
    int doomed;     /* the SQLite code that ended the transaction underneath its body; 0 = none */
    bool in_body;   /* a body is running: it may not end the transaction */
    bool readonly;  /* ... nor write */
};

typedef fp_status (*fpi_sqlite_body)(void *t, void *body_data, fp_error *err);

/** Fills err from a SQLite result code and the connection's message. */
fp_status fpi_sqlite_error(const fpi_sqlite_connection *conn, int code, fp_error *err);

typedef enum fpi_sqlite_role {
    FPI_SQLITE_WRITER,
    FPI_SQLITE_READER,
    FPI_SQLITE_CHECKPOINTER
} fpi_sqlite_role;

/** path is a file or ":memory:". Only the writer makes the file. */
fp_status fpi_sqlite_connection_open(const fp_context *ctx, const char *path,
                                     uint32_t busy_timeout_ms, fpi_sqlite_role role,
                                     fpi_sqlite_connection **out, fp_error *err);
void fpi_sqlite_connection_close(fpi_sqlite_connection *conn);
FPI_DEFINE_CLEANUP(fpi_sqlite_connection, fpi_sqlite_connection_close)

/** The name of the VFS through which the writer opens its file; NULL = the default one. */
const char *fpi_sqlite_log_vfs(void);
/** Between true and false what goes to the log is gathered, until it is synced. For the time that COMMIT runs, with the write lock held. */
void fpi_sqlite_log_gather(sqlite3 *db, bool gathering);

/** One of the driver's own statements: BEGIN, COMMIT, ... */
fp_status fpi_sqlite_control(fpi_sqlite_connection *conn, const char *sql, fp_error *err);
/** Ends a transaction, also one that SQLite has ended already. */
void fpi_sqlite_rollback(fpi_sqlite_connection *conn);
/** Runs a body in the open transaction. When conn->doomed is set afterwards, the transaction is gone, whatever the body
 *  said. */
fp_status fpi_sqlite_run_body(fpi_sqlite_connection *conn, bool readonly, fpi_sqlite_body body,
                              void *body_data, fp_error *err);
/** A number that changes when another connection has committed. */
fp_status fpi_sqlite_data_version(fpi_sqlite_connection *conn, int64_t *version, fp_error *err);

/** The slots of the driver that work on a transaction or its rows. */
fp_status fpi_sqlite_exec(void *t, const char *sql, const fp_value *params, size_t count,
                          uint64_t *changed, fp_error *err);
fp_status fpi_sqlite_query(void *t, const char *sql, const fp_value *params, size_t count, void **r,
                           fp_error *err);
fp_status fpi_sqlite_next(void *r, int32_t *more, fp_error *err);
int64_t fpi_sqlite_column_int64(void *r, uint32_t column);
double fpi_sqlite_column_double(void *r, uint32_t column);
const char *fpi_sqlite_column_text(void *r, uint32_t column);
void fpi_sqlite_rows_free(void *r);
/** Ends what a body left open. */
void fpi_sqlite_statements_reset(fpi_sqlite_connection *conn);
void fpi_sqlite_statements_free(fpi_sqlite_connection *conn);

/** The one writing connection, whose transactions are committed in groups. Shared. */
typedef struct fpi_sqlite_writer fpi_sqlite_writer;
fp_status fpi_sqlite_writer_open(fp_context *ctx, const char *path, uint32_t busy_timeout_ms,
                                 bool log, fpi_sqlite_writer **out, fp_error *err);
void fpi_sqlite_writer_close(fpi_sqlite_writer *w);
FPI_DEFINE_CLEANUP(fpi_sqlite_writer, fpi_sqlite_writer_close)
fp_status fpi_sqlite_write(fpi_sqlite_writer *w, bool readonly, fpi_sqlite_body body,
                           void *body_data, fp_error *err);
/** Does not wait for a transaction: while one runs, the number is that of its beginning. */
fp_status fpi_sqlite_writer_version(fpi_sqlite_writer *w, int64_t *version, fp_error *err);

/** The pool of reading connections. Shared. */
typedef struct fpi_sqlite_readers fpi_sqlite_readers;
fp_status fpi_sqlite_readers_new(fp_context *ctx, const char *path, const fp_database_options *opts,
                                 fpi_sqlite_readers **out, fp_error *err);
void fpi_sqlite_readers_free(fpi_sqlite_readers *readers);
FPI_DEFINE_CLEANUP(fpi_sqlite_readers, fpi_sqlite_readers_free)
fp_status fpi_sqlite_read(fpi_sqlite_readers *readers, fpi_sqlite_body body, void *body_data,
                          fp_error *err);

#endif
