/* Owns: the catalog's steps inside other nouns' transactions.
 * Must not know: uploads and jobs. */
#ifndef FPI_CATALOG_PRIVATE_H
#define FPI_CATALOG_PRIVATE_H

#include <stdbool.h>

#include <fileproc/catalog.h>

#include "core/context_private.h"

FPI_DEFINE_CLEANUP(fp_catalog, fp_catalog_free)
FPI_DEFINE_CLEANUP(fp_file, fp_file_free)
FPI_DEFINE_CLEANUP(fp_file_page, fp_file_page_free)

/** A row to be; the texts are borrowed. */
typedef struct fpi_new_file {
    const char *id;
    const char *owner; /* or NULL */
    const char *filename;
    const char *mime_type;
    const char *detected_mime_type; /* or NULL */
    const char *sha256;             /* or NULL */
    const char *parent_id;          /* or NULL */
    const char *operation;          /* or NULL */
    const char *job_id;             /* or NULL */
    const char *storage_key;
    const char *info; /* JSON object, or NULL for {} */
    uint64_t size;
    bool quarantined; /* nobody may read it yet */
} fpi_new_file;

/** Inserts the row in state available, with its FPI_EVENT_FILE_CREATED when it is an upload (no parent); or in state quarantined, with
 *  FPI_EVENT_FILE_QUARANTINED. EXISTS when the id is taken. */
fp_status fpi_catalog_insert(fp_catalog *cat, fp_tx *tx, const fpi_new_file *file, fp_error *err);

/** A quarantined or rejected file gets another state; *file is its row afterwards, NULL when it is neither. One that becomes available is
 *  told as FPI_EVENT_FILE_CREATED. */
fp_status fpi_catalog_move(fp_catalog *cat, fp_tx *tx, const char *id, const char *state,
                           fp_file **file, fp_error *err);

/** Reads a row in a transaction, whatever its state; NOTFOUND with file_not_found. */
fp_status fpi_catalog_read(fp_catalog *cat, fp_tx *tx, const char *id, fp_file **out,
                           fp_error *err);

#define FPI_CATALOG_READ_MAX 32

/** The same for at most FPI_CATALOG_READ_MAX ids, which may repeat: files[i] becomes the record of ids[i], or NULL when there is none.
 *  At a failure all are NULL. */
fp_status fpi_catalog_read_each(fp_catalog *cat, fp_tx *tx, const char *const *ids, size_t count,
                                fp_file **files, fp_error *err);

/** Sets what was learnt; NULL leaves a column alone. info_member is merged into info under info_key. */
fp_status fpi_catalog_learn(fp_catalog *cat, fp_tx *tx, const char *id,
                            const char *detected_mime_type, const char *sha256,
                            const char *info_key, const char *info_member, fp_error *err);

/** The file (NULL = any of them) is about to change: to be called before the transaction. Until fpi_catalog_changed() it is read from the
 *  database, where others may see the change before we hear of the commit. */
void fpi_catalog_changing(fp_catalog *cat, const char *id);
/** The file may have changed: to be called after the commit, also when it may have failed, and before anybody is told. */
void fpi_catalog_changed(fp_catalog *cat, const char *id);

/** Whether a row with this storage key exists: *found is 0 or 1. */
fp_status fpi_catalog_has_key(fp_catalog *cat, fp_tx *tx, const char *storage_key, int *found,
                              fp_error *err);

#endif
