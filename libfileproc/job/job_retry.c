/* Owns: exponential backoff with full jitter, capped.
 * Must not know: jobs. */
#include "job/job_retry.h"

int64_t fpi_backoff_bound_ms(uint32_t base_ms, uint32_t cap_ms, int64_t attempt)
{
    int64_t bound = base_ms;

    for (int64_t i = 1; i < attempt && bound < cap_ms; i++)
        bound *= 2; /* below 2^33, as it stops at the first value that reaches cap_ms */
    return bound < cap_ms ? bound : cap_ms;
}

int64_t fpi_backoff_ms(const fp_context *ctx, uint32_t base_ms, uint32_t cap_ms, int64_t attempt)
{
    int64_t bound = fpi_backoff_bound_ms(base_ms, cap_ms, attempt);
    uint64_t random;

    if (fpi_random(ctx, &random, sizeof(random), NULL) < 0)
        return bound;
    /* 64 bits over at most 33: the bias of the remainder is below 1 in 2^31. */
    return (int64_t)(random % ((uint64_t)bound + 1));
}
