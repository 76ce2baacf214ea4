/* Owns: the database that a suite of the layers above runs on.
 * Must not know: what is tested. */
#include "fresh_database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "database/database_private.h"
#include "postgresql_schema.h"
#include "scratch.h"

static int wanted_postgresql(void)
{
    const char *name = getenv("FILEPROC_TEST_DATABASE");

    return name && strcmp(name, "postgresql") == 0;
}

int fresh_database_is_postgresql(const fp_database *db)
{
    return strcmp(db->drv->scheme, "postgresql") == 0;
}

void fresh_database_open(fp_context *ctx, char uri[128], fp_database **out)
{
    fp_error err = { 0 };

    if (wanted_postgresql())
        postgresql_schema_make(uri);
    else
        snprintf(uri, 128, "sqlite::memory:");
    ck_status(fp_database_open(ctx, uri, NULL, out, &err), FILEPROC_OK, &err);
}

void fresh_database_refuse(fp_database *db, const char *table)
{
    char sql[256];

    if (fresh_database_is_postgresql(db))
        must_sql(db, "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE EXCEPTION 'stop'; END $$");
    snprintf(sql, sizeof(sql), "CREATE TRIGGER stop BEFORE INSERT ON %s %s", table,
             fresh_database_is_postgresql(db) ? "FOR EACH ROW EXECUTE FUNCTION stop()"
                                              : "BEGIN SELECT RAISE(ABORT, 'stop'); END");
    must_sql(db, sql);
}

void fresh_database_allow(fp_database *db, const char *table)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "DROP TRIGGER stop%s%s",
             fresh_database_is_postgresql(db) ? " ON " : "",
             fresh_database_is_postgresql(db) ? table : "");
    must_sql(db, sql);
    if (fresh_database_is_postgresql(db))
        must_sql(db, "DROP FUNCTION stop()");
}

void fresh_database_close(fp_database *db, const char *uri)
{
    fp_database_free(db);
    if (wanted_postgresql())
        postgresql_schema_remove(uri);
}
