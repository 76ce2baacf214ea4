/* Owns: what is inside a database handle, and the table of built-in drivers.
 * Must not know: any driver's insides. */
#ifndef FPI_DATABASE_PRIVATE_H
#define FPI_DATABASE_PRIVATE_H

#include <fileproc/database.h>
#include <fileproc/driver/database_driver.h>

#include "core/context_private.h"

struct fp_database {
    fp_context *ctx;
    const fp_database_driver *drv;
    void *self;
};

FPI_DEFINE_CLEANUP(fp_database, fp_database_free)
FPI_DEFINE_CLEANUP(fp_rows, fp_rows_free)

/** Ends with NULL. */
extern const fp_database_driver *const fpi_database_drivers[];
extern const fp_database_driver fpi_database_sqlite_driver;

/** A number that changes when somebody else (another process, or another handle on the same database) has committed
 *  something. Never waits for a transaction; an answer given while one runs may be as old as that one's
 *  beginning. */
fp_status fpi_database_change_counter(fp_database *db, int64_t *counter, fp_error *err);

#endif
