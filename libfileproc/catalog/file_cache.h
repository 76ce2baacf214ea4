/* Owns: files as JSON, kept in memory for a moment: what is found, what is forgotten, how much there may be.
 * Must not know: the database. */
#ifndef FPI_FILE_CACHE_H
#define FPI_FILE_CACHE_H

#include <stdbool.h>

#include "core/buf_private.h"

/** Shared. */
typedef struct fpi_file_cache fpi_file_cache;

/** What was the case when a file was looked for: what is read of it afterwards may be kept only as long as that still holds. */
typedef struct fpi_file_cache_moment {
    uint64_t all, some;
} fpi_file_cache_moment;

/** max_bytes bounds all texts together; each is kept for max_age_ms at the most. */
fp_status fpi_file_cache_new(const fp_context *ctx, size_t max_bytes, uint32_t max_age_ms,
                             fpi_file_cache **out, fp_error *err);
void fpi_file_cache_free(fpi_file_cache *cache);
FPI_DEFINE_CLEANUP(fpi_file_cache, fpi_file_cache_free)

/** Appends the text when it is there: *found. Else *moment is for fpi_file_cache_keep(). */
fp_status fpi_file_cache_find(fpi_file_cache *cache, const char *id, fp_buf *out, uint64_t *tag,
                              fpi_file_cache_moment *moment, bool *found, fp_error *err);

/** Keeps a copy of what was read after *moment; or not, when the file may have changed since, or there is no room. */
void fpi_file_cache_keep(fpi_file_cache *cache, const char *id, const char *json, size_t size,
                         uint64_t tag, const fpi_file_cache_moment *moment);

/** From before a change (of the file; NULL = of any) to behind its commit nothing is found: others may see in the database that it has
 *  happened before the one who makes it hears of his commit. Each hold is ended by one release, after forget. */
void fpi_file_cache_hold(fpi_file_cache *cache, const char *id);
void fpi_file_cache_release(fpi_file_cache *cache, const char *id);

/** To be called after the commit that changed the file, before anybody is told of it. */
void fpi_file_cache_forget(fpi_file_cache *cache, const char *id);
void fpi_file_cache_forget_all(fpi_file_cache *cache);

#endif
