/* Owns: sharing one sync between all who wait for the same file or folder to reach the disk.
 * Must not know: what is synced, or why. */
#include "storage/sync_group.h"

#include <errno.h>
#include <unistd.h>

void fpi_sync_group_init(fpi_sync_group *g, int (*sync)(void *user_data), void *user_data,
                         bool sticky)
{
    *g = (fpi_sync_group){ .sync = sync, .user_data = user_data, .sticky = sticky };
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->ended_one, NULL);
}

void fpi_sync_group_dispose(fpi_sync_group *g)
{
    pthread_cond_destroy(&g->ended_one);
    pthread_mutex_destroy(&g->lock);
}

/* With the lock held, which it lets go while it syncs. */
static void lead_one_round(fpi_sync_group *g)
{
    uint64_t round = ++g->begun;
    int error;

    pthread_mutex_unlock(&g->lock);
    error = g->sync(g->user_data);
    pthread_mutex_lock(&g->lock);
    if (error) {
        g->failed = round;
        g->error = error;
    }
    g->ended = round;
    pthread_cond_broadcast(&g->ended_one);
}

int fpi_sync_group_run(fpi_sync_group *g)
{
    uint64_t mine;
    int error;

    pthread_mutex_lock(&g->lock);
    mine = g->begun + 1; /* a round that has begun may be past the bytes of this caller */
    while (g->ended < mine && !(g->sticky && g->failed)) {
        if (g->begun == g->ended)
            lead_one_round(g);
        else
            pthread_cond_wait(&g->ended_one, &g->lock);
    }
    /* A later round's failure is taken for ours too: it may have hit what ours left behind. */
    error = g->failed && (g->sticky || g->failed >= mine) ? g->error : 0;
    pthread_mutex_unlock(&g->lock);
    return error;
}

int fpi_sync_data(int fd)
{
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

int fpi_sync_all(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}
