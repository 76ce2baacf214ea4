/* Owns: a thread, lent by the caller, that goes on with a digest while the next bytes arrive.
 * Must not know: chunks and uploads. */
#include "upload/hasher.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error_private.h"

/* So far it may be behind: it has to be hashed when the last byte is there, so no more than what keeps both threads busy. */
#define RING ((size_t)512 * 1024)
/* What is hashed at a time, before others hear of it. */
#define PIECE ((size_t)64 * 1024)

void fpi_hasher_init(fpi_hasher *h)
{
    *h = (fpi_hasher){ 0 };
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    pthread_cond_init(&h->done, NULL);
}

void fpi_hasher_dispose(fpi_hasher *h)
{
    pthread_cond_destroy(&h->done);
    pthread_cond_destroy(&h->work);
    pthread_mutex_destroy(&h->lock);
}

static size_t at_most(size_t size, size_t limit)
{
    return size < limit ? size : limit;
}

/* From here to the end of the ring. */
static size_t up_to_the_end(uint64_t position)
{
    return RING - (size_t)(position % RING);
}

static bool is_idle(const fpi_hasher *h)
{
    return h->head == h->tail && !h->adding;
}

/* With the lock held, which it lets go while it hashes. Who waits for room is woken when there is much of it: each time costs. */
static void hash_piece(fpi_hasher *h)
{
    size_t n = at_most(at_most((size_t)(h->head - h->tail), up_to_the_end(h->tail)), PIECE);
    fpi_digest *digest = h->digest;

    pthread_mutex_unlock(&h->lock);
    fpi_digest_update(digest, h->ring + h->tail % RING, n);
    pthread_mutex_lock(&h->lock);
    h->tail += n;
    if (h->head - h->tail <= RING / 2)
        pthread_cond_broadcast(&h->done);
}

static void serve(fpi_hasher *h)
{
    while (!h->stopping || !is_idle(h)) {
        if (h->head != h->tail)
            hash_piece(h);
        else
            pthread_cond_wait(&h->work, &h->lock);
    }
}

fp_status fpi_hasher_run(fpi_hasher *h, const fp_allocator *a, fp_error *err)
{
    unsigned char *ring = fpi_alloc(a, RING);

    if (!ring)
        return fpi_no_memory(err);
    pthread_mutex_lock(&h->lock);
    if (h->ring) {
        pthread_mutex_unlock(&h->lock);
        fpi_free(a, ring);
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "another thread hashes here");
    }
    h->ring = ring;
    serve(h);
    h->ring = NULL;
    h->stopping = false;
    pthread_mutex_unlock(&h->lock);
    fpi_free(a, ring);
    return FILEPROC_OK;
}

void fpi_hasher_stop(fpi_hasher *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_signal(&h->work);
    pthread_mutex_unlock(&h->lock);
}

/* With the lock held, which it lets go while it copies; what lies between head and head + RING is nobody else's. */
static size_t copy_in(fpi_hasher *h, const unsigned char *data, size_t size)
{
    size_t n;

    while (h->head - h->tail == RING)
        pthread_cond_wait(&h->done, &h->lock);
    n = at_most(at_most(RING - (size_t)(h->head - h->tail), up_to_the_end(h->head)), size);
    pthread_mutex_unlock(&h->lock);
    memcpy(h->ring + h->head % RING, data, n);
    pthread_mutex_lock(&h->lock);
    if (h->head == h->tail)
        pthread_cond_signal(&h->work);
    h->head += n;
    return n;
}

bool fpi_hasher_add(fpi_hasher *h, fpi_digest *digest, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    bool taken;

    pthread_mutex_lock(&h->lock);
    taken = h->ring && (h->digest == digest || is_idle(h)) && !(h->stopping && is_idle(h));
    if (taken) {
        h->digest = digest;
        h->adding = true;
        for (size_t n; size; bytes += n, size -= n)
            n = copy_in(h, bytes, size);
        h->adding = false;
        if (h->stopping)
            pthread_cond_signal(&h->work);
    }
    pthread_mutex_unlock(&h->lock);
    return taken;
}

void fpi_hasher_finish(fpi_hasher *h, const fpi_digest *digest)
{
    pthread_mutex_lock(&h->lock);
    while (h->digest == digest && h->head != h->tail)
        pthread_cond_wait(&h->done, &h->lock);
    if (h->digest == digest) /* it may be somebody else's turn since */
        h->digest = NULL;
    pthread_mutex_unlock(&h->lock);
}
