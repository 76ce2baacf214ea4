/* Owns: the table of the cache drivers in this build.
 * Must not know: what they do. The only file of this folder with feature conditions. */
#include "cache/cache_private.h"
#include "cache/cache_redis.h"
#include "fileproc_config.h"

const fp_cache_driver *const fpi_cache_drivers[] = {
    &fpi_cache_mem_driver,
#ifdef FPI_HAVE_REDIS
    &fpi_cache_redis_driver,
#endif
    NULL,
};
