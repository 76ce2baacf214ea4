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

        /* NOLINTNEXTLINE(performance-no-int-to-ptr): it only reads, but does not say const */
        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)n, crc);
        at += n;
        size -= n;
    }
    return ~crc;
}

/* Polynomials over GF(2) modulo that of the CRC, as it counts: bit 31 is the coefficient of x^0. */
#define POLYNOMIAL 0x82F63B78u
#define ONE 0x80000000u
#define X_TO_THE_8 0x00800000u

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = ONE; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

/* Bytes that follow multiply what was before by x^8 each; the inversions at the ends cancel out. */
uint32_t fpi_crc32c_join(uint32_t first, uint32_t second, uint64_t size)
{
    uint32_t factor = ONE;

    for (uint32_t power = X_TO_THE_8; size; size >>= 1) {
        if (size & 1)
            factor = multiply(factor, power);
        power = multiply(power, power);
    }
    return multiply(factor, first) ^ second;
}
