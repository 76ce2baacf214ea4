/* Owns: the table of the database drivers in this build.
 * Must not know: what they do. The only file of this folder with feature conditions. */
#include "database/database_private.h"

#include "fileproc_config.h"

const fp_database_driver *const fpi_database_drivers[] = {
    &fpi_database_sqlite_driver,
#ifdef FPI_HAVE_POSTGRESQL
    &fpi_database_postgresql_driver,
    &fpi_database_postgres_driver,
#endif
    NULL,
};
