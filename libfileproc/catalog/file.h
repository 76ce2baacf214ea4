/* Owns: the records of files and pages of them: their memory, and how rows become records.
 * Must not know: which rows. */
#ifndef FPI_FILE_H
#define FPI_FILE_H

#include <fileproc/catalog.h>

#include "core/buf_private.h"
#include "core/uuid.h"

/** The columns that fpi_file_from_row() reads, in its order. */
#define FPI_FILE_COLUMNS                                                                             \
    "id, owner, filename, size, mime_type, detected_mime_type, sha256, state, parent_id, operation," \
    " storage_key, info, created_at"

/** A record of the present row, in one block of memory. */
fp_status fpi_file_from_row(const fp_context *ctx, fp_rows *rows, fp_file **out, fp_error *err);

/** An empty page with room for limit records. */
fp_status fpi_file_page_new(const fp_context *ctx, size_t limit, fp_file_page **out, fp_error *err);
/** Takes the record. There must be room. */
void fpi_file_page_add(fp_file_page *page, fp_file *file);
/** The page is not the last one: its cursor becomes the id of its last record. */
void fpi_file_page_continue(fp_file_page *page);

/** The data of a file's events: who and what it is, as JSON text. */
fp_status fpi_file_event_data(const fp_context *ctx, const fp_file *file, fp_buf *out,
                              fp_error *err);

#endif
