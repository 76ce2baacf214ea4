/* Owns: what is inside a context; every noun of the library reaches allocator, clock and log through it.
 * Must not know: the nouns themselves. */
#ifndef FPI_CONTEXT_PRIVATE_H
#define FPI_CONTEXT_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/context.h>

#include "core/alloc.h"
#include "core/cleanup.h"

/** Drivers or operations that the embedder added; looked through before the built-in ones. */
typedef struct fpi_registry {
    const void **items;
    size_t count;
} fpi_registry;

struct fp_context {
    fp_allocator a;
    int64_t (*clock_ms)(void *user_data);
    int32_t (*random)(void *user_data, void *buf, size_t size);
    void (*log)(void *user_data, int32_t level, const char *component, const char *message);
    void *user_data;
    fpi_registry storage_drivers;
    fpi_registry database_drivers;
    fpi_registry queue_drivers;
    fpi_registry cache_drivers;
    fpi_registry operations;
};

FPI_DEFINE_CLEANUP(fp_context, fp_context_free)

/** Milliseconds since 1970 UTC, by the context's clock. */
int64_t fpi_now_ms(const fp_context *ctx);

/** Milliseconds of a clock that never jumps; for time-outs, not for display. */
int64_t fpi_monotonic_ms(void);

/** FILEPROC_ERR_IO when the source of randomness fails. */
fp_status fpi_random(const fp_context *ctx, void *buf, size_t size, fp_error *err);

/** One line for the context's log hook; nothing happens when there is none. */
void fpi_log(const fp_context *ctx, int32_t level, const char *component, const char *fmt, ...)
    FILEPROC_PRINTF(4, 5);

#endif
