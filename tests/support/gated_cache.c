/* Owns: the driver mem of the cache behind a gate.
 * Must not know: what is tested. */
#include "gated_cache.h"

#include <pthread.h>

#include <check.h>

#include "cache/cache_private.h"
#include "scratch.h"

static struct {
    pthread_mutex_t lock;
    fp_context *ctx;
    void *inner; /* the driver mem's */
    bool away;
    int acquired, renewed;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static fp_status cache_gate(fp_error *err)
{
    if (!cache.away)
        return FILEPROC_OK;
    return fp_error_setf(err, FILEPROC_ERR_BUSY, "the test took the cache away");
}

static fp_status open_inner(fp_context *ctx, fp_error *err)
{
    fp_cache_options o = FILEPROC_CACHE_OPTIONS_INIT;

    o.max_bytes = 1u << 20;
    return fpi_cache_mem_driver.open(ctx, "mem:", &o, &cache.inner, err);
}

static fp_status gated_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                            void **self, fp_error *err)
{
    fp_status rc = open_inner(ctx, err);

    (void)uri;
    (void)opts;
    cache.ctx = ctx;
    cache.away = false;
    cache.acquired = cache.renewed = 0;
    if (rc == FILEPROC_OK)
        *self = &cache;
    return rc;
}

static void gated_close(void *self)
{
    (void)self;
    fpi_cache_mem_driver.close(cache.inner);
}

/* Everything but the call itself is the driver's. */
#define GATED(count, call)                                                                         \
    fp_status rc;                                                                                  \
    (void)self;                                                                                    \
    pthread_mutex_lock(&cache.lock);                                                               \
    rc = cache_gate(err);                                                                          \
    count;                                                                                         \
    if (rc == FILEPROC_OK)                                                                         \
        rc = fpi_cache_mem_driver.call;                                                            \
    pthread_mutex_unlock(&cache.lock);                                                             \
    return rc

static fp_status gated_acquire(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    GATED(cache.acquired++, lease_acquire(cache.inner, lease, flags, err));
}

static fp_status gated_renew(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    GATED(cache.renewed++, lease_renew(cache.inner, lease, flags, err));
}

static fp_status gated_release(void *self, const fp_lease *lease, uint32_t flags, fp_error *err)
{
    GATED((void)0, lease_release(cache.inner, lease, flags, err));
}

static fp_status gated_look(void *self, const char *name, fp_lease_info *info, uint32_t flags,
                            fp_error *err)
{
    GATED((void)0, lease_look(cache.inner, name, info, flags, err));
}

void gated_cache_set_away(bool away)
{
    pthread_mutex_lock(&cache.lock);
    cache.away = away;
    pthread_mutex_unlock(&cache.lock);
}

void gated_cache_flush(void)
{
    fp_error err = { 0 };

    pthread_mutex_lock(&cache.lock);
    fpi_cache_mem_driver.close(cache.inner);
    ck_status(open_inner(cache.ctx, &err), FILEPROC_OK, &err);
    pthread_mutex_unlock(&cache.lock);
}

const fp_cache_driver *gated_cache_driver(void)
{
    static fp_cache_driver driver;

    driver = fpi_cache_mem_driver;
    driver.scheme = "gated";
    driver.open = gated_open;
    driver.close = gated_close;
    driver.lease_acquire = gated_acquire;
    driver.lease_renew = gated_renew;
    driver.lease_release = gated_release;
    driver.lease_look = gated_look;
    return &driver;
}

static int counted(const int *count)
{
    int n;

    pthread_mutex_lock(&cache.lock);
    n = *count;
    pthread_mutex_unlock(&cache.lock);
    return n;
}

int gated_cache_acquired(void)
{
    return counted(&cache.acquired);
}

int gated_cache_renewed(void)
{
    return counted(&cache.renewed);
}
