/* Owns: sharing one sync between all who wait for the same file or folder to reach the disk.
 * Must not know: what is synced, or why. */
#ifndef FPI_SYNC_GROUP_H
#define FPI_SYNC_GROUP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** One per file or folder. Of those who call fpi_sync_group_run() one leads and syncs; who comes while
 *  a sync is under way waits for the next one, since the running one may have passed his bytes by. So
 *  any number of committers pays for about one sync each round, and nobody returns before a sync that
 *  began after his call has ended well. Shared. */
typedef struct fpi_sync_group {
    int (*sync)(void *user_data); /* 0, or an errno */
    void *user_data;
    pthread_mutex_t lock;
    pthread_cond_t ended_one;
    uint64_t begun, ended; /* rounds; the first is 1 */
    uint64_t failed;       /* the newest round that failed; 0 = none did */
    int error;             /* its errno */
    bool sticky;
} fpi_sync_group;

/** sticky: after one failure every later call fails with it. Needed for files: after a failed fsync the
 *  kernel may have dropped pages that it calls clean, so a later success says nothing about them. */
void fpi_sync_group_init(fpi_sync_group *g, int (*sync)(void *user_data), void *user_data,
                         bool sticky);
void fpi_sync_group_dispose(fpi_sync_group *g);

/** 0, or the errno of the sync. */
int fpi_sync_group_run(fpi_sync_group *g);

/** 0, or an errno; again when a signal came between. */
int fpi_sync_data(int fd);
int fpi_sync_all(int fd);

#endif
