/* Owns: scaling a picture of 8-bit samples, row by row as a decoder gives them.
 * Must not know: decoders, colours, files.
 *
 * Lanczos with three lobes, as libvips does it: when a side shrinks to a quarter or less, whole blocks of pixels are averaged first, so that
 * the filter has a factor between two and three left; colours are weighted by alpha; beyond the edge the edge goes on. */
#include "media/media_image_scale.h"

#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "media/media_image_kernel.h"

#define LOBES 3.0

/* How the pixels of one side are made of the pixels of the other. */
typedef struct axis {
    int32_t box; /* so many input pixels are averaged into one before the filter */
    int32_t in;  /* pixels after averaging */
    int32_t out;
    int32_t taps;   /* filter weights per output pixel */
    int32_t *start; /* first of them, for each output pixel */
    float *weight;  /* out * taps; they add up to 1 */
} axis;

struct fpi_media_scale {
    const fp_context *ctx;
    const fpi_media_kernel *kernel;
    fpi_media_scale_shape shape;
    axis x, y;
    size_t stride;      /* floats of a row in the ring */
    float *ring;        /* the last y.taps rows, averaged but not filtered */
    const float **rows; /* y.taps: the rows of the output row being made */
    float *wide;        /* an input row as floats; sums of rows while averaging */
    float *column;      /* a row filtered vertically */
    float *line;        /* a row filtered both ways */
    uint8_t *out;
    int32_t in_y;      /* input rows taken */
    int32_t box_rows;  /* of these, rows added up in wide */
    int32_t ring_rows; /* rows put into the ring */
    int32_t out_y;     /* output rows written */
    bool copy;         /* nothing to scale */
};

static double lanczos(double x)
{
    double a = x * M_PI;

    if (fabs(x) < 1e-9)
        return 1;
    if (fabs(x) >= LOBES)
        return 0;
    return LOBES * sin(a) * sin(a / LOBES) / (a * a);
}

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Weights of output pixel i; what lies beyond the edge counts for the edge. */
static void axis_weigh(axis *a, int32_t i, double factor)
{
    double stretch = factor > 1 ? factor : 1;
    double centre = (i + 0.5) * factor - 0.5;
    int32_t low = (int32_t)ceil(centre - LOBES * stretch),
            high = (int32_t)floor(centre + LOBES * stretch);
    int32_t start = clamp(low, 0, a->in - a->taps);
    float *weight = a->weight + (size_t)i * (size_t)a->taps;
    double sum = 0;

    for (int32_t j = low; j <= high; j++)
        sum += lanczos((j - centre) / stretch);
    for (int32_t j = low; j <= high; j++)
        weight[clamp(j, 0, a->in - 1) - start] += (float)(lanczos((j - centre) / stretch) / sum);
    a->start[i] = start;
}

static fp_status axis_init(const fp_context *ctx, axis *a, int in, int out, fp_error *err)
{
    double factor = (double)in / out;

    a->box = factor >= 4 ? (int32_t)(factor / 2) : 1;
    a->in = (in + a->box - 1) / a->box;
    a->out = out;
    factor /= a->box;
    a->taps = clamp((int32_t)ceil(2 * LOBES * (factor > 1 ? factor : 1)) + 1, 1, a->in);
    a->start = fpi_calloc(&ctx->a, (size_t)out, sizeof(*a->start));
    a->weight = fpi_calloc(&ctx->a, (size_t)out * (size_t)a->taps, sizeof(*a->weight));
    if (!a->start || !a->weight)
        return fpi_no_memory(err);
    for (int32_t i = 0; i < out; i++)
        axis_weigh(a, i, factor);
    return FILEPROC_OK;
}

static float *row_of_floats(const fp_context *ctx, size_t count, size_t rows)
{
    return fpi_calloc(&ctx->a, (count + FPI_MEDIA_KERNEL_BLOCK) * rows, sizeof(float));
}

static fp_status allocate(fpi_media_scale *s, fp_error *err)
{
    const fp_context *ctx = s->ctx;
    size_t bands = (size_t)s->shape.bands;
    size_t taps;
    fp_status rc = axis_init(ctx, &s->x, s->shape.in_width, s->shape.out_width, err);

    if (rc == FILEPROC_OK)
        rc = axis_init(ctx, &s->y, s->shape.in_height, s->shape.out_height, err);
    if (rc < 0)
        return rc;
    taps = (size_t)s->y.taps;
    s->stride = (size_t)s->x.in * bands + FPI_MEDIA_KERNEL_BLOCK;
    s->ring = row_of_floats(ctx, (size_t)s->x.in * bands, taps);
    s->rows = fpi_calloc(&ctx->a, taps, sizeof(*s->rows));
    s->wide = row_of_floats(ctx, (size_t)s->x.in * (size_t)s->x.box * bands, 2);
    s->column = row_of_floats(ctx, (size_t)s->x.in * bands, 1);
    s->line = row_of_floats(ctx, (size_t)s->x.out * bands, 1);
    return s->ring && s->rows && s->wide && s->column && s->line ? FILEPROC_OK : fpi_no_memory(err);
}

fp_status fpi_media_scale_new(const fp_context *ctx, const fpi_media_scale_shape *shape,
                              uint8_t *out, fpi_media_scale **scale, fp_error *err)
{
    FPI_CLEANUP(fpi_media_scale) s = fpi_calloc(&ctx->a, 1, sizeof(*s));
    fp_status rc;

    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    s->kernel = fpi_media_kernel_best();
    s->shape = *shape;
    s->out = out;
    s->copy = shape->in_width == shape->out_width && shape->in_height == shape->out_height;
    rc = s->copy ? FILEPROC_OK : allocate(s, err);
    if (rc < 0)
        return rc;
    *scale = fpi_steal(&s);
    return FILEPROC_OK;
}

void fpi_media_scale_free(fpi_media_scale *s)
{
    const fp_allocator *a;

    if (!s)
        return;
    a = &s->ctx->a;
    fpi_free(a, s->x.start);
    fpi_free(a, s->x.weight);
    fpi_free(a, s->y.start);
    fpi_free(a, s->y.weight);
    fpi_free(a, s->ring);
    fpi_free(a, s->rows);
    fpi_free(a, s->wide);
    fpi_free(a, s->column);
    fpi_free(a, s->line);
    fpi_free(a, s);
}

/* Colours of what can't be seen must not bleed into what can. */
static void premultiply(float *row, int width, int bands)
{
    for (int i = 0; i < width; i++, row += bands) {
        float part = row[bands - 1] * (1.0f / 255.0f);

        for (int b = 0; b < bands - 1; b++)
            row[b] *= part;
    }
}

static void unpremultiply(float *row, int width, int bands)
{
    for (int i = 0; i < width; i++, row += bands) {
        float alpha = row[bands - 1];
        float factor = alpha > 0.25f ? 255.0f / (alpha > 255.0f ? 255.0f : alpha) : 0.0f;

        for (int b = 0; b < bands - 1; b++)
            row[b] *= factor;
    }
}

/* Sums of `box` pixels beside each other; the last block can be shorter. `rows` rows are in the sums already. */
static void average_blocks(const fpi_media_scale *s, float *out, const float *sums, int32_t rows)
{
    int bands = s->shape.bands;

    for (int32_t i = 0; i < s->x.in; i++) {
        int32_t first = i * s->x.box;
        int32_t count = s->shape.in_width - first < s->x.box ? s->shape.in_width - first : s->x.box;
        float part = 1.0f / (float)(count * rows);

        for (int b = 0; b < bands; b++) {
            const float *at = sums + (size_t)first * (size_t)bands + b;
            float sum = 0;

            for (int32_t k = 0; k < count; k++)
                sum += at[k * bands];
            out[i * bands + b] = sum * part;
        }
    }
}

static void add(float *sum, const float *row, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += row[i];
}

/* One input row goes into the ring, or into the sums of the block that it belongs to. True when the ring has a row more. */
static bool take_row(fpi_media_scale *s, const uint8_t *row)
{
    size_t count = (size_t)s->shape.in_width * (size_t)s->shape.bands;
    bool boxed = s->x.box > 1 || s->y.box > 1;
    float *slot = s->ring + (size_t)(s->ring_rows % s->y.taps) * s->stride;
    float *sums = s->wide + (size_t)s->x.in * (size_t)s->x.box * (size_t)s->shape.bands +
                  FPI_MEDIA_KERNEL_BLOCK;
    float *target = !boxed ? slot : s->box_rows == 0 ? sums : s->wide;

    s->in_y++;
    s->kernel->widen(target, row, count);
    if (s->shape.alpha)
        premultiply(target, s->shape.in_width, s->shape.bands);
    if (boxed) {
        if (s->box_rows++ > 0)
            add(sums, s->wide, count);
        if (s->box_rows < s->y.box && s->in_y < s->shape.in_height)
            return false;
        average_blocks(s, slot, sums, s->box_rows);
        s->box_rows = 0;
    }
    s->ring_rows++;
    return true;
}

static void write_row(fpi_media_scale *s)
{
    size_t taps = (size_t)s->y.taps, used = 0;
    size_t bands = (size_t)s->shape.bands, width = (size_t)s->x.out;
    const float *weight = s->y.weight + (size_t)s->out_y * taps;
    int32_t start = s->y.start[s->out_y];

    /* Weights that are nothing at both ends cost as much as others: they are left out. */
    while (taps > 1 && weight[taps - 1] == 0.0f)
        taps--;
    while (used + 1 < taps && weight[used] == 0.0f)
        used++;
    for (size_t k = used; k < taps; k++)
        s->rows[k - used] = s->ring + (size_t)((start + (int32_t)k) % s->y.taps) * s->stride;
    s->kernel->vertical(s->column, s->rows, weight + used, taps - used, (size_t)s->x.in * bands);
    s->kernel->horizontal(s->line, s->column, s->x.start, s->x.weight, (size_t)s->x.taps, width,
                          bands);
    if (s->shape.alpha)
        unpremultiply(s->line, s->x.out, s->shape.bands);
    s->kernel->narrow(s->out + (size_t)s->out_y * width * bands, s->line, width * bands);
    s->out_y++;
}

void fpi_media_scale_row(fpi_media_scale *s, const uint8_t *row)
{
    size_t count = (size_t)s->shape.in_width * (size_t)s->shape.bands;

    if (s->copy) {
        memcpy(s->out + (size_t)s->in_y++ * count, row, count);
        return;
    }
    if (!take_row(s, row))
        return;
    while (s->out_y < s->y.out && s->y.start[s->out_y] + s->y.taps <= s->ring_rows)
        write_row(s);
}
