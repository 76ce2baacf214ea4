/* Owns: empty schemas on the PostgreSQL server that FILEPROC_TEST_POSTGRESQL_URI names, for tests that need a database each.
 * Must not know: what is tested. */
#ifndef TESTS_POSTGRESQL_SCHEMA_H
#define TESTS_POSTGRESQL_SCHEMA_H

/* NULL = there is no server, and no test. */
const char *postgresql_server(void);
/* Writes the URI of a new schema on that server. */
void postgresql_schema_make(char uri[128]);
/* Removes it with all that is in it. */
void postgresql_schema_remove(const char *uri);
/* Runs a statement beside the library, on a connection of its own; answers the first column of the first row as a number, or the
 * rows changed. server_uri is postgresql_server() or one of the above. */
long postgresql_sql(const char *uri, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
