/* Owns: empty schemas on the PostgreSQL server that FILEPROC_TEST_POSTGRESQL_URI names, for tests that need a database each.
 * Must not know: what is tested. */
#include "postgresql_schema.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <libpq-fe.h>

#define OPTION "?options=-csearch_path%3D"

const char *postgresql_server(void)
{
    const char *uri = getenv("FILEPROC_TEST_POSTGRESQL_URI");

    return uri && *uri ? uri : NULL;
}

static void ignore_notice(void *user_data, const char *message)
{
    (void)user_data, (void)message;
}

long postgresql_sql(const char *uri, const char *fmt, ...)
{
    PGconn *pg = PQconnectdb(uri);
    PGresult *result;
    char sql[1024];
    va_list args;
    long number;

    va_start(args, fmt);
    vsnprintf(sql, sizeof(sql), fmt, args);
    va_end(args);
    ck_assert_msg(PQstatus(pg) == CONNECTION_OK, "%s", PQerrorMessage(pg));
    PQsetNoticeProcessor(pg, ignore_notice, NULL);
    result = PQexec(pg, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK ||
                      PQresultStatus(result) == PGRES_TUPLES_OK,
                  "%s: %s", sql, PQerrorMessage(pg));
    number = PQntuples(result) ? strtol(PQgetvalue(result, 0, 0), NULL, 10)
                               : strtol(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    PQfinish(pg);
    return number;
}

void postgresql_schema_make(char uri[128])
{
    static _Atomic int count;
    char name[32];
    int size;

    snprintf(name, sizeof(name), "t%d_%d", (int)getpid(), atomic_fetch_add(&count, 1));
    size = snprintf(uri, 128, "%s%s%s", postgresql_server(), OPTION, name);
    ck_assert_int_lt(size, 128);
    /* What a killed test of the same number has left behind. */
    postgresql_sql(postgresql_server(), "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", name,
                   name);
}

void postgresql_schema_remove(const char *uri)
{
    postgresql_sql(postgresql_server(), "DROP SCHEMA %s CASCADE",
                   strstr(uri, OPTION) + strlen(OPTION));
}
