/* Owns: the promises of fileproc/database.h as tests, to be run against every driver.
 * Must not know: any driver. */
#ifndef TESTS_DATABASE_CONTRACT_H
#define TESTS_DATABASE_CONTRACT_H

#include <check.h>

/* How a driver's test program makes an empty database. */
typedef struct database_contract {
    void (*fresh)(char uri[128]);  /* writes the URI of a database without tables */
    void (*gone)(const char *uri); /* removes what fresh() made; the database is closed */
} database_contract;

/* Adds the tests; each runs once per driver. drivers must stay alive. */
void database_contract_add(Suite *suite, const database_contract *drivers, int count);

#endif
