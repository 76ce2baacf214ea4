/* Owns: the requests that bring bytes of uploads, and ending the one whose place a newer one has taken, which may be stuck for ever.
 * Must not know: what becomes of the bytes. */
#include "writers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUCKETS 64u

typedef struct bucket {
    pthread_mutex_t lock;
    fpd_writer *first;
} bucket;

struct fpd_writers {
    bucket buckets[BUCKETS];
};

fpd_writers *fpd_writers_new(void)
{
    fpd_writers *all = calloc(1, sizeof(*all));

    for (size_t i = 0; all && i < BUCKETS; i++)
        pthread_mutex_init(&all->buckets[i].lock, NULL);
    return all;
}

void fpd_writers_free(fpd_writers *all)
{
    for (size_t i = 0; all && i < BUCKETS; i++)
        pthread_mutex_destroy(&all->buckets[i].lock);
    free(all);
}

/* FNV-1a */
static bucket *bucket_of(fpd_writers *all, const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &all->buckets[hash % BUCKETS];
}

/* With the lock, so the request is still there and its connection open. Reading then finds the end, also when it waits at this
 * moment; writing still works, so that its peer can be told. */
static void end_reading(fpd_writer *old)
{
    int fd = old->wire->descriptor ? old->wire->descriptor(old->wire->self) : -1;

    old->superseded = true;
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RD);
}

void fpd_writer_enter(fpd_writers *all, fpd_writer *in, const char *upload_id, uint64_t chunk,
                      const fpd_wire *wire)
{
    bucket *b = bucket_of(all, upload_id);

    *in = (fpd_writer){ NULL, &b->first, all, upload_id, chunk, wire, false };
    pthread_mutex_lock(&b->lock);
    for (fpd_writer *old = b->first; old; old = old->next)
        if (!old->superseded && old->chunk == chunk && strcmp(old->upload_id, upload_id) == 0)
            end_reading(old);
    in->next = b->first;
    if (in->next)
        in->next->place = &in->next;
    b->first = in;
    pthread_mutex_unlock(&b->lock);
}

static void end_some(fpd_writers *all, const char *upload_id, bool appends_only)
{
    bucket *b = bucket_of(all, upload_id);

    pthread_mutex_lock(&b->lock);
    for (fpd_writer *old = b->first; old; old = old->next)
        if (!old->superseded && (!appends_only || old->chunk == FPD_WRITER_APPEND) &&
            strcmp(old->upload_id, upload_id) == 0)
            end_reading(old);
    pthread_mutex_unlock(&b->lock);
}

void fpd_writers_end(fpd_writers *all, const char *upload_id)
{
    end_some(all, upload_id, false);
}

void fpd_writers_end_appends(fpd_writers *all, const char *upload_id)
{
    end_some(all, upload_id, true);
}

bool fpd_writer_leave(fpd_writer *in)
{
    bucket *b;

    if (!in->all)
        return false;
    b = bucket_of(in->all, in->upload_id);
    pthread_mutex_lock(&b->lock);
    *in->place = in->next;
    if (in->next)
        in->next->place = in->place;
    pthread_mutex_unlock(&b->lock);
    in->all = NULL;
    return in->superseded;
}
