/* Owns: the table of functions behind fileproc/cache.h, for those who write a backend.
 * Must not know: any driver. Less stable than the other headers: a minor release may extend it. */
#ifndef FILEPROC_DRIVER_CACHE_DRIVER_H
#define FILEPROC_DRIVER_CACHE_DRIVER_H

#include <fileproc/cache.h>

FILEPROC_BEGIN_DECLS

/** A cache backend. Every slot may be called from many threads at once, subscription_receive by one for each subscription;
 *  the core has validated the arguments. Structs are of this library's size. */
typedef struct fp_cache_driver {
    size_t struct_size; /**< Filled by FILEPROC_CACHE_DRIVER_INIT. */
    const char *scheme; /**< Filled by FILEPROC_CACHE_DRIVER_INIT. */

    /** Required. Sets *self on success. */
    fp_status (*open)(fp_context *ctx, const char *uri, const fp_cache_options *opts, void **self,
                      fp_error *err);
    /** Required. Frees self; never NULL. */
    void (*close)(void *self);
    /** Required. As fp_cache_ping(). */
    fp_status (*ping)(void *self, fp_error *err);
    /** Required. As fp_cache_get(); the bytes are appended with fp_buf_append(). */
    fp_status (*get)(void *self, const char *key, fp_buf *value, int32_t *found, uint32_t flags,
                     fp_error *err);
    /** Required. As fp_cache_set(). */
    fp_status (*set)(void *self, const char *key, const void *value, size_t size, int64_t ttl_ms,
                     fp_error *err);
    /** Required. As fp_cache_remove(). */
    fp_status (*remove)(void *self, const char *key, uint32_t flags, fp_error *err);
    /** Required. As fp_lease_acquire(). */
    fp_status (*lease_acquire)(void *self, fp_lease *lease, uint32_t flags, fp_error *err);
    /** Required. As fp_lease_renew(); ttl_ms is 0 for fp_lease_check(). */
    fp_status (*lease_renew)(void *self, fp_lease *lease, uint32_t flags, fp_error *err);
    /** Required. As fp_lease_release(). */
    fp_status (*lease_release)(void *self, const fp_lease *lease, uint32_t flags, fp_error *err);
    /** Required. As fp_lease_look(); info is empty. */
    fp_status (*lease_look)(void *self, const char *name, fp_lease_info *info, uint32_t flags,
                            fp_error *err);
    /** Required. As fp_cache_count(). */
    fp_status (*count)(void *self, const char *key, fp_rate *rate, uint32_t flags, fp_error *err);
    /** Required. As fp_cache_publish(). */
    fp_status (*publish)(void *self, const char *channel, const void *data, size_t size,
                         uint32_t flags, fp_error *err);
    /** Required. As fp_cache_subscribe(). */
    fp_status (*subscribe)(void *self, void **sub, fp_error *err);
    /** Required. As fp_subscription_add(). */
    fp_status (*subscription_add)(void *sub, const char *channel, fp_error *err);
    /** Required. As fp_subscription_remove(). */
    void (*subscription_remove)(void *sub, const char *channel);
    /** Required. As fp_subscription_receive(); news is empty. */
    fp_status (*subscription_receive)(void *sub, uint32_t timeout_ms, fp_news *news, fp_error *err);
    /** Required. As fp_subscription_wake(). */
    void (*subscription_wake)(void *sub);
    /** Required. As fp_subscription_free(); never NULL. */
    void (*subscription_free)(void *sub);
} fp_cache_driver;
/** The first two members; designated initialisers for the slots follow. */
#define FILEPROC_CACHE_DRIVER_INIT(name) .struct_size = sizeof(fp_cache_driver), .scheme = (name)

FILEPROC_END_DECLS
#endif
