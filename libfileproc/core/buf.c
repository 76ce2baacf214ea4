/* Owns: the growable byte buffer.
 * Must not know: what is in it. */
#include "core/buf_private.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <fileproc/driver/operation_driver.h>

void fp_buf_dispose(fp_buf *buf)
{
    if (!buf)
        return;
    if (buf->alloc)
        fpi_free(buf->alloc, buf->data);
    *buf = (fp_buf)FILEPROC_BUF_INIT;
}

fp_status fpi_buf_reserve(const fp_context *ctx, fp_buf *buf, size_t size, fp_error *err)
{
    size_t wanted, capacity = buf->capacity ? buf->capacity : 64;
    char *data;

    if (size > SIZE_MAX / 2 - buf->size - 1)
        return fpi_no_memory(err);
    wanted = buf->size + size + 1;
    if (wanted <= buf->capacity)
        return FILEPROC_OK;
    while (capacity < wanted)
        capacity *= 2;
    if (!buf->alloc)
        buf->alloc = &ctx->a;
    data = fpi_realloc(buf->alloc, buf->data, capacity, 1);
    if (!data)
        return fpi_no_memory(err);
    data[buf->size] = '\0';
    buf->data = data;
    buf->capacity = capacity;
    return FILEPROC_OK;
}

fp_status fpi_buf_append(const fp_context *ctx, fp_buf *buf, const void *data, size_t size,
                         fp_error *err)
{
    fp_status rc = fpi_buf_reserve(ctx, buf, size, err);

    if (rc < 0)
        return rc;
    if (size)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
    return FILEPROC_OK;
}

fp_status fpi_buf_text(const fp_context *ctx, fp_buf *buf, const char *text, fp_error *err)
{
    return fpi_buf_append(ctx, buf, text, strlen(text), err);
}

fp_status fpi_buf_printf(const fp_context *ctx, fp_buf *buf, fp_error *err, const char *fmt, ...)
{
    va_list args;
    fp_status rc;
    int size;

    va_start(args, fmt);
    size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "text can't be formatted");
    rc = fpi_buf_reserve(ctx, buf, (size_t)size, err);
    if (rc < 0)
        return rc;
    va_start(args, fmt);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, fmt, args);
    va_end(args);
    buf->size += (size_t)size;
    return FILEPROC_OK;
}

fp_status fp_buf_append(fp_context *ctx, fp_buf *buf, const void *text, size_t size, fp_error *err)
{
    if (!ctx || !buf || (!text && size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return fpi_buf_append(ctx, buf, text, size, err);
}
