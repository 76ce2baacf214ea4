/* Owns: running a body in a transaction, and repeating it when that is what keeps the promise.
 * Must not know: SQL of anybody, and how connections are made.
 *
 * A body is run again, from its beginning, when
 *   - the server could not have run it as if alone (serialization failure, deadlock);
 *   - the connection broke before COMMIT was sent, or in it and the server says that it was not committed;
 *   - it went on after a statement had failed. The server has given up such a transaction. As that is rare, statements have no
 *     savepoints in the first run; in the second each of them has one, and a failure is only that of the statement.
 * All of this within the time that the caller gives a busy database. */
#include <string.h>
#include <time.h>

#include "core/error_private.h"
#include "database/database_postgresql.h"

#define PAUSE_MAX_MS 64
/* A lost connection is looked into for at least so long, however little patience the caller has. */
#define FATE_MS 5000

typedef enum verdict { DONE, AGAIN_CAREFULLY, AGAIN_CONFLICT, AGAIN_FRESH, ASK_FATE } verdict;

typedef struct call {
    fp_context *ctx;
    fpi_postgresql_pool *pool;
    uint32_t flags;
    fpi_postgresql_body body;
    void *body_data;
    int64_t deadline_ms;
    bool careful;
    bool queued; /* in the pool's line of those who repeat */
    bool stale;  /* it was repeated once for that; it need not help */
    uint32_t conflicts;
    fpi_postgresql_trace trace; /* of the run whose fate is asked */
} call;

static void reset(fpi_postgresql_connection *conn, const call *c)
{
    conn->state = FPI_POSTGRESQL_FINE;
    conn->failure = (fp_error){ 0 };
    conn->begun = false;
    conn->went_on = false;
    conn->unlimited = false;
    conn->xid = 0;
    conn->readonly = (c->flags & FILEPROC_TX_READONLY) != 0;
    conn->read_committed = (c->flags & FILEPROC_TX_READ_COMMITTED) != 0;
    conn->careful = c->careful;
}

/* Nobody waits for the server's word: it is read when the connection is used again. */
static void end_unheard(fpi_postgresql_connection *conn, const char *how)
{
    if (!conn->begun)
        return;
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_OWED, how);
    fpi_postgresql_leave(conn);
}

static void remember(call *c, const fpi_postgresql_connection *conn)
{
    c->trace.xid = conn->xid;
    c->trace.backend_pid = conn->backend_pid;
    memcpy(c->trace.incarnation, conn->incarnation, sizeof(c->trace.incarnation));
}

/* A transaction without a number has written nothing. */
static verdict commit_failed(call *c, fpi_postgresql_connection *conn)
{
    if (conn->broken && !conn->xid)
        return AGAIN_FRESH;
    if (conn->broken) {
        remember(c, conn);
        return ASK_FATE;
    }
    return fpi_postgresql_is_conflict(conn->failed_state) ? AGAIN_CONFLICT : DONE;
}

static verdict commit(call *c, fpi_postgresql_connection *conn, fp_status *rc, fp_error *err)
{
    PGresult *result = NULL;

    if (!conn->begun)
        return DONE;
    if (conn->readonly) {
        end_unheard(conn, "COMMIT");
        return DONE;
    }
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, "COMMIT");
    *rc = fpi_postgresql_run(conn, 0, &result, err);
    if (*rc == FILEPROC_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        conn->broken = true; /* we and the server are not of one mind */
        *rc = fp_error_setf(err, FILEPROC_ERR_IO, "database: the server rolled back");
    } else if (*rc < 0) {
        PQclear(result);
        return commit_failed(c, conn);
    }
    PQclear(result);
    return DONE;
}

/* What the body made of a failure does not count when the whole of it is done again. */
static verdict run_once(call *c, fpi_postgresql_connection *conn, fp_status *rc, fp_error *err)
{
    reset(conn, c);
    *rc = c->body(conn, c->body_data, err);
    if (conn->state == FPI_POSTGRESQL_FINE && *rc >= 0)
        return commit(c, conn, rc, err);
    if (conn->state != FPI_POSTGRESQL_LOST)
        end_unheard(conn, "ROLLBACK");
    if (conn->state == FPI_POSTGRESQL_FINE ||
        (conn->state == FPI_POSTGRESQL_ABORTED && *rc < 0 && !conn->went_on))
        return DONE;
    if (conn->state == FPI_POSTGRESQL_ABORTED)
        return AGAIN_CAREFULLY;
    *rc = conn->failure.code;
    *err = conn->failure;
    if (conn->state == FPI_POSTGRESQL_CONFLICT)
        return AGAIN_CONFLICT;
    if (conn->state == FPI_POSTGRESQL_LOST)
        return AGAIN_FRESH;
    conn->broken = true; /* so that everything is prepared anew */
    if (c->stale)
        return DONE;
    c->stale = true;
    return AGAIN_FRESH;
}

static void pause_ms(const fp_context *ctx, uint32_t most)
{
    struct timespec t = { 0 };
    uint32_t random = 0;

    (void)fpi_random(ctx, &random, sizeof(random), NULL);
    t.tv_nsec = (long)(random % (most * 1000)) * 1000;
    nanosleep(&t, NULL);
}

/* Those of this process repeat one after the other, for they would only be in each other's way, and at the second time nobody
 * new is let in: so one that is in conflict with many gets its turn, and the whole of its time then. Between processes a pause of
 * growing, random length does the same. Who was chosen to end a deadlock lets the other one pass first. */
static void give_way(call *c, const fp_error *err)
{
    bool deadlock = err->cause == fpi_postgresql_cause("40P01");

    if (c->queued) {
        fpi_postgresql_pool_press(c->pool);
    } else {
        uint32_t patience_ms = fpi_postgresql_pool_patience_ms(c->pool);

        c->queued = fpi_postgresql_pool_queue_up(c->pool, fpi_monotonic_ms() + patience_ms);
        c->deadline_ms = fpi_monotonic_ms() + patience_ms;
    }
    if (++c->conflicts > 1 || deadlock)
        pause_ms(c->ctx, c->conflicts < 6 ? 1u << c->conflicts : PAUSE_MAX_MS);
}

static fp_status unknown(fp_error *err)
{
    fp_status rc = fpi_error_causef(err, FILEPROC_ERR_IO, "pq", fpi_postgresql_cause("08007"),
                                    "database: the connection broke in COMMIT, and whether it was "
                                    "done can't be found out (SQLSTATE 08007)");

    if (err)
        err->flags |= FILEPROC_ERROR_UNCERTAIN;
    return rc;
}

/* True when the body has to run again. */
static bool goes_on(call *c, verdict v, fp_status *rc, fp_error *err)
{
    int64_t now = fpi_monotonic_ms(), until = c->deadline_ms;

    if (v == AGAIN_CAREFULLY)
        c->careful = true;
    else if (v == AGAIN_CONFLICT)
        give_way(c, err);
    if (v == ASK_FATE) {
        if (until < now + FATE_MS)
            until = now + FATE_MS;
        switch (fpi_postgresql_fate_of(c->pool, &c->trace, until)) {
        case FPI_POSTGRESQL_COMMITTED:
            *rc = FILEPROC_OK;
            return false;
        case FPI_POSTGRESQL_NOT_COMMITTED:
            break;
        default:
            *rc = unknown(err);
            return false;
        }
    }
    return v != DONE && (v == AGAIN_CAREFULLY || fpi_monotonic_ms() < c->deadline_ms);
}

fp_status fpi_postgresql_transact(fp_context *ctx, fpi_postgresql_pool *pool, uint32_t flags,
                                  fpi_postgresql_body body, void *body_data, fp_error *err)
{
    call c = { .ctx = ctx, .pool = pool, .flags = flags, .body = body, .body_data = body_data };
    fpi_postgresql_connection *conn;
    fp_status rc;
    verdict v;

    c.deadline_ms = fpi_monotonic_ms() + fpi_postgresql_pool_patience_ms(pool);
    if (!flags)
        fpi_postgresql_pool_let_pass(pool, c.deadline_ms);
    do {
        rc = fpi_postgresql_pool_take(pool, c.deadline_ms, &conn, err);
        if (rc < 0)
            break;
        v = run_once(&c, conn, &rc, err);
        fpi_postgresql_pool_give(pool, conn);
    } while (goes_on(&c, v, &rc, err));
    if (c.queued)
        fpi_postgresql_pool_step_aside(pool);
    return rc;
}
