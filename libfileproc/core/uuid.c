/* Owns: identifiers: UUID version 7 (RFC 9562 section 5.7), in text form.
 * Must not know: what they name. */
#include "core/uuid.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/hex.h"

/* Method 1 of RFC 9562 section 6.2: a counter in rand_a keeps ids of one millisecond in order. It is process-wide, as
 * the order is promised for the process; the lock is held for a few instructions. */
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_ms;
static uint32_t counter;

static void next_in_order(int64_t now_ms, uint32_t seed, int64_t *ms, uint32_t *count)
{
    pthread_mutex_lock(&order_lock);
    if (now_ms > last_ms) {
        last_ms = now_ms;
        counter = seed & 0x7FF; /* the upper half is left for counting */
    } else if (++counter > 0xFFF) {
        last_ms++;
        counter = 0;
    }
    *ms = last_ms;
    *count = counter;
    pthread_mutex_unlock(&order_lock);
}

fp_status fpi_uuid7(const fp_context *ctx, char out[FPI_UUID_SIZE], fp_error *err)
{
    unsigned char r[10];
    uint32_t count;
    int64_t ms;
    fp_status rc;

    rc = fpi_random(ctx, r, sizeof(r), err);
    if (rc < 0)
        return rc;
    next_in_order(fpi_now_ms(ctx), (uint32_t)r[8] << 8 | r[9], &ms, &count);
    snprintf(out, FPI_UUID_SIZE, "%08x-%04x-7%03x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             (unsigned)((uint64_t)ms >> 16 & 0xFFFFFFFFu), (unsigned)(ms & 0xFFFF), (unsigned)count,
             (r[0] & 0x3Fu) | 0x80u, r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
    return FILEPROC_OK;
}

void fpi_uuid7_first(int64_t ms, char out[FPI_UUID_SIZE])
{
    uint64_t u = ms > 0 ? (uint64_t)ms : 0;

    snprintf(out, FPI_UUID_SIZE, "%08x-%04x-0000-0000-000000000000",
             (unsigned)(u >> 16 & 0xFFFFFFFFu), (unsigned)(u & 0xFFFF));
}

bool fpi_uuid_valid(const char *text)
{
    if (!text || strlen(text) != FPI_UUID_SIZE - 1)
        return false;
    for (size_t i = 0; text[i]; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !strchr(FPI_HEX_DIGITS, text[i]))
            return false;
    }
    return true;
}
