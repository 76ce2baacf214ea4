/* Owns: leases as rows of the database, for engines that have no cache in common. As fp_lease_*() of fileproc/cache.h.
 * Must not know: what leases are on. */
#ifndef FPI_LEASE_ROWS_H
#define FPI_LEASE_ROWS_H

#include <fileproc/cache.h>

#include "database/database_private.h"

/** Whether this database can keep leases: it needs a clock of its own. */
bool fpi_lease_rows_possible(const fp_database *db);

fp_status fpi_lease_rows_acquire(fp_database *db, fp_lease *lease, uint32_t flags, fp_error *err);
fp_status fpi_lease_rows_renew(fp_database *db, fp_lease *lease, fp_error *err);
fp_status fpi_lease_rows_release(fp_database *db, const fp_lease *lease, fp_error *err);
fp_status fpi_lease_rows_look(fp_database *db, const char *name, fp_lease_info *info,
                              fp_error *err);
/** Forgets those that ended long ago. */
fp_status fpi_lease_rows_forget(fp_database *db, fp_error *err);

#endif
