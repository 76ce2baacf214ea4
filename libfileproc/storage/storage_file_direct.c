/* Owns: writing the bytes of a large part past the page cache, while the next ones arrive: O_DIRECT with the kernel's asynchronous I/O.
 * Must not know: parts and their records.
 *
 * The copy into the page cache costs more than everything else that is done with an uploaded byte except SHA-256, and what it
 * fills is seldom read again. Whatever is not possible here is done the usual way: it is never an error. */
#include "storage/storage_file_direct.h"

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "storage/storage_private.h"

/* Sizes and addresses that every block device takes. */
#define ALIGN 4096u
/* Three of half a MiB keep a disk busy while one fills. */
#define BLOCK ((size_t)512 * 1024)
#define BLOCKS 3u
/* More parts than this at a time are written the usual way: 24 MiB of buffers. */
#define POOL_MAX 16u

struct fpi_direct {
    fpi_direct *next;
    fpi_direct_pool *pool;
    io_context_t aio;
    unsigned char *memory;
    unsigned char *blocks; /* in there, aligned */
    int data_fd;           /* borrowed */
    int fd;                /* the same file, O_DIRECT */
    pthread_mutex_t lock;  /* of all below */
    struct iocb calls[BLOCKS];
    bool busy[BLOCKS]; /* under way */
    unsigned filling;  /* the block that takes bytes */
    size_t filled;
    uint64_t offset; /* of its first byte in the file */
    int error;       /* the first */
};

void fpi_direct_pool_init(fpi_direct_pool *pool, const fp_allocator *a)
{
    *pool = (fpi_direct_pool){ .a = a };
    pthread_mutex_init(&pool->lock, NULL);
}

static void direct_free(fpi_direct_pool *pool, fpi_direct *d)
{
    if (d->aio)
        (void)io_destroy(d->aio);
    fpi_free(pool->a, d->memory);
    pthread_mutex_destroy(&d->lock);
    fpi_free(pool->a, d);
}

void fpi_direct_pool_dispose(fpi_direct_pool *pool)
{
    while (pool->idle) {
        fpi_direct *d = pool->idle;

        pool->idle = d->next;
        direct_free(pool, d);
    }
    pthread_mutex_destroy(&pool->lock);
}

static fpi_direct *direct_new(fpi_direct_pool *pool)
{
    fpi_direct *d = fpi_calloc(pool->a, 1, sizeof(*d));

    if (!d)
        return NULL;
    pthread_mutex_init(&d->lock, NULL);
    d->pool = pool;
    d->memory = fpi_alloc(pool->a, BLOCKS * BLOCK + ALIGN);
    if (!d->memory || io_setup(BLOCKS, &d->aio) < 0) {
        d->aio = NULL;
        direct_free(pool, d);
        return NULL;
    }
    d->blocks = d->memory + (ALIGN - (uintptr_t)d->memory % ALIGN) % ALIGN;
    return d;
}

/* Allocation and io_setup() can fail for a while; then the next part tries again. */
static fpi_direct *take(fpi_direct_pool *pool)
{
    fpi_direct *d = NULL;
    bool make = false;

    pthread_mutex_lock(&pool->lock);
    if (pool->idle) {
        d = pool->idle;
        pool->idle = d->next;
    } else if (!pool->off && pool->count < POOL_MAX) {
        make = true;
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!make)
        return d;
    d = direct_new(pool);
    if (!d) {
        pthread_mutex_lock(&pool->lock);
        pool->count--;
        pthread_mutex_unlock(&pool->lock);
    }
    return d;
}

static void give_back(fpi_direct_pool *pool, fpi_direct *d)
{
    pthread_mutex_lock(&pool->lock);
    d->next = pool->idle;
    pool->idle = d;
    pthread_mutex_unlock(&pool->lock);
}

static void turn_off(fpi_direct_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->off = true;
    pthread_mutex_unlock(&pool->lock);
}

static bool is_off(fpi_direct_pool *pool)
{
    bool off;

    pthread_mutex_lock(&pool->lock);
    off = pool->off;
    pthread_mutex_unlock(&pool->lock);
    return off;
}

/* -1 when the file system can't. */
static int open_direct(fpi_direct_pool *pool, int data_fd)
{
    char path[FPI_FD_PATH_SIZE];
    int fd = open(fpi_fd_path(data_fd, path), O_WRONLY | O_DIRECT | O_CLOEXEC);

    if (fd < 0 && errno == EINVAL)
        turn_off(pool);
    return fd;
}

fpi_direct *fpi_direct_begin(fpi_direct_pool *pool, int data_fd, uint64_t offset, uint64_t length)
{
    fpi_direct *d;

    if (length < FPI_DIRECT_MIN || offset % ALIGN || is_off(pool))
        return NULL;
    /* Where the file already has room writes run side by side; those that make it longer would wait for each other. */
    if (fallocate(data_fd, 0, (off_t)offset, (off_t)length) != 0)
        return NULL;
    d = take(pool);
    if (!d)
        return NULL;
    d->fd = open_direct(pool, data_fd);
    if (d->fd < 0) {
        give_back(pool, d);
        return NULL;
    }
    d->data_fd = data_fd;
    d->offset = offset;
    d->filling = 0;
    d->filled = 0;
    d->error = 0;
    return d;
}

/* The usual way. */
static int write_plainly(int fd, const unsigned char *data, size_t size, uint64_t offset)
{
    while (size) {
        ssize_t n = pwrite(fd, data, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        data += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* What has become of one block. A device that wants other sizes says EINVAL, now and for every other part. */
static void take_result(fpi_direct *d, const struct io_event *event)
{
    struct iocb *call = event->obj;
    long result = (long)event->res;
    size_t done = result > 0 ? (size_t)result : 0;
    int error = result < 0 ? (int)-result : 0;

    d->busy[call - d->calls] = false;
    if (error == EINVAL)
        turn_off(d->pool);
    if (error == 0 || error == EINVAL)
        error = write_plainly(d->data_fd, (unsigned char *)call->u.c.buf + done,
                              call->u.c.nbytes - done, (uint64_t)call->u.c.offset + done);
    if (!d->error)
        d->error = error;
}

/* Waits for one write at least. */
static void reap(fpi_direct *d)
{
    struct io_event events[BLOCKS];
    int n;

    do
        n = io_getevents(d->aio, 1, BLOCKS, events, NULL);
    while (n == -EINTR);
    for (int i = 0; i < n; i++)
        take_result(d, &events[i]);
    if (n >= 0)
        return;
    d->error = -n; /* can't be, with a context of ours; but it must not be waited for again */
    memset(d->busy, 0, sizeof(d->busy));
}

static void drain(fpi_direct *d)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        while (d->busy[i])
            reap(d);
}

/* The first `size` bytes of the block that fills, whole sectors. */
static void submit(fpi_direct *d, size_t size)
{
    struct iocb *call = &d->calls[d->filling];
    unsigned char *block = d->blocks + d->filling * BLOCK;
    int error;

    io_prep_pwrite(call, d->fd, block, size, (long long)d->offset);
    if (io_submit(d->aio, 1, &call) == 1) {
        d->busy[d->filling] = true;
    } else { /* no room in the kernel's queue, perhaps */
        error = write_plainly(d->data_fd, block, size, d->offset);
        if (!d->error)
            d->error = error;
    }
    d->offset += size;
    d->filling = (d->filling + 1) % BLOCKS;
    d->filled = 0;
}

static void fill(fpi_direct *d, const unsigned char *data, size_t size)
{
    while (size && !d->error) {
        size_t room = BLOCK - d->filled, n = size < room ? size : room;

        while (d->busy[d->filling])
            reap(d);
        memcpy(d->blocks + d->filling * BLOCK + d->filled, data, n);
        d->filled += n;
        data += n;
        size -= n;
        if (d->filled == BLOCK)
            submit(d, BLOCK);
    }
}

int fpi_direct_write(fpi_direct *d, const void *data, size_t size)
{
    int error;

    pthread_mutex_lock(&d->lock);
    fill(d, data, size);
    error = d->error;
    pthread_mutex_unlock(&d->lock);
    return error;
}

/* What is no whole sector goes the usual way, after the others: the two ways never meet in one page. */
int fpi_direct_flush(fpi_direct *d)
{
    unsigned char tail[ALIGN];
    size_t tail_size, whole;
    int error;

    pthread_mutex_lock(&d->lock);
    tail_size = d->filled % ALIGN;
    whole = d->filled - tail_size;
    memcpy(tail, d->blocks + d->filling * BLOCK + whole, tail_size);
    if (whole && !d->error)
        submit(d, whole);
    drain(d);
    if (tail_size && !d->error)
        d->error = write_plainly(d->data_fd, tail, tail_size, d->offset);
    d->filled = 0;
    error = d->error;
    pthread_mutex_unlock(&d->lock);
    return error;
}

void fpi_direct_drain(fpi_direct *d)
{
    pthread_mutex_lock(&d->lock);
    drain(d);
    pthread_mutex_unlock(&d->lock);
}

void fpi_direct_end(fpi_direct_pool *pool, fpi_direct *d)
{
    if (!d)
        return;
    fpi_direct_drain(d);
    close(d->fd);
    give_back(pool, d);
}
