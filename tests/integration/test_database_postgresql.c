/* Owns: the contract of fileproc/database.h, run against PostgreSQL, and what only this driver promises while the server is up. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "database_contract.h"
#include "database/database_postgresql.h"
#include "fault.h"
#include "postgresql_schema.h"
#include "runner.h"
#include "scratch.h"

static const database_contract drivers[] = { { postgresql_schema_make, postgresql_schema_remove } };

int main(void)
{
    Suite *suite = suite_create("database_postgresql");

    if (!postgresql_server())
        return skip_suite("no PostgreSQL: FILEPROC_TEST_POSTGRESQL_URI is not set");
    database_contract_add(suite, drivers, 1);
    return run_suite(suite);
}
