/* Owns: scaling a picture of 8-bit samples, row by row as a decoder gives them.
 * Must not know: decoders, colours, files. */
#ifndef FPI_MEDIA_IMAGE_SCALE_H
#define FPI_MEDIA_IMAGE_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/context_private.h"

typedef struct fpi_media_scale_shape {
    int in_width, in_height;
    int out_width, out_height;
    int bands;  /* 1 to 4 */
    bool alpha; /* the last band is one: colours count by it */
} fpi_media_scale_shape;

/** Takes rows, top to bottom, and writes rows when it has what they need: it keeps some rows, never the picture. Several of them
 *  can be fed from one decoder. One thread at a time. */
typedef struct fpi_media_scale fpi_media_scale;

/** `out` has room for out_width * out_height * bands bytes; it is borrowed until the end. */
fp_status fpi_media_scale_new(const fp_context *ctx, const fpi_media_scale_shape *shape,
                              uint8_t *out, fpi_media_scale **scale, fp_error *err);
void fpi_media_scale_free(fpi_media_scale *scale);
FPI_DEFINE_CLEANUP(fpi_media_scale, fpi_media_scale_free)

/** in_width * bands bytes. `out` is complete after the in_height-th call. */
void fpi_media_scale_row(fpi_media_scale *scale, const uint8_t *row);

#endif
