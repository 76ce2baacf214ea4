/* Owns: the database that a suite of the layers above runs on: SQLite in memory; or, when FILEPROC_TEST_DATABASE is "postgresql", a
 * schema of its own on the server of FILEPROC_TEST_POSTGRESQL_URI.
 * Must not know: what is tested. */
#ifndef TESTS_FRESH_DATABASE_H
#define TESTS_FRESH_DATABASE_H

#include <fileproc/database.h>

/* Opens an empty database without tables; its URI is written to uri. */
void fresh_database_open(fp_context *ctx, char uri[128], fp_database **out);
/* Whether a database is PostgreSQL, for the few statements of tests that differ. */
int fresh_database_is_postgresql(const fp_database *db);
/* From here on every INSERT into the table fails; and no more. */
void fresh_database_refuse(fp_database *db, const char *table);
void fresh_database_allow(fp_database *db, const char *table);
/* db may be NULL. */
void fresh_database_close(fp_database *db, const char *uri);

#endif
