/* Owns: the record of an upload that callers see: its memory.
 * Must not know: where its members come from. */
#ifndef FPI_UPLOAD_RECORD_H
#define FPI_UPLOAD_RECORD_H

#include <fileproc/upload.h>

#include "core/context_private.h"

FPI_DEFINE_CLEANUP(fp_upload, fp_upload_free)

/** A copy in one block of memory, for fp_upload_free(). The status is not copied: it is always a literal. */
fp_status fpi_upload_copy(const fp_context *ctx, const fp_upload *from, fp_upload **out,
                          fp_error *err);

#endif
