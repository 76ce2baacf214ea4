/* Owns: how long a failed job waits before it is tried again.
 * Must not know: jobs. */
#ifndef FPI_JOB_RETRY_H
#define FPI_JOB_RETRY_H

#include "core/context_private.h"

/** A random time from 0 to the bound of fpi_backoff_bound_ms(): exponential backoff with full jitter, so that jobs that
 *  failed together don't come back together. Without randomness the bound itself. */
int64_t fpi_backoff_ms(const fp_context *ctx, uint32_t base_ms, uint32_t cap_ms, int64_t attempt);

/** base_ms doubled for each attempt after the first, at the most cap_ms. */
int64_t fpi_backoff_bound_ms(uint32_t base_ms, uint32_t cap_ms, int64_t attempt);

#endif
