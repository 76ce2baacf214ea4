/* Owns: how large a result is: fitting a picture into a box.
 * Must not know: pixels. */
#ifndef FPI_MEDIA_GEOMETRY_H
#define FPI_MEDIA_GEOMETRY_H

#include <stdbool.h>

typedef enum fpi_media_fit {
    FPI_MEDIA_FIT_INSIDE = 0, /* all of it, within the box */
    FPI_MEDIA_FIT_COVER = 1,  /* fills the box, the rest is cut off */
    FPI_MEDIA_FIT_FILL = 2    /* exactly the box, whatever that does to it */
} fpi_media_fit;

typedef struct fpi_media_box {
    int width;  /* 0 = free */
    int height; /* 0 = free */
    fpi_media_fit fit;
    bool enlarge;
} fpi_media_box;

/** The picture is scaled to the first pair, then cut to the second. */
typedef struct fpi_media_size {
    int scaled_width, scaled_height;
    int width, height;
} fpi_media_size;

/** Sides of at least 1. A side left free follows the other. Without enlarge no side grows. */
fpi_media_size fpi_media_fit_box(int width, int height, const fpi_media_box *box);

#endif
