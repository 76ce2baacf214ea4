/* Owns: what the files of the driver "mem" share.
 * Must not know: other drivers. */
#ifndef FPI_CACHE_MEM_H
#define FPI_CACHE_MEM_H

#include <pthread.h>
#include <stdbool.h>

#include "cache/cache_private.h"

/** Messages that a subscription keeps for a receiver who is slow. */
#define FPI_CACHE_MEM_MESSAGES 1024u

typedef struct fpi_mem_subscription fpi_mem_subscription;

/** Everybody who listens in this process. */
typedef struct fpi_mem_listeners {
    fp_context *ctx;
    pthread_mutex_t lock; /* of the list, and of all that is in it */
    fpi_mem_subscription *first;
} fpi_mem_listeners;

void fpi_mem_listeners_init(fpi_mem_listeners *l, fp_context *ctx);
void fpi_mem_listeners_dispose(fpi_mem_listeners *l);
fp_status fpi_mem_listeners_tell(fpi_mem_listeners *l, const char *channel, const void *data,
                                 size_t size, fp_error *err);

/* Slots of the driver. */
fp_status fpi_mem_subscription_new(fpi_mem_listeners *l, void **out, fp_error *err);
fp_status fpi_mem_subscription_add(void *sub, const char *channel, fp_error *err);
void fpi_mem_subscription_remove(void *sub, const char *channel);
fp_status fpi_mem_subscription_receive(void *sub, uint32_t timeout_ms, fp_news *news,
                                       fp_error *err);
void fpi_mem_subscription_wake(void *sub);
void fpi_mem_subscription_free(void *sub);

#endif
