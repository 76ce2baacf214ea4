/* Owns: connections, transactions and rows of whichever SQL database the URI names.
 * Must not know: any table. */
#ifndef FILEPROC_DATABASE_H
#define FILEPROC_DATABASE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/context.h>

FILEPROC_BEGIN_DECLS

/** An open database. Shared: any number of threads may use it, except that nothing may run beside or
 *  after fp_database_free(). */
typedef struct fp_database fp_database;
/** A transaction in progress, valid only inside the function that was given to
 *  fp_database_transact(). One thread at a time. */
typedef struct fp_tx fp_tx;
/** The rows of one query, valid only inside its transaction. One thread at a time. */
typedef struct fp_rows fp_rows;

/** Settings for fp_database_open(). Start from FILEPROC_DATABASE_OPTIONS_INIT; 0 means default. */
typedef struct fp_database_options {
    size_t struct_size;       /**< Filled by the initialiser; never by hand. */
    uint32_t max_readers;     /**< Reading connections at once; default 4. @since 0.1 */
    uint32_t busy_timeout_ms; /**< Wait for another process's lock, a free connection, or a server that is away; default
                               *   5000. @since 0.1 */
} fp_database_options;
/** All-default fp_database_options. */
#define FILEPROC_DATABASE_OPTIONS_INIT \
    { sizeof(fp_database_options), 0, 0 }

/** Kinds of fp_value. */
enum {
    FILEPROC_VALUE_NULL = 0,
    FILEPROC_VALUE_INT64 = 1,
    FILEPROC_VALUE_DOUBLE = 2,
    FILEPROC_VALUE_TEXT = 3
};

/** A parameter of a statement. Made with the FILEPROC_V_ macros. */
typedef struct fp_value {
    int32_t kind;     /**< FILEPROC_VALUE_*. */
    int32_t reserved; /**< 0. */
    int64_t integer;  /**< For INT64. */
    double real;      /**< For DOUBLE. */
    const char *text; /**< For TEXT: Borrowed, UTF-8, NUL-terminated; NULL binds NULL. */
} fp_value;
/** An integer parameter. */
#define FILEPROC_V_INT(x) \
    { FILEPROC_VALUE_INT64, 0, (int64_t)(x), 0.0, NULL }
/** A floating-point parameter. */
#define FILEPROC_V_REAL(x) \
    { FILEPROC_VALUE_DOUBLE, 0, 0, (x), NULL }
/** A text parameter; NULL is SQL's NULL. */
#define FILEPROC_V_TEXT(s) \
    { FILEPROC_VALUE_TEXT, 0, 0, 0.0, (s) }
/** SQL's NULL. */
#define FILEPROC_V_NULL \
    { FILEPROC_VALUE_NULL, 0, 0, 0.0, NULL }

/**
 * Open the database that @p uri names: "sqlite:///absolute/file.db" (WAL, synchronous=FULL; made when missing),
 * "sqlite::memory:", "postgresql://user:password@host:port/name" (also "postgres://"; version 13 or newer), or a driver
 * added with fp_context_add_database_driver(). What stands behind a plus in the scheme is ignored: "postgresql+asyncpg:"
 * names a client library of other programs.
 *
 * A PostgreSQL URI may have libpq's parameters (sslmode, options, target_session_attrs, ...) and pool_size=N: connections
 * at most, 1 to 64, by default twice max_readers.
 *
 * @param ctx   Borrowed; must outlive the database.
 * @param uri   UTF-8, at most 4096 bytes. Copied.
 * @param opts  NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns it: fp_database_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open; the tables are not made yet: fp_database_migrate().
 * @retval FILEPROC_ERR_INVALID  Malformed URI, or an option newer than this library.
 * @retval FILEPROC_ERR_NOTSUP   This build has no driver for the scheme.
 * @retval FILEPROC_ERR_AUTH     The server does not accept user or password.
 * @retval FILEPROC_ERR_BUSY     The server can't be reached. Retryable.
 * @retval FILEPROC_ERR_IO       It can't be opened.
 * @retval FILEPROC_ERR_CORRUPT  The file is no database.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; nothing was changed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_database_open(fp_context *ctx, const char *uri,
                                        const fp_database_options *opts, fp_database **out,
                                        fp_error *err) FILEPROC_NODISCARD;

/**
 * Close a database.
 *
 * @param db  Taken; NULL is allowed.
 * @par Blocking  Disk.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_database_free(fp_database *db);

/**
 * Bring the tables to this library's version: applies the numbered migrations that are missing, each in a
 * transaction, under a lock, so many processes may call it at once.
 *
 * @param db  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           The tables are as this library expects.
 * @retval FILEPROC_ERR_CONFLICT The database was made by a newer library.
 * @retval FILEPROC_ERR_IO       The database failed; the migrations before are kept.
 * @par Blocking  As long as the migrations take.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_database_migrate(fp_database *db, fp_error *err) FILEPROC_NODISCARD;

/** The body of a transaction. It may run on another thread than the caller's (which waits), and may run
 *  more than once, each time from the beginning: so it changes nothing but the database and
 *  its own user_data, and sets everything in user_data afresh. It must not start another transaction. A failure
 *  rolls back everything it did, and nothing else. */
typedef fp_status (*fp_tx_fn)(fp_tx *tx, void *user_data, fp_error *err);

/**
 * Run a transaction: as if no other one ran beside it. When it returns FILEPROC_OK the changes are on disk. Writing
 * transactions of several threads are committed together (group commit): one sync serves all of them.
 *
 * The connection to a server may break while it commits. The server is then asked what became of the transaction; only when
 * it can't be asked within the time, or has crashed meanwhile, the answer is FILEPROC_ERR_IO with
 * FILEPROC_ERROR_UNCERTAIN: the changes may have been made or not. Whoever repeats such a call must be able to
 * recognise his own work, by an id chosen before, for example.
 *
 * @param db         Borrowed.
 * @param flags      0, FILEPROC_TX_READONLY (a snapshot; writing in it fails), or FILEPROC_TX_READ_COMMITTED.
 * @param fn         The body.
 * @param user_data  Handed to fn.
 * @param[out] err   Filled only on failure. May be NULL.
 * @return           FILEPROC_OK, the body's own failure unchanged, or:
 * @retval FILEPROC_ERR_BUSY   Another process held the lock for too long, all connections were in use, or the server is
 *                             away; nothing was changed. Retryable.
 * @retval FILEPROC_ERR_TIMEOUT  A statement took longer than the server allows; nothing was changed. Retryable.
 * @retval FILEPROC_ERR_QUOTA  The disk is full; nothing was changed. Reason storage_full.
 * @retval FILEPROC_ERR_IO     The database failed; nothing was changed, but see above.
 * @par Blocking  Disk or network, and until transactions before it are done.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_database_transact(fp_database *db, uint32_t flags, fp_tx_fn fn,
                                            void *user_data, fp_error *err) FILEPROC_NODISCARD;
/** fp_database_transact(): only reads; sees one consistent state. */
#define FILEPROC_TX_READONLY 1u
/** fp_database_transact(): each statement sees what is committed when it begins, and the transaction does not run as if it were
 *  alone. For bodies whose every change states its own condition (compare and set): they need not be repeated because of
 *  others. Databases with one writer at a time (SQLite) make no difference. */
#define FILEPROC_TX_READ_COMMITTED 2u

/**
 * Run one statement that returns no rows.
 *
 * @param tx      Borrowed.
 * @param sql     Borrowed; one statement with parameters $1, $2, ... A string literal is best: statements are
 *                kept prepared by their text.
 * @param params  Borrowed; NULL when count is 0.
 * @param count   Parameters.
 * @param[out] changed  Rows changed. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Done.
 * @retval FILEPROC_ERR_EXISTS    A unique key exists already.
 * @retval FILEPROC_ERR_CONFLICT  Another constraint refused it.
 * @retval FILEPROC_ERR_INVALID   Wrong SQL or arguments.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API fp_status fp_tx_exec(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                                  uint64_t *changed, fp_error *err) FILEPROC_NODISCARD;

/**
 * Run one statement that returns rows, a RETURNING clause included. One query at a time per statement text.
 *
 * @param tx      Borrowed.
 * @param sql     Borrowed; as in fp_tx_exec().
 * @param params  Borrowed; NULL when count is 0. Text is copied.
 * @param count   Parameters.
 * @param[out] out  Set only on success. The caller owns the rows and frees them inside the transaction:
 *                  fp_rows_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK  Ready for fp_rows_next(). Otherwise as fp_tx_exec().
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API fp_status fp_tx_query(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                                   fp_rows **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Go to the next row; the first call goes to the first.
 *
 * @param rows  Borrowed.
 * @param[out] more  Set only on success: 1 = there is a row, 0 = the end.
 * @param[out] err  Filled only on failure. May be NULL.
 * @return  FILEPROC_OK, or as fp_tx_exec().
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API fp_status fp_rows_next(fp_rows *rows, int32_t *more, fp_error *err) FILEPROC_NODISCARD;

/**
 * A column of the present row as an integer.
 *
 * @param rows    Borrowed.
 * @param column  From 0.
 * @return        The value; 0 for NULL.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API int64_t fp_rows_int64(fp_rows *rows, uint32_t column);

/**
 * A column of the present row as a floating-point number.
 *
 * @param rows    Borrowed.
 * @param column  From 0.
 * @return        The value; 0 for NULL.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API double fp_rows_double(fp_rows *rows, uint32_t column);

/**
 * A column of the present row as text.
 *
 * @param rows    Borrowed.
 * @param column  From 0.
 * @return        Borrowed until the next fp_rows_next(); NULL for NULL.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API const char *fp_rows_text(fp_rows *rows, uint32_t column);

/**
 * End a query.
 *
 * @param rows  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per transaction.
 * @since 0.1
 */
FILEPROC_API void fp_rows_free(fp_rows *rows);

/**
 * Ask whether the database answers.
 *
 * @param db  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK      It does.
 * @retval FILEPROC_ERR_IO  It doesn't.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_database_ping(fp_database *db, fp_error *err) FILEPROC_NODISCARD;

FILEPROC_END_DECLS
#endif
