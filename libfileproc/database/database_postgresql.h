/* Owns: what the files of the PostgreSQL driver share: where to connect, one connection, its statements, the pool, the doorbell.
 * Must not know: any table. */
#ifndef FPI_DATABASE_POSTGRESQL_H
#define FPI_DATABASE_POSTGRESQL_H

#include <pthread.h>

#include <libpq-fe.h>

#include "database/database_private.h"

/** The channel of the doorbell. */
#define FPI_POSTGRESQL_CHANNEL "fileproc_change"

/* ---- where to connect ---- */

/** libpq's parameters, and the driver's own. The values are wiped when they are freed: one is the password. */
typedef struct fpi_postgresql_target {
    const fp_allocator *a;
    size_t count;
    char *keys[64]; /* ends with NULL, as libpq wants it */
    char *values[64];
    size_t pool_size; /* 0 = not given */
    uint32_t connect_timeout_ms;
} fpi_postgresql_target;

/** Fills *target, to be released with fpi_postgresql_target_dispose(). INVALID never shows a value. */
fp_status fpi_postgresql_target_parse(const fp_context *ctx, const char *uri,
                                      fpi_postgresql_target *target, fp_error *err);
void fpi_postgresql_target_dispose(fpi_postgresql_target *target);

/* ---- what went wrong ---- */

/** SQLSTATE "23505" as a number: its five characters read in base 36. 0 for NULL. */
int32_t fpi_postgresql_cause(const char *sqlstate);
/** Fills err from a SQLSTATE (NULL = none) and the server's sentence. */
fp_status fpi_postgresql_error(const char *sqlstate, const char *message, fp_error *err);
/** ... and from a connection that could not be made. */
fp_status fpi_postgresql_connect_error(const PGconn *pg, fp_error *err);
/** Whether the session ends with such an error, so that the connection is of no use any more. */
bool fpi_postgresql_is_fatal(const char *sqlstate);
/** ... or whether the transaction has to be repeated because of others. */
bool fpi_postgresql_is_conflict(const char *sqlstate);
/** ... or whether what is kept prepared does not fit the tables any more. */
bool fpi_postgresql_is_stale(const char *sqlstate);

/* ---- statements as text ---- */

typedef enum fpi_postgresql_kind {
    FPI_POSTGRESQL_EMPTY,
    FPI_POSTGRESQL_QUERY, /* worth being kept prepared */
    FPI_POSTGRESQL_OTHER, /* CREATE TABLE and the like */
    FPI_POSTGRESQL_REFUSED /* would end the transaction, or change the session for those who come after */
} fpi_postgresql_kind;

typedef struct fpi_postgresql_text {
    fpi_postgresql_kind kind;
    size_t params; /* the greatest N of its $N */
    bool gaps;     /* one of $1 to $N is missing */
} fpi_postgresql_text;

void fpi_postgresql_scan(const char *sql, fpi_postgresql_text *text);

/* ---- one connection ---- */

/** Statements that a connection remembers, most of them prepared. */
#define FPI_POSTGRESQL_STATEMENTS 128

/** A statement that was used before on this connection. */
typedef struct fpi_postgresql_statement {
    uint64_t hash; /* of the text and the types of the parameters */
    uint64_t used; /* when, by the connection's count */
    fpi_postgresql_text text;
    uint32_t number; /* of its name at the server; 0 = it is not prepared */
    char sql[];
} fpi_postgresql_statement;

/** Commands that are on their way to the server, in order; their results come in the same order. */
typedef enum fpi_postgresql_step {
    FPI_POSTGRESQL_STEP_SYNC,    /* the end of what succeeds or fails together */
    FPI_POSTGRESQL_STEP_OWED,    /* nobody waits for it; but it must not fail */
    FPI_POSTGRESQL_STEP_CONTROL, /* one of the driver's own */
    FPI_POSTGRESQL_STEP_PREPARE,
    FPI_POSTGRESQL_STEP_BODY, /* its result is wanted */
    FPI_POSTGRESQL_STEP_XID
} fpi_postgresql_step;

/** How the transaction in progress stands. */
typedef enum fpi_postgresql_state {
    FPI_POSTGRESQL_FINE,
    FPI_POSTGRESQL_ABORTED, /* a statement failed; the server ignores all that follows */
    FPI_POSTGRESQL_CONFLICT,
    FPI_POSTGRESQL_STALE,
    FPI_POSTGRESQL_LOST /* with its connection */
} fpi_postgresql_state;

/** What the driver calls a transaction. One thread at a time. */
typedef struct fpi_postgresql_connection {
    fp_context *ctx;
    PGconn *pg;
    int backend_pid;
    char incarnation[64];          /* of the server: another one after a crash */
    int64_t statement_timeout_ms;  /* the server's; 0 = none */
    bool broken;                   /* to be closed */
    fpi_postgresql_step steps[48]; /* sent, their results not read */
    size_t step_count;
    fpi_postgresql_statement *statements[FPI_POSTGRESQL_STATEMENTS];
    uint64_t count;       /* of uses */
    uint32_t last_number; /* of a prepared statement */
    bool prepared;        /* the last STEP_PREPARE went well */
    char failed_state[6]; /* SQLSTATE of the last failure; "" = none */
    fp_error failure;     /* ... that ended the transaction underneath its body */
    fpi_postgresql_state state;
    bool begun;    /* the server has been told */
    bool readonly; /* ... what kind */
    bool read_committed;
    bool careful;   /* each statement has a savepoint */
    bool unlimited; /* it may take its time */
    bool went_on;   /* the body did, after a failure that aborted the transaction */
    uint64_t xid;   /* 0 = not known (yet) */
    uint64_t
        *each; /* where the next STEP_BODY says what it has changed; NULL = its result is wanted */
} fpi_postgresql_connection;

/** Connects and asks `first`; *answer is what its last statement says, to be cleared by the caller. Waits until deadline_ms
 *  (monotonic) at most. err, which may not be NULL, says what is wrong, never the password. */
fp_status fpi_postgresql_connect(fp_context *ctx, const fpi_postgresql_target *target,
                                 const char *first, int64_t deadline_ms, PGconn **out,
                                 PGresult **answer, fp_error *err);
fp_status fpi_postgresql_connection_open(fp_context *ctx, const fpi_postgresql_target *target,
                                         uint32_t busy_timeout_ms, int64_t deadline_ms,
                                         fpi_postgresql_connection **out, fp_error *err);
void fpi_postgresql_connection_close(fpi_postgresql_connection *conn);
FPI_DEFINE_CLEANUP(fpi_postgresql_connection, fpi_postgresql_connection_close)

/** Puts a command without parameters on its way. What can't be sent breaks the connection: run() tells. */
void fpi_postgresql_send(fpi_postgresql_connection *conn, fpi_postgresql_step step,
                         const char *sql);
/** Notes that libpq took a command, or did not. */
void fpi_postgresql_sent(fpi_postgresql_connection *conn, fpi_postgresql_step step, int ok);
/** Ends what was sent and reads all results, until deadline_ms; 0 = as long as the server allows a statement. *result is that of
 *  STEP_BODY, else of the last STEP_CONTROL, to be cleared by the caller; NULL at a failure. */
fp_status fpi_postgresql_run(fpi_postgresql_connection *conn, int64_t deadline_ms,
                             PGresult **result, fp_error *err);
/** Ends what was sent; the results are read when the connection is used again. */
void fpi_postgresql_leave(fpi_postgresql_connection *conn);
/** Without asking the server: false when it has hung up. */
bool fpi_postgresql_connection_up(fpi_postgresql_connection *conn);
/** Asks the server. */
bool fpi_postgresql_connection_answers(fpi_postgresql_connection *conn, int64_t deadline_ms);

/** Waits until the socket is ready (POLLIN, POLLOUT); false when time or connection is at its end. */
bool fpi_postgresql_poll(const PGconn *pg, short events, int64_t deadline_ms);

/* ---- the slots that work on a transaction or its rows ---- */

fp_status fpi_postgresql_exec(void *t, const char *sql, const fp_value *params, size_t count,
                              uint64_t *changed, fp_error *err);
fp_status fpi_postgresql_exec_each(void *t, const char *sql, const fp_value *params, size_t width,
                                   size_t times, uint64_t *changed, fp_error *err);
/** How many rows a statement has changed. */
uint64_t fpi_postgresql_changed(PGresult *result);
fp_status fpi_postgresql_query(void *t, const char *sql, const fp_value *params, size_t count,
                               void **r, fp_error *err);
fp_status fpi_postgresql_next(void *r, int32_t *more, fp_error *err);
int64_t fpi_postgresql_column_int64(void *r, uint32_t column);
double fpi_postgresql_column_double(void *r, uint32_t column);
const char *fpi_postgresql_column_text(void *r, uint32_t column);
void fpi_postgresql_rows_free(void *r);
void fpi_postgresql_statements_free(fpi_postgresql_connection *conn);
/** Runs one statement of a body; *result is to be cleared by the caller. */
fp_status fpi_postgresql_execute(fpi_postgresql_connection *conn, const char *sql,
                                 const fp_value *params, size_t count, PGresult **result,
                                 fp_error *err);

/* ---- the pool ---- */

/** Connections, made when they are needed. Shared. */
typedef struct fpi_postgresql_pool fpi_postgresql_pool;
fp_status fpi_postgresql_pool_new(fp_context *ctx, const char *uri, const fp_database_options *opts,
                                  fpi_postgresql_pool **out, fp_error *err);
void fpi_postgresql_pool_free(fpi_postgresql_pool *pool);
FPI_DEFINE_CLEANUP(fpi_postgresql_pool, fpi_postgresql_pool_free)
/** INVALID when this thread has one already; BUSY when none is free, or the server not up, before deadline_ms. */
fp_status fpi_postgresql_pool_take(fpi_postgresql_pool *pool, int64_t deadline_ms,
                                   fpi_postgresql_connection **out, fp_error *err);
/** Closes it when it is broken. */
void fpi_postgresql_pool_give(fpi_postgresql_pool *pool, fpi_postgresql_connection *conn);
/** Whether a backend of the server works for this pool. */
bool fpi_postgresql_pool_owns(fpi_postgresql_pool *pool, int backend_pid);
const fpi_postgresql_target *fpi_postgresql_pool_target(const fpi_postgresql_pool *pool);
uint32_t fpi_postgresql_pool_patience_ms(const fpi_postgresql_pool *pool);
/** One at a time of those who repeat a transaction because of others; false when the time ran out. */
bool fpi_postgresql_pool_queue_up(fpi_postgresql_pool *pool, int64_t deadline_ms);
void fpi_postgresql_pool_step_aside(fpi_postgresql_pool *pool);
/** Who has queued up and still is in conflict says so: those who only begin wait until he has stepped aside, and those who are at
 *  it come to an end, so that he is alone at last. */
void fpi_postgresql_pool_press(fpi_postgresql_pool *pool);
void fpi_postgresql_pool_let_pass(fpi_postgresql_pool *pool, int64_t deadline_ms);

/* ---- transactions ---- */

typedef fp_status (*fpi_postgresql_body)(void *t, void *body_data, fp_error *err);
fp_status fpi_postgresql_transact(fp_context *ctx, fpi_postgresql_pool *pool, uint32_t flags,
                                  fpi_postgresql_body body, void *body_data, fp_error *err);

/** What became of a transaction whose connection broke while it was committed. */
typedef enum fpi_postgresql_fate {
    FPI_POSTGRESQL_COMMITTED,
    FPI_POSTGRESQL_NOT_COMMITTED,
    FPI_POSTGRESQL_UNKNOWN
} fpi_postgresql_fate;

/** The connection's name for itself: what is needed to ask on another one. */
typedef struct fpi_postgresql_trace {
    uint64_t xid;
    int backend_pid;
    char incarnation[64];
} fpi_postgresql_trace;
fpi_postgresql_fate fpi_postgresql_fate_of(fpi_postgresql_pool *pool,
                                           const fpi_postgresql_trace *trace, int64_t deadline_ms);

/* ---- the doorbell ---- */

/** The listening connection. Shared; one waits at a time. */
typedef struct fpi_postgresql_bell fpi_postgresql_bell;
fp_status fpi_postgresql_bell_new(fp_context *ctx, fpi_postgresql_pool *pool,
                                  fpi_postgresql_bell **out, fp_error *err);
void fpi_postgresql_bell_free(fpi_postgresql_bell *bell);
FPI_DEFINE_CLEANUP(fpi_postgresql_bell, fpi_postgresql_bell_free)
fp_status fpi_postgresql_bell_wait(fpi_postgresql_bell *bell, int32_t wake_fd, uint32_t timeout_ms,
                                   int32_t *changed, fp_error *err);

#endif
