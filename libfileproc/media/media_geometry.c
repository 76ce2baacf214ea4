/* Owns: how large a result is: fitting a picture into a box.
 * Must not know: pixels. */
#include "media/media_geometry.h"

#include <math.h>

static int side(double length)
{
    return length < 1 ? 1 : length > 1e9 ? 1000000000 : (int)lround(length);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static fpi_media_size fill_box(int width, int height, const fpi_media_box *box)
{
    int w = box->enlarge ? box->width : smaller(width, box->width);
    int h = box->enlarge ? box->height : smaller(height, box->height);

    return (fpi_media_size){ w, h, w, h };
}

fpi_media_size fpi_media_fit_box(int width, int height, const fpi_media_box *box)
{
    double across = box->width ? (double)box->width / width : INFINITY;
    double down = box->height ? (double)box->height / height : INFINITY;
    bool whole = box->width && box->height;
    bool cover = whole && box->fit == FPI_MEDIA_FIT_COVER;
    double factor = cover ? fmax(across, down) : fmin(across, down);
    fpi_media_size size;

    if (whole && box->fit == FPI_MEDIA_FIT_FILL)
        return fill_box(width, height, box);
    if (!isfinite(factor) || (factor > 1 && !box->enlarge))
        factor = 1;
    size.scaled_width = side(width * factor);
    size.scaled_height = side(height * factor);
    size.width = cover ? smaller(size.scaled_width, box->width) : size.scaled_width;
    size.height = cover ? smaller(size.scaled_height, box->height) : size.scaled_height;
    return size;
}
