/* Owns: how rows become the records of files, what frees them, and how they look as JSON.
 * Must not know: which rows. */
#ifndef FPI_FILE_H
#define FPI_FILE_H

#include <fileproc/catalog.h>

#include "core/buf_private.h"
#include "database/list.h"

/** The columns that fpi_file_kind reads, in its order. */
#define FPI_FILE_COLUMNS                                                                             \
    "id, owner, filename, size, mime_type, detected_mime_type, sha256, state, parent_id, operation," \
    " storage_key, info, created_at"

extern const fpi_record_kind fpi_file_kind;

/** A record of the present row, in one block of memory. */
fp_status fpi_file_from_row(const fp_context *ctx, fp_rows *rows, fp_file **out, fp_error *err);

/** The data of a file's events: who and what it is, as JSON text. */
fp_status fpi_file_event_data(const fp_context *ctx, const fp_file *file, fp_buf *out,
                              fp_error *err);

#endif
