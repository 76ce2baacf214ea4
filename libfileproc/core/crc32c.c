/* Owns: CRC-32C (RFC 3720 appendix B.4), which OpenSSL does not have.
 * Must not know: anything else. */
#include <isa-l/crc.h>

#include "core/digest.h"

/* The library counts in int, and leaves the inversions at both ends to its caller. */
#define STEP ((size_t)1 << 30)

uint32_t fpi_crc32c(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;

    crc = ~crc;
    while (size) {
        size_t n = size < STEP ? size : STEP;

        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)n,
                          crc); /* NOLINT(performance-no-int-to-ptr) */
        at += n;
        size -= n;
    }
    return ~crc;
}
