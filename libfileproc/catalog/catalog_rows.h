/* Owns: what is inside a catalog, and the steps that only its own files share.
 * Must not know: uploads and jobs. */
#ifndef FPI_CATALOG_ROWS_H
#define FPI_CATALOG_ROWS_H

#include "catalog/catalog_private.h"
#include "catalog/file.h"
#include "catalog/file_cache.h"

struct fp_catalog {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fpi_file_cache *cache; /* NULL = nothing is kept in memory */
};

/** NOTFOUND with file_not_found. */
fp_status fpi_file_not_found(fp_error *err);

/** Appends an event about the file. */
fp_status fpi_catalog_append_event(fp_catalog *cat, fp_tx *tx, const char *type,
                                   const fp_file *file, fp_error *err);

#endif
