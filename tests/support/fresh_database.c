/* Owns: the database that a suite of the layers above runs on.
 * Must not know: what is tested. */
#include "fresh_database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "postgresql_schema.h"
#include "scratch.h"

int fresh_database_is_postgresql(void)
{
    const char *name = getenv("FILEPROC_TEST_DATABASE");

    return name && strcmp(name, "postgresql") == 0;
}

void fresh_database_open(fp_context *ctx, char uri[128], fp_database **out)
{
    fp_error err = { 0 };

    if (fresh_database_is_postgresql())
        postgresql_schema_make(uri);
    else
        snprintf(uri, 128, "sqlite::memory:");
    ck_status(fp_database_open(ctx, uri, NULL, out, &err), FILEPROC_OK, &err);
}

void fresh_database_close(fp_database *db, const char *uri)
{
    fp_database_free(db);
    if (fresh_database_is_postgresql())
        postgresql_schema_remove(uri);
}
