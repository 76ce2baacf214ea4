/* Owns: the form of the migrations that compile.py makes from migrations/NNNN_name.sql.
 * Must not know: any table. */
#ifndef FPI_MIGRATION_H
#define FPI_MIGRATION_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/database.h>

/** One numbered step of the tables. */
typedef struct fpi_migration {
    int64_t version; /* from 1, without gaps */
    const char *name;
    const char *checksum; /* SHA-256 of the statements, without comments and spacing */
    const char *const *statements;
    size_t count;
} fpi_migration;

extern const fpi_migration fpi_migrations[];
extern const size_t fpi_migration_count;

/** fp_database_migrate() with a table of the caller's; for tests of what later releases will do. */
fp_status fpi_migrate(fp_database *db, const fpi_migration *migrations, size_t count,
                      fp_error *err);

#endif
