/* Owns: the name by which the table of drivers finds the one for Redis.
 * Must not know: Redis. */
#ifndef FPI_CACHE_REDIS_H
#define FPI_CACHE_REDIS_H

#include <fileproc/driver/cache_driver.h>

extern const fp_cache_driver fpi_cache_redis_driver;

#endif
