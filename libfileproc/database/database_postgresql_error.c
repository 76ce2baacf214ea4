/* Owns: what the server's SQLSTATEs mean to the library's callers.
 * Must not know: transactions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/error_private.h"
#include "database/database_postgresql.h"

/* The first that fits: the whole SQLSTATE, or the class before it. */
static const struct {
    const char *state;
    fp_status status;
} statuses[] = {
    { "23505", FILEPROC_ERR_EXISTS },  /* unique_violation */
    { "23", FILEPROC_ERR_CONFLICT },   /* other constraints */
    { "40", FILEPROC_ERR_BUSY },       /* serialization, deadlock */
    { "55P03", FILEPROC_ERR_BUSY },    /* lock_not_available: lock_timeout */
    { "55006", FILEPROC_ERR_BUSY },    /* object_in_use */
    { "57014", FILEPROC_ERR_TIMEOUT }, /* query_canceled: statement_timeout */
    { "57", FILEPROC_ERR_BUSY },       /* shutdown, starting up */
    { "08P01", FILEPROC_ERR_PROTOCOL }, { "08", FILEPROC_ERR_BUSY }, /* connection */
    { "25P03", FILEPROC_ERR_BUSY },    /* idle_in_transaction_session_timeout */
    { "28", FILEPROC_ERR_AUTH },       /* who are you */
    { "42501", FILEPROC_ERR_AUTH },    /* insufficient_privilege */
    { "53", FILEPROC_ERR_BUSY },       /* memory, connections; the disk is looked at before */
    { "XX001", FILEPROC_ERR_CORRUPT }, /* data_corrupted */
    { "XX002", FILEPROC_ERR_CORRUPT }, /* index_corrupted */
    { "0A", FILEPROC_ERR_INVALID },    /* feature_not_supported */
    { "21", FILEPROC_ERR_INVALID },    /* cardinality */
    { "22", FILEPROC_ERR_INVALID },    /* values */
    { "25", FILEPROC_ERR_INVALID },    /* transaction state: writing where it may only read */
    { "2F", FILEPROC_ERR_INVALID },    /* functions */
    { "3F", FILEPROC_ERR_INVALID },    /* schema */
    { "42", FILEPROC_ERR_INVALID },    /* syntax, names, types */
    { "54", FILEPROC_ERR_INVALID },    /* too much */
    { "P0", FILEPROC_ERR_CONFLICT },   /* raised by somebody's trigger */
};

static fp_status status_of(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        if (strncmp(sqlstate, statuses[i].state, strlen(statuses[i].state)) == 0)
            return statuses[i].status;
    return FILEPROC_ERR_IO;
}

int32_t fpi_postgresql_cause(const char *sqlstate)
{
    return sqlstate && strlen(sqlstate) == 5 ? (int32_t)strtol(sqlstate, NULL, 36) : 0;
}

fp_status fpi_postgresql_error(const char *sqlstate, const char *message, fp_error *err)
{
    size_t size = message ? strcspn(message, "\r\n") : 0;

    if (!sqlstate)
        sqlstate = "08006"; /* connection_failure */
    if (!size) {
        message = "the server did not say why";
        size = strlen(message);
    }
    if (strcmp(sqlstate, "53100") == 0)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL,
                                "database: no space left");
    return fpi_error_causef(err, status_of(sqlstate), "pq", fpi_postgresql_cause(sqlstate),
                            "database: %.*s (SQLSTATE %s)", (int)(size > 150 ? 150 : size), message,
                            sqlstate);
}

/* While it connects libpq keeps the server's answer as text only: "FATAL:  28P01: password authentication failed ...". The
 * severity may be in any language. */
static const char *find_state(const char *message, char sqlstate[6])
{
    const char *found = NULL;

    for (const char *p = strstr(message, ":  "); p; p = strstr(p + 1, ":  ")) {
        const char *state = p + 3;
        size_t n = 0;

        while (n < 5 && (fpi_ascii_is_digit(state[n]) || (state[n] >= 'A' && state[n] <= 'Z')))
            n++;
        if (n == 5 && state[5] == ':' && state[6] == ' ') {
            snprintf(sqlstate, 6, "%.5s", state);
            found = state + 7;
        }
    }
    return found;
}

fp_status fpi_postgresql_connect_error(const PGconn *pg, fp_error *err)
{
    const char *message = PQerrorMessage(pg), *said;
    char sqlstate[6] = "08001"; /* sqlclient_unable_to_establish_sqlconnection */

    said = find_state(message, sqlstate);
    if (said && strcmp(sqlstate, "3D000") == 0)
        return fpi_postgresql_error(sqlstate, said, err); /* no such database: waiting is no help */
    return fpi_postgresql_error(sqlstate, said ? said : message, err);
}

bool fpi_postgresql_is_fatal(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0 ||
           strcmp(sqlstate, "25P03") == 0;
}

bool fpi_postgresql_is_conflict(const char *sqlstate)
{
    return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

/* "cached plan must not change result type" after another process's migration; a name that is gone after a DISCARD of
 * some proxy. */
bool fpi_postgresql_is_stale(const char *sqlstate)
{
    return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0;
}
