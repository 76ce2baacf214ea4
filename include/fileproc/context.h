/* Owns: the context that every other handle hangs on: allocator, clock, randomness, log, registries.
 * Must not know: what a driver or operation does. */
#ifndef FILEPROC_CONTEXT_H
#define FILEPROC_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/error.h>
#include <fileproc/export.h>

FILEPROC_BEGIN_DECLS

/** Memory functions, used for everything the library itself allocates. Third-party libraries
 *  (SQLite, jansson, OpenSSL) keep their own. All three may be called from any thread at once. */
typedef struct fp_allocator {
    void *(*alloc)(void *user_data, size_t size);              /**< NULL when out of memory. */
    void *(*realloc)(void *user_data, void *ptr, size_t size); /**< Like C's; ptr may be NULL. */
    void (*free)(void *user_data, void *ptr);                  /**< ptr may be NULL. */
    void *user_data;                                           /**< Handed to the three above. */
} fp_allocator;

/** Log levels of fp_context_options.log. */
enum {
    FILEPROC_LOG_DEBUG = 0,
    FILEPROC_LOG_INFO = 1,
    FILEPROC_LOG_WARN = 2,
    FILEPROC_LOG_ERROR = 3
};

/** Settings for fp_context_new(). Start from FILEPROC_CONTEXT_OPTIONS_INIT; NULL in any member means
 *  the library's default. The hooks may be called from any thread at once. */
typedef struct fp_context_options {
    size_t struct_size;            /**< Filled by the initialiser; never by hand. */
    const fp_allocator *allocator; /**< Copied. Default: malloc and friends. @since 0.1 */
    /** Milliseconds since 1970 UTC. Default: the system's clock. @since 0.1 */
    int64_t (*clock_ms)(void *user_data);
    /** Fills buf; 0 = done. Default: the system's random numbers. @since 0.1 */
    int32_t (*random)(void *user_data, void *buf, size_t size);
    /** Gets one line of UTF-8. Default: nothing is logged. @since 0.1 */
    void (*log)(void *user_data, int32_t level, const char *component, const char *message);
    void *user_data; /**< Handed to the hooks. @since 0.1 */
} fp_context_options;
/** All-default fp_context_options. */
#define FILEPROC_CONTEXT_OPTIONS_INIT \
    { sizeof(fp_context_options), NULL, NULL, NULL, NULL, NULL }

/** The ground under every other handle. Contexts are independent of each other; one context may be
 *  used by any number of threads once its drivers and operations are added. */
typedef struct fp_context fp_context;

/**
 * Make a context.
 *
 * @param opts      NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns the context and releases it with
 *                  fp_context_free() after everything made from it.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           The context is ready.
 * @retval FILEPROC_ERR_INVALID  out is NULL, or an option is newer than this library.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_new(const fp_context_options *opts, fp_context **out,
                                      fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a context.
 *
 * @param ctx  Taken; NULL is allowed. Nothing made from it may be alive.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_context_free(fp_context *ctx);

struct fp_storage_driver;
struct fp_database_driver;
struct fp_queue_driver;
struct fp_cache_driver;
struct fp_operation;

/**
 * Add a storage driver (fileproc/driver/storage_driver.h); it wins over a built-in one of the same scheme.
 *
 * @param ctx  Borrowed.
 * @param drv  Borrowed; must outlive the context.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Added.
 * @retval FILEPROC_ERR_INVALID  A required slot is missing.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Before the context is shared between threads.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_add_storage_driver(fp_context *ctx,
                                                     const struct fp_storage_driver *drv,
                                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * Add a database driver (fileproc/driver/database_driver.h); as fp_context_add_storage_driver().
 *
 * @param ctx  Borrowed.
 * @param drv  Borrowed; must outlive the context.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Added.
 * @retval FILEPROC_ERR_INVALID  A required slot is missing.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Before the context is shared between threads.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_add_database_driver(fp_context *ctx,
                                                      const struct fp_database_driver *drv,
                                                      fp_error *err) FILEPROC_NODISCARD;

/**
 * Add a queue driver (fileproc/driver/queue_driver.h); as fp_context_add_storage_driver().
 *
 * @param ctx  Borrowed.
 * @param drv  Borrowed; must outlive the context.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Added.
 * @retval FILEPROC_ERR_INVALID  A required slot is missing.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Before the context is shared between threads.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_add_queue_driver(fp_context *ctx,
                                                   const struct fp_queue_driver *drv,
                                                   fp_error *err) FILEPROC_NODISCARD;

/**
 * Add a cache driver (fileproc/driver/cache_driver.h); as fp_context_add_storage_driver().
 *
 * @param ctx  Borrowed.
 * @param drv  Borrowed; must outlive the context.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Added.
 * @retval FILEPROC_ERR_INVALID  A required slot is missing.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Before the context is shared between threads.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_add_cache_driver(fp_context *ctx,
                                                   const struct fp_cache_driver *drv,
                                                   fp_error *err) FILEPROC_NODISCARD;

/**
 * Add an operation of the embedder (fileproc/driver/operation_driver.h). It runs in the embedder's process.
 * Its name must be its own: operations, unlike drivers, take the place of nothing that is built in, as stored jobs name them.
 *
 * @param ctx  Borrowed.
 * @param op   Borrowed; must outlive the context.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Added.
 * @retval FILEPROC_ERR_INVALID  No struct_size, no name, no run function, or a schema that is no JSON object.
 * @retval FILEPROC_ERR_EXISTS   An operation of this name was added before. The name of a built-in one is refused with the
 *                               same code by fp_pipelines_open(), which knows them.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Before the context is shared between threads.
 * @since 0.1
 */
FILEPROC_API fp_status fp_context_add_operation(fp_context *ctx, const struct fp_operation *op,
                                                fp_error *err) FILEPROC_NODISCARD;

FILEPROC_END_DECLS
#endif
