/* Owns: how the library fills an fp_buf.
 * Must not know: what is in it. */
#ifndef FPI_BUF_PRIVATE_H
#define FPI_BUF_PRIVATE_H

#include <fileproc/buf.h>

#include "core/context_private.h"

FPI_DEFINE_DISPOSE(fp_buf, fp_buf_dispose)

/** All append and keep a NUL behind; on failure the buffer is unchanged. */
fp_status fpi_buf_append(const fp_context *ctx, fp_buf *buf, const void *data, size_t size,
                         fp_error *err);
fp_status fpi_buf_text(const fp_context *ctx, fp_buf *buf, const char *text, fp_error *err);
fp_status fpi_buf_printf(const fp_context *ctx, fp_buf *buf, fp_error *err, const char *fmt, ...)
    FILEPROC_PRINTF(4, 5);
/** Makes room for size more bytes (and the NUL), so that that much can be appended without failing. */
fp_status fpi_buf_reserve(const fp_context *ctx, fp_buf *buf, size_t size, fp_error *err);

#endif
