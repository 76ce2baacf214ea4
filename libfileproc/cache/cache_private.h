/* Owns: what the files of the cache share: its handle, its drivers, the arithmetic of limits.
 * Must not know: what anything in a cache means. */
#ifndef FPI_CACHE_PRIVATE_H
#define FPI_CACHE_PRIVATE_H

#include <fileproc/driver/cache_driver.h>

#include "core/context_private.h"

struct fp_cache {
    fp_context *ctx;
    const fp_cache_driver *drv;
    void *self; /* the driver's */
};

FPI_DEFINE_CLEANUP(fp_cache, fp_cache_free)
FPI_DEFINE_CLEANUP(fp_subscription, fp_subscription_free)

extern const fp_cache_driver fpi_cache_mem_driver;

/** Ends with NULL. */
extern const fp_cache_driver *const fpi_cache_drivers[];

/** How long an ended lease is remembered. */
#define FPI_LEASE_MEMORY_MS 3600000
/** Who waits for a lease asks again within this time. */
#define FPI_LEASE_WAIT_MS 250

/** INVALID unless it has 1 to FILEPROC_CACHE_KEY_MAX bytes; what names it in the message. */
fp_status fpi_cache_check_key(const char *key, const char *what, fp_error *err);

/** CONFLICT with lease_lost; CONFLICT with lease_held, and when to ask again. */
fp_status fpi_lease_lost(fp_error *err);
fp_status fpi_lease_held(int64_t left_ms, fp_error *err);

/** What is kept of a limit: the number of the window, what was counted in it, and in the one before. */
typedef struct fpi_rate_state {
    int64_t window;
    uint64_t current, previous;
} fpi_rate_state;

/** Counts, or finds that it is too much, and fills what fp_rate tells. now_ms is of any clock that does not go back. */
void fpi_rate_step(fpi_rate_state *s, fp_rate *rate, int64_t now_ms);

#endif
