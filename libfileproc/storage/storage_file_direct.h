/* Owns: what storage_file_direct.c offers: writing the bytes of a large part past the page cache.
 * Must not know: parts and their records. */
#ifndef FPI_STORAGE_FILE_DIRECT_H
#define FPI_STORAGE_FILE_DIRECT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fileproc/context.h>

/** Less is not worth it. */
#define FPI_DIRECT_MIN ((uint64_t)1 << 20)

/** Somebody who writes this way; one thread at a time, but for fpi_direct_drain(). */
typedef struct fpi_direct fpi_direct;

/** Those who do not write at the moment, and how many there are at all: each has buffers. Shared. */
typedef struct fpi_direct_pool {
    pthread_mutex_t lock;
    const fp_allocator *a;
    fpi_direct *idle;
    unsigned count;
    bool off; /* this file system or kernel can't */
} fpi_direct_pool;

void fpi_direct_pool_init(fpi_direct_pool *pool, const fp_allocator *a);
/** Nobody writes any more. */
void fpi_direct_pool_dispose(fpi_direct_pool *pool);

/** Begins to write `length` bytes from `offset` on into this file. NULL when they are better written the usual way. data_fd is
 *  borrowed and must stay open. */
fpi_direct *fpi_direct_begin(fpi_direct_pool *pool, int data_fd, uint64_t offset, uint64_t length);
/** The next bytes, copied. These two answer an errno or 0; after an error nothing more is written. */
int fpi_direct_write(fpi_direct *d, const void *data, size_t size);
/** All bytes have been taken by the file; they are not synced. */
int fpi_direct_flush(fpi_direct *d);
/** No write of d is under way when this returns. Callable from any thread. */
void fpi_direct_drain(fpi_direct *d);
/** What was not flushed may be lost; NULL is allowed. */
void fpi_direct_end(fpi_direct_pool *pool, fpi_direct *d);

#endif
