/* Owns: which partial uploads a final one is made of, as the database has it.
 * Must not know: how their bytes are put together. */
#ifndef FPI_UPLOAD_SOURCES_H
#define FPI_UPLOAD_SOURCES_H

#include "upload/upload_private.h"

/** Ids, one behind the other. {0} with an allocator is none. */
typedef struct fpi_upload_sources {
    const fp_allocator *a;
    char (*ids)[FPI_UUID_SIZE];
    size_t count, capacity;
} fpi_upload_sources;

void fpi_upload_sources_dispose(fpi_upload_sources *s);
FPI_DEFINE_DISPOSE(fpi_upload_sources, fpi_upload_sources_dispose)

/** The id is one; INVALID otherwise. */
fp_status fpi_upload_sources_add(fpi_upload_sources *s, const char *id, fp_error *err);

/** Inside a transaction. */
fp_status fpi_upload_sources_insert(fp_tx *tx, const char *final_id, const fpi_upload_sources *s,
                                    fp_error *err);

/** Those of a final upload, in order. */
fp_status fpi_upload_sources_read(fp_uploads *ups, const char *final_id, fpi_upload_sources *out,
                                  fp_error *err);

/** The open final uploads that a partial one belongs to, each once, but no more than `limit`. */
fp_status fpi_upload_sources_waiting(fp_uploads *ups, const char *partial_id, size_t limit,
                                     fpi_upload_sources *out, fp_error *err);

/** The next `limit` of all open final uploads, in order of their ids: those behind `after`, which is "" at first. */
fp_status fpi_upload_sources_finals(fp_uploads *ups, const char *after, size_t limit,
                                    fpi_upload_sources *out, fp_error *err);

#endif
