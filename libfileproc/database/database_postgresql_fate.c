/* Owns: finding out whether a transaction was committed whose connection broke in COMMIT.
 * Must not know: what the transaction was about.
 *
 * The server remembers the fate of each transaction by its number. But a crash may lose a transaction together with its
 * number, and the number is then given to another one. So after a crash "committed" proves nothing; every other answer still
 * does: had the transaction been committed, its number would say so. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "database/database_postgresql.h"

#define LOOK_AGAIN_MS 20

/* Ends the session that is still at it: cut off from us, it may wait for its COMMIT for long. The number is compared, too, as
 * the session may be somebody else's by now. */
static const char stop_session[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                   " WHERE pid = %d AND backend_xid = '%llu'::xid8::xid";

static void send_stop(fpi_postgresql_connection *conn, const fpi_postgresql_trace *trace)
{
    char sql[sizeof(stop_session) + 40];

    snprintf(sql, sizeof(sql), stop_session, trace->backend_pid, (unsigned long long)trace->xid);
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, sql);
    (void)fpi_postgresql_run(conn, 0, NULL, NULL);
}

static fpi_postgresql_fate read_fate(const PGresult *result, bool same_life, bool *pending)
{
    const char *status;

    if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
        return FPI_POSTGRESQL_UNKNOWN; /* too old to be remembered */
    status = PQgetvalue(result, 0, 0);
    if (strcmp(status, "committed") == 0)
        return same_life ? FPI_POSTGRESQL_COMMITTED : FPI_POSTGRESQL_UNKNOWN;
    if (strcmp(status, "in progress") == 0 && same_life)
        *pending = true;
    return FPI_POSTGRESQL_NOT_COMMITTED;
}

/* *pending: it is worth asking again. */
static fpi_postgresql_fate ask(fpi_postgresql_connection *conn, const fpi_postgresql_trace *trace,
                               bool *pending)
{
    bool same_life = trace->incarnation[0] && strcmp(trace->incarnation, conn->incarnation) == 0;
    fpi_postgresql_fate fate;
    PGresult *result = NULL;
    char sql[64];

    snprintf(sql, sizeof(sql), "SELECT pg_xact_status('%llu'::xid8)",
             (unsigned long long)trace->xid);
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, sql);
    if (fpi_postgresql_run(conn, 0, &result, NULL) < 0) {
        *pending = conn->broken;
        /* "transaction ID is in the future": lost in a crash, or unheard of where we are now */
        return strcmp(conn->failed_state, "22023") == 0 ? FPI_POSTGRESQL_NOT_COMMITTED
                                                        : FPI_POSTGRESQL_UNKNOWN;
    }
    fate = read_fate(result, same_life, pending);
    PQclear(result);
    if (*pending)
        send_stop(conn, trace);
    return fate;
}

fpi_postgresql_fate fpi_postgresql_fate_of(fpi_postgresql_pool *pool,
                                           const fpi_postgresql_trace *trace, int64_t deadline_ms)
{
    const struct timespec nap = { 0, LOOK_AGAIN_MS * 1000000L };
    fpi_postgresql_connection *conn;
    fpi_postgresql_fate fate;
    bool pending;

    do {
        pending = false;
        if (fpi_postgresql_pool_take(pool, deadline_ms, &conn, NULL) < 0)
            return FPI_POSTGRESQL_UNKNOWN;
        fate = ask(conn, trace, &pending);
        fpi_postgresql_pool_give(pool, conn);
        if (!pending)
            return fate;
        nanosleep(&nap, NULL);
    } while (fpi_monotonic_ms() < deadline_ms);
    return FPI_POSTGRESQL_UNKNOWN;
}
