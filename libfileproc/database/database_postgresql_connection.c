/* Owns: one connection: making it, commands on their way, waiting for results with a limit on the time.
 * Must not know: the pool, and what the commands say.
 *
 * The connection is in libpq's pipeline mode: commands are sent without waiting, so that BEGIN and the first statement take one
 * round trip; and a COMMIT or ROLLBACK that nobody has to wait for takes none. libpq is never allowed to block. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error_private.h"
#include "database/database_postgresql.h"

/* Behind the server's last words, its hanging up is only seen by reading on. */
#define FAREWELL_READS 4
#define MIN_VERSION 130000 /* the first with xid8 */
/* More than the server takes to end a statement by itself. */
#define STATEMENT_GRACE_MS 5000
/* A transaction holds up others; its body only talks to the database. Whoever says nothing for so long is stopped or cut off, and
 * what it locked is wanted: its job's lease runs out. */
#define IDLE_IN_TRANSACTION_MS "10000"
#define STATEMENT_TIMEOUT_MS "30000"

/* Settings for which the URI (options=-c...) or the server's administrator has found better values are left alone. What is answered
 * for must be on disk, whatever the server's default. A plan that was made while a table was empty is kept when it has grown, so an
 * index, and the order in which it gives the rows, are always the better choice. The second row of statistics is thrown away when the server has
 * to recover from a crash: its age tells one life of the server from the next. */
#define UNLESS_SET(name, unset, value)                                                             \
    "set_config('" name "', CASE current_setting('" name "') WHEN '" unset "' THEN '" value        \
    "' ELSE current_setting('" name "') END, false)"
static const char setup[] =
    "SELECT " UNLESS_SET("statement_timeout", "0", STATEMENT_TIMEOUT_MS) ", "           //
    UNLESS_SET("lock_timeout", "0", "%u") ", "                                          //
    UNLESS_SET("idle_in_transaction_session_timeout", "0", IDLE_IN_TRANSACTION_MS) ", " //
    UNLESS_SET(
        "synchronous_commit", "off",
        "on") ", " //
              "set_config('jit', 'off', false), set_config('enable_seqscan', 'off', false),"
              " set_config('enable_sort', 'off', false),"
              " set_config('client_min_messages', 'warning', false);"
              "PREPARE fp_xid AS SELECT pg_current_xact_id_if_assigned()::text;"
              "SELECT (extract(epoch FROM current_setting('statement_timeout')::interval) * 1000)::bigint,"
              " stats_reset::text FROM pg_stat_bgwriter";

bool fpi_postgresql_poll(const PGconn *pg, short events, int64_t deadline_ms)
{
    struct pollfd fd = { .fd = PQsocket(pg), .events = events };
    int64_t left;
    int n;

    if (fd.fd < 0)
        return false;
    do {
        left = deadline_ms - fpi_monotonic_ms();
        n = poll(&fd, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
    } while (n == 0 && left > 60000);
    return n != 0; /* an interruption counts as ready: libpq finds out */
}

static void log_notice(void *user_data, const PGresult *result)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    fpi_log(user_data, FILEPROC_LOG_DEBUG, "database", "%s", message ? message : "a notice");
}

static void ignore_notice(void *user_data, const char *message)
{
    (void)user_data, (void)message;
}

static PGconn *start(fp_context *ctx, const fpi_postgresql_target *target)
{
    PGconn *pg = PQconnectStartParams((const char *const *)target->keys,
                                      (const char *const *)target->values, 0);

    if (pg) {
        PQsetErrorVerbosity(pg, PQERRORS_VERBOSE); /* with SQLSTATE */
        PQsetNoticeReceiver(pg, log_notice, ctx);
        PQsetNoticeProcessor(pg, ignore_notice, NULL);
    }
    return pg;
}

static fp_status connect_steps(PGconn *pg, int64_t deadline_ms, fp_error *err)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    if (PQstatus(pg) == CONNECTION_BAD)
        return fpi_postgresql_connect_error(pg, err);
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!fpi_postgresql_poll(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return fpi_postgresql_error("08001", "the server does not answer", err);
        next = PQconnectPoll(pg);
    }
    if (next != PGRES_POLLING_OK)
        return fpi_postgresql_connect_error(pg, err);
    if (PQserverVersion(pg) < MIN_VERSION)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP,
                             "database: PostgreSQL 13 or newer is needed, this is %d",
                             PQserverVersion(pg) / 10000);
    return FILEPROC_OK;
}

/* What a plain query answers last. NULL = a failure, in err. */
static PGresult *simple_query(PGconn *pg, const char *sql, int64_t deadline_ms, fp_error *err)
{
    PGresult *last = NULL, *result;

    if (!PQsendQuery(pg, sql)) {
        fpi_postgresql_connect_error(pg, err);
        return NULL;
    }
    do {
        while (PQisBusy(pg)) {
            if (!fpi_postgresql_poll(pg, POLLIN, deadline_ms)) {
                fpi_postgresql_error("08006", "the server does not answer", err);
                PQclear(last);
                return NULL;
            }
            if (!PQconsumeInput(pg))
                break;
        }
        result = PQgetResult(pg);
        if (result) {
            PQclear(last);
            last = result;
        }
    } while (result && PQstatus(pg) == CONNECTION_OK);
    if (last && PQresultStatus(last) != PGRES_TUPLES_OK &&
        PQresultStatus(last) != PGRES_COMMAND_OK) {
        fpi_postgresql_error(PQresultErrorField(last, PG_DIAG_SQLSTATE),
                             PQresultErrorField(last, PG_DIAG_MESSAGE_PRIMARY), err);
        PQclear(last);
        return NULL;
    }
    if (!last)
        fpi_postgresql_error(NULL, "the server has hung up", err);
    return last;
}

static void finish(PGconn *pg)
{
    PQfinish(pg);
}
FPI_DEFINE_CLEANUP(PGconn, finish)

fp_status fpi_postgresql_connect(fp_context *ctx, const fpi_postgresql_target *target,
                                 const char *first, int64_t deadline_ms, PGconn **out,
                                 PGresult **answer, fp_error *err)
{
    FPI_CLEANUP(PGconn) pg = start(ctx, target);
    int64_t own = fpi_monotonic_ms() + target->connect_timeout_ms;
    fp_status rc;

    if (!pg)
        return fpi_no_memory(err);
    if (own < deadline_ms)
        deadline_ms = own;
    rc = connect_steps(pg, deadline_ms, err);
    if (rc < 0)
        return rc;
    *answer = simple_query(pg, first, deadline_ms, err);
    if (!*answer)
        return err->code;
    *out = fpi_steal(&pg);
    return FILEPROC_OK;
}

static void read_setup(fpi_postgresql_connection *conn, const PGresult *answer)
{
    if (PQntuples(answer) != 1 || PQnfields(answer) != 2)
        return;
    conn->statement_timeout_ms = strtoll(PQgetvalue(answer, 0, 0), NULL, 10);
    snprintf(conn->incarnation, sizeof(conn->incarnation), "%s", PQgetvalue(answer, 0, 1));
}

fp_status fpi_postgresql_connection_open(fp_context *ctx, const fpi_postgresql_target *target,
                                         uint32_t busy_timeout_ms, int64_t deadline_ms,
                                         fpi_postgresql_connection **out, fp_error *err)
{
    FPI_CLEANUP(fpi_postgresql_connection) conn = fpi_calloc(&ctx->a, 1, sizeof(*conn));
    char first[sizeof(setup) + 16];
    PGresult *answer = NULL;
    fp_error e = { 0 };
    fp_status rc;

    if (!conn)
        return fpi_no_memory(err);
    conn->ctx = ctx;
    snprintf(first, sizeof(first), setup, (unsigned)busy_timeout_ms);
    rc = fpi_postgresql_connect(ctx, target, first, deadline_ms, &conn->pg, &answer, &e);
    if (rc < 0) {
        if (err)
            *err = e;
        return rc;
    }
    conn->backend_pid = PQbackendPID(conn->pg);
    read_setup(conn, answer);
    PQclear(answer);
    if (PQsetnonblocking(conn->pg, 1) != 0 || !PQenterPipelineMode(conn->pg))
        return fp_error_setf(err, FILEPROC_ERR_IO, "database: libpq refuses to pipeline");
    *out = fpi_steal(&conn);
    return FILEPROC_OK;
}

void fpi_postgresql_connection_close(fpi_postgresql_connection *conn)
{
    if (!conn)
        return;
    fpi_postgresql_statements_free(conn);
    PQfinish(conn->pg);
    fpi_free(&conn->ctx->a, conn);
}

void fpi_postgresql_sent(fpi_postgresql_connection *conn, fpi_postgresql_step step, int ok)
{
    if (!ok || conn->step_count == sizeof(conn->steps) / sizeof(conn->steps[0]))
        conn->broken = true;
    if (!conn->broken)
        conn->steps[conn->step_count++] = step;
}

void fpi_postgresql_send(fpi_postgresql_connection *conn, fpi_postgresql_step step, const char *sql)
{
    if (!conn->broken)
        fpi_postgresql_sent(conn, step,
                            PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0));
}

/* Sends what libpq still holds back. */
static bool flush(fpi_postgresql_connection *conn, int64_t deadline_ms)
{
    int left;

    while ((left = PQflush(conn->pg)) == 1)
        if (!fpi_postgresql_poll(conn->pg, POLLIN | POLLOUT, deadline_ms) ||
            !PQconsumeInput(conn->pg))
            return false;
    return left == 0;
}

/* NULL = that the connection is of no use any more; or, where libpq says so, the end of one command's results. */
static PGresult *next_result(fpi_postgresql_connection *conn, int64_t deadline_ms)
{
    while (PQisBusy(conn->pg)) {
        int left = PQflush(conn->pg);

        if (left < 0)
            break;
        if (!fpi_postgresql_poll(conn->pg, left ? POLLIN | POLLOUT : POLLIN, deadline_ms)) {
            conn->broken = true;
            return NULL;
        }
        if (!PQconsumeInput(conn->pg))
            break; /* what the server said before it hung up is still to be had */
    }
    return PQgetResult(conn->pg);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static fp_status failed(fpi_postgresql_connection *conn, const PGresult *result, fp_error *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (!state) {
        state = "08006";
        message = "the connection to the server broke";
    }
    if (fpi_postgresql_is_fatal(state) || PQstatus(conn->pg) == CONNECTION_BAD)
        conn->broken = true;
    snprintf(conn->failed_state, sizeof(conn->failed_state), "%s", state);
    return fpi_postgresql_error(state, message, err);
}

/* One command's result. libpq puts a NULL behind it, except behind a sync. */
static PGresult *read_step(fpi_postgresql_connection *conn, fpi_postgresql_step step,
                           int64_t deadline_ms)
{
    PGresult *result = next_result(conn, deadline_ms), *end;

    if (!result || step == FPI_POSTGRESQL_STEP_SYNC)
        return result;
    while ((end = next_result(conn, deadline_ms)) != NULL) {
        PQclear(end);
        if (PQstatus(conn->pg) == CONNECTION_BAD)
            break;
    }
    return result;
}

static void note_xid(fpi_postgresql_connection *conn, const PGresult *result)
{
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        conn->xid = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
}

/* Takes over the result. */
static fp_status judge(fpi_postgresql_connection *conn, fpi_postgresql_step step, PGresult *result,
                       PGresult **wanted, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (!result || !is_good(result)) {
        rc = failed(conn, result, err);
        if (step == FPI_POSTGRESQL_STEP_OWED)
            conn->broken = true;
    } else if (step == FPI_POSTGRESQL_STEP_XID) {
        note_xid(conn, result);
    } else if (step == FPI_POSTGRESQL_STEP_BODY && conn->each) {
        *conn->each++ = fpi_postgresql_changed(result);
    } else if (step == FPI_POSTGRESQL_STEP_PREPARE) {
        conn->prepared = true;
    } else if (step == FPI_POSTGRESQL_STEP_BODY ||
               (step == FPI_POSTGRESQL_STEP_CONTROL && !*wanted)) {
        PQclear(*wanted);
        *wanted = result;
        return FILEPROC_OK;
    }
    PQclear(result);
    return rc;
}

/* All results are read, also behind a failure: the server skips to the next sync. The first failure is told. */
static fp_status collect(fpi_postgresql_connection *conn, int64_t deadline_ms, PGresult **wanted,
                         fp_error *err)
{
    fp_status rc = FILEPROC_OK, first = FILEPROC_OK;
    bool skipping = false;

    for (size_t i = 0; i < conn->step_count && !conn->broken; i++) {
        PGresult *result = read_step(conn, conn->steps[i], deadline_ms);
        ExecStatusType status = PQresultStatus(result);

        if (conn->steps[i] == FPI_POSTGRESQL_STEP_SYNC && status == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            skipping = false;
        } else if (skipping && status == PGRES_PIPELINE_ABORTED) {
            PQclear(result);
        } else {
            rc = judge(conn, conn->steps[i], result, wanted, first == FILEPROC_OK ? err : NULL);
            skipping = skipping || rc < 0;
            first = first == FILEPROC_OK ? rc : first;
        }
    }
    conn->step_count = 0;
    return first;
}

static int64_t limit_of(const fpi_postgresql_connection *conn)
{
    if (conn->unlimited || !conn->statement_timeout_ms)
        return INT64_MAX;
    return fpi_monotonic_ms() + conn->statement_timeout_ms + STATEMENT_GRACE_MS;
}

fp_status fpi_postgresql_run(fpi_postgresql_connection *conn, int64_t deadline_ms,
                             PGresult **result, fp_error *err)
{
    PGresult *wanted = NULL;
    fp_status rc = FILEPROC_OK;

    if (!deadline_ms)
        deadline_ms = limit_of(conn);
    conn->failed_state[0] = '\0';
    if (!conn->broken)
        fpi_postgresql_sent(conn, FPI_POSTGRESQL_STEP_SYNC, PQpipelineSync(conn->pg));
    if (!conn->broken)
        rc = collect(conn, deadline_ms, &wanted, err);
    if (conn->broken && rc == FILEPROC_OK)
        rc = failed(conn, NULL, err);
    if (rc == FILEPROC_OK && result && wanted)
        *result = fpi_steal(&wanted);
    PQclear(wanted);
    return rc;
}

void fpi_postgresql_leave(fpi_postgresql_connection *conn)
{
    if (!conn->broken)
        fpi_postgresql_sent(conn, FPI_POSTGRESQL_STEP_SYNC, PQpipelineSync(conn->pg));
    if (!conn->broken && !flush(conn, fpi_monotonic_ms() + STATEMENT_GRACE_MS))
        conn->broken = true;
}

bool fpi_postgresql_connection_up(fpi_postgresql_connection *conn)
{
    if (conn->broken || PQstatus(conn->pg) != CONNECTION_OK)
        return false;
    for (int i = 0; i < FAREWELL_READS && fpi_postgresql_poll(conn->pg, POLLIN, 0); i++)
        if (!PQconsumeInput(conn->pg))
            return false;
    return PQstatus(conn->pg) == CONNECTION_OK;
}

bool fpi_postgresql_connection_answers(fpi_postgresql_connection *conn, int64_t deadline_ms)
{
    return fpi_postgresql_run(conn, deadline_ms, NULL, NULL) == FILEPROC_OK;
}
