/* Owns: the growable byte buffer in which the library returns text and bytes.
 * Must not know: any other noun but the allocator it remembers. */
#ifndef FILEPROC_BUF_H
#define FILEPROC_BUF_H

#include <stddef.h>

#include <fileproc/export.h>

FILEPROC_BEGIN_DECLS

struct fp_allocator;

/** Bytes with a NUL behind them. Start from FILEPROC_BUF_INIT, read data and size, write neither,
 *  and give it back with fp_buf_dispose(). */
typedef struct fp_buf {
    char *data;                       /**< size bytes and one NUL; NULL while empty and never filled. */
    size_t size;                      /**< Bytes in use, the NUL not counted. */
    size_t capacity;                  /**< Bytes allocated. */
    const struct fp_allocator *alloc; /**< Who frees data; set when the library first fills the buffer. */
} fp_buf;

/** An empty fp_buf. */
#define FILEPROC_BUF_INIT \
    { NULL, 0, 0, NULL }

/**
 * Free what the buffer holds and make it empty again.
 *
 * @param buf  Borrowed; NULL and an empty buffer are allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per buffer; must not outlive the context that filled it.
 * @since 0.1
 */
FILEPROC_API void fp_buf_dispose(fp_buf *buf);

FILEPROC_END_DECLS
#endif
