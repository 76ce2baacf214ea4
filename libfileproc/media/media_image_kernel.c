/* Owns: the inner loops of scaling, for the processor at hand.
 * Must not know: images, filters.
 *
 * libvips 8.14 has no vector code for the horizontal half of a resize; for photos of a few megapixels that half costs more than decoding
 * them (docs/internals/media-helper.md has the numbers). The loops are written with the compiler's vector types, once, and compiled twice:
 * as they are, and for AVX2 with FMA. */
#include "media/media_image_kernel.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef float f4 __attribute__((vector_size(16)));
typedef float f8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef uint8_t u8 __attribute__((vector_size(8)));

/* memcpy() is how unaligned memory is read without breaking a rule of C; it compiles to one instruction. A macro, because a function can't
 * take or give f8 where the processor has no such registers. */
#define LOAD(vector, at) memcpy(&(vector), (at), sizeof(vector))
#define STORE(at, vector) memcpy((at), &(vector), sizeof(vector))

INLINE void widen(float *out, const uint8_t *row, size_t count)
{
    size_t x = 0;

    for (; x + 8 <= count; x += 8) {
        u8 in;
        f8 wide;

        LOAD(in, row + x);
        wide = __builtin_convertvector(__builtin_convertvector(in, i8), f8);
        STORE(out + x, wide);
    }
    for (; x < count; x++)
        out[x] = row[x];
}

INLINE void vertical(float *out, const float *const *rows, const float *weight, size_t taps,
                     size_t count)
{
    for (size_t x = 0; x < count; x += 16) {
        f8 sum0 = { 0 }, sum1 = { 0 };

        for (size_t k = 0; k < taps; k++) {
            f8 a, b;

            LOAD(a, rows[k] + x);
            LOAD(b, rows[k] + x + 8);
            sum0 += a * weight[k];
            sum1 += b * weight[k];
        }
        STORE(out + x, sum0);
        STORE(out + x + 8, sum1);
    }
}

/* One pixel of 3 or 4 bands: four floats at a time, the fourth of three is ignored by whoever stores. Two sums hide the latency of adding. */
INLINE void pixel(float *out, const float *from, const float *weight, size_t taps, size_t bands)
{
    f4 sum0 = { 0 }, sum1 = { 0 }, a, b;
    size_t k = 0;

    for (; k + 2 <= taps; k += 2) {
        LOAD(a, from + k * bands);
        LOAD(b, from + (k + 1) * bands);
        sum0 += a * weight[k];
        sum1 += b * weight[k + 1];
    }
    if (k < taps) {
        LOAD(a, from + k * bands);
        sum0 += a * weight[k];
    }
    sum0 += sum1;
    STORE(out, sum0);
}

INLINE void pixel_narrow(float *out, const float *from, const float *weight, size_t taps,
                         size_t bands)
{
    for (size_t b = 0; b < bands; b++) {
        float sum = 0;

        for (size_t k = 0; k < taps; k++)
            sum += from[k * bands + b] * weight[k];
        out[b] = sum;
    }
}

INLINE void horizontal(float *out, const float *row, const int32_t *start, const float *weight,
                       size_t taps, size_t width, size_t bands)
{
    for (size_t i = 0; i < width; i++) {
        const float *from = row + (size_t)start[i] * bands;

        if (bands == 3)
            pixel(out + i * 3, from, weight + i * taps, taps, 3);
        else if (bands == 4)
            pixel(out + i * 4, from, weight + i * taps, taps, 4);
        else
            pixel_narrow(out + i * bands, from, weight + i * taps, taps, bands);
    }
}

INLINE void narrow(uint8_t *out, const float *row, size_t count)
{
    size_t x = 0;

    for (; x + 8 <= count; x += 8) {
        f8 v;
        i8 n, above;
        u8 small;

        LOAD(v, row + x);
        n = __builtin_convertvector(v + 0.5f, i8);
        n &= n > 0;
        above = n > 255;
        n = (n & ~above) | (255 & above);
        small = __builtin_convertvector(n, u8);
        STORE(out + x, small);
    }
    for (; x < count; x++) {
        float up = row[x] + 0.5f; /* as above, to the last bit */

        out[x] = up < 0.0f ? 0 : up > 255.0f ? 255 : (uint8_t)up;
    }
}

#define DEFINE_KERNEL(name, attribute)                                                             \
    attribute static void name##_widen(float *out, const uint8_t *row, size_t count)               \
    {                                                                                              \
        widen(out, row, count);                                                                    \
    }                                                                                              \
    attribute static void name##_vertical(float *out, const float *const *rows,                    \
                                          const float *weight, size_t taps, size_t count)          \
    {                                                                                              \
        vertical(out, rows, weight, taps, count);                                                  \
    }                                                                                              \
    attribute static void name##_horizontal(float *out, const float *row, const int32_t *start,    \
                                            const float *weight, size_t taps, size_t width,        \
                                            size_t bands)                                          \
    {                                                                                              \
        horizontal(out, row, start, weight, taps, width, bands);                                   \
    }                                                                                              \
    attribute static void name##_narrow(uint8_t *out, const float *row, size_t count)              \
    {                                                                                              \
        narrow(out, row, count);                                                                   \
    }                                                                                              \
    static const fpi_media_kernel name = { name##_widen, name##_vertical, name##_horizontal,       \
                                           name##_narrow };

DEFINE_KERNEL(plain, )
#if defined(__x86_64__)
DEFINE_KERNEL(avx2, __attribute__((target("avx2,fma"))))
#endif

const fpi_media_kernel *fpi_media_kernel_plain(void)
{
    return &plain;
}

const fpi_media_kernel *fpi_media_kernel_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &avx2;
#endif
    return &plain;
}
