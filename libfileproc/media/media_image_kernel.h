/* Owns: the inner loops of scaling, for the processor at hand.
 * Must not know: images, filters. */
#ifndef FPI_MEDIA_IMAGE_KERNEL_H
#define FPI_MEDIA_IMAGE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/** Rows are read and written in blocks of so many floats: every row needs that many behind its end. */
#define FPI_MEDIA_KERNEL_BLOCK 16u

typedef struct fpi_media_kernel {
    /** out[x] = row[x] */
    void (*widen)(float *out, const uint8_t *row, size_t count);
    /** out[x] = sum over k of weight[k] * rows[k][x] */
    void (*vertical)(float *out, const float *const *rows, const float *weight, size_t taps,
                     size_t count);
    /** For each of `width` pixels of `bands` (1 to 4) floats: out[i] = sum over k of weight[i * taps + k] * row[start[i] + k]. */
    void (*horizontal)(float *out, const float *row, const int32_t *start, const float *weight,
                       size_t taps, size_t width, size_t bands);
    /** Rounded, cut to 0..255. */
    void (*narrow)(uint8_t *out, const float *row, size_t count);
} fpi_media_kernel;

/** The fastest one that this processor can run. Immutable. */
const fpi_media_kernel *fpi_media_kernel_best(void);
/** The one that every processor can run; for tests. */
const fpi_media_kernel *fpi_media_kernel_plain(void);

#endif
