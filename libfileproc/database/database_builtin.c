/* Owns: the table of the database drivers in this build.
 * Must not know: what they do. The only file of this folder with feature conditions. */
#include "database/database_private.h"

const fp_database_driver *const fpi_database_drivers[] = {
    &fpi_database_sqlite_driver,
    NULL,
};
