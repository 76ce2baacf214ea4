/* Owns: the tests of media/media_image_scale.c: against the definition of the filter, computed for each pixel by itself. */
#include "media/media_image_scale.h"

#include <math.h>
#include <string.h>

#include "fault.h"
#include "runner.h"

#define SIDE_MAX 700
#define PIXELS_MAX (SIDE_MAX * SIDE_MAX)

static uint8_t in[PIXELS_MAX * 4], out[PIXELS_MAX * 4];

static void scale(const fp_context *ctx, const fpi_media_scale_shape *shape)
{
    FPI_CLEANUP(fpi_media_scale) s = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_media_scale_new(ctx, shape, out, &s, &err), FILEPROC_OK);
    for (int y = 0; y < shape->in_height; y++)
        fpi_media_scale_row(s, in + (size_t)y * (size_t)shape->in_width * (size_t)shape->bands);
}

static void scale_alone(const fpi_media_scale_shape *shape)
{
    FPI_CLEANUP(fp_context) ctx = NULL;

    memset(out, 0xAB,
           (size_t)shape->out_width * (size_t)shape->out_height * (size_t)shape->bands + 64);
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    scale(ctx, shape);
}

/* One assertion for all: each costs Check a system call. */
static void all_are(uint8_t value, size_t count)
{
    size_t i = 0;

    while (i < count && out[i] == value)
        i++;
    ck_assert_msg(i == count, "byte %zu is %d", i, out[i]);
}

static double lanczos3(double x)
{
    double a = x * 3.14159265358979323846;

    return fabs(x) < 1e-9 ? 1 : fabs(x) >= 3 ? 0 : 3 * sin(a) * sin(a / 3) / (a * a);
}

static int inside(int i, int length)
{
    return i < 0 ? 0 : i >= length ? length - 1 : i;
}

/* The share that input pixel j has in output pixel i, were the line as long as you like: what lies beyond the edge is the edge. */
static double weight_of(int i, int j, double factor)
{
    double stretch = factor > 1 ? factor : 1;

    return lanczos3((j - ((i + 0.5) * factor - 0.5)) / stretch);
}

/* The share of every input pixel in every output pixel of a line: shares[i * from_size + j]. */
static void share_out(double *shares, int from_size, int to_size)
{
    double factor = (double)from_size / to_size, reach = 3 * (factor > 1 ? factor : 1);

    memset(shares, 0, sizeof(*shares) * (size_t)from_size * (size_t)to_size);
    for (int i = 0; i < to_size; i++) {
        int centre = (int)((i + 0.5) * factor), span = (int)reach + 2;
        double *row = shares + (size_t)i * (size_t)from_size, total = 0;

        for (int j = centre - span; j <= centre + span; j++) {
            double w = weight_of(i, j, factor);

            row[inside(j, from_size)] += w;
            total += w;
        }
        for (int j = 0; j < from_size; j++)
            row[j] /= total;
    }
}

static void resample(const double *shares, const double *from, int from_size, double *to,
                     int to_size)
{
    for (int i = 0; i < to_size; i++) {
        const double *row = shares + (size_t)i * (size_t)from_size;

        to[i] = 0;
        for (int j = 0; j < from_size; j++)
            to[i] += row[j] * from[j];
    }
}

/* Both ways, one band, no alpha. Rows first: the order makes no difference before rounding. */
static void reference(const fpi_media_scale_shape *s, int band, double *result)
{
    static double rows[SIDE_MAX * SIDE_MAX], line[SIDE_MAX], made[SIDE_MAX];
    static double shares[SIDE_MAX * SIDE_MAX];

    share_out(shares, s->in_width, s->out_width);
    for (int y = 0; y < s->in_height; y++) {
        for (int x = 0; x < s->in_width; x++)
            line[x] =
                in[((size_t)y * (size_t)s->in_width + (size_t)x) * (size_t)s->bands + (size_t)band];
        resample(shares, line, s->in_width, made, s->out_width);
        for (int x = 0; x < s->out_width; x++)
            rows[y * s->out_width + x] = made[x];
    }
    share_out(shares, s->in_height, s->out_height);
    for (int x = 0; x < s->out_width; x++) {
        for (int y = 0; y < s->in_height; y++)
            line[y] = rows[y * s->out_width + x];
        resample(shares, line, s->in_height, made, s->out_height);
        for (int y = 0; y < s->out_height; y++)
            result[y * s->out_width + x] = made[y];
    }
}

static void fill_with_noise(size_t count)
{
    uint32_t state = 99;

    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        in[i] = (uint8_t)(state >> 24);
    }
}

static size_t input_size(const fpi_media_scale_shape *s)
{
    return (size_t)s->in_width * (size_t)s->in_height * (size_t)s->bands;
}

/* The largest and the mean difference from the definition. */
static void compare(const fpi_media_scale_shape *s, double largest, double mean)
{
    static double wanted[SIDE_MAX * SIDE_MAX];
    double worst = 0, total = 0;
    int count = s->out_width * s->out_height;

    for (int b = 0; b < s->bands; b++) {
        reference(s, b, wanted);
        for (int i = 0; i < count; i++) {
            double cut = fmin(255, fmax(0, wanted[i]));
            double off = fabs(cut - out[i * s->bands + b]);

            worst = fmax(worst, off);
            total += off;
        }
    }
    ck_assert_msg(worst <= largest && total / count / s->bands <= mean,
                  "%d x %d to %d x %d, %d bands: off by %g, %g in the mean", s->in_width,
                  s->in_height, s->out_width, s->out_height, s->bands, worst,
                  total / count / s->bands);
}

/* Nothing is averaged beforehand below a factor of four: every pixel is what the filter says, rounded. */
START_TEST(pixels_are_what_the_filter_says)
{
    static const int sizes[][4] = { { 64, 48, 32, 24 }, { 65, 47, 33, 20 }, { 90, 90, 89, 90 },
                                    { 90, 90, 90, 31 }, { 61, 50, 16, 49 }, { 20, 30, 57, 91 },
                                    { 5, 5, 50, 3 },    { 1, 1, 7, 5 },     { 2, 3, 1, 1 },
                                    { 1, 60, 1, 20 },   { 60, 1, 20, 1 },   { 7, 7, 6, 8 },
                                    { 300, 2, 299, 2 } };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (int bands = 1; bands <= 4; bands++) {
            fpi_media_scale_shape s = { sizes[i][0], sizes[i][1], sizes[i][2],
                                        sizes[i][3], bands,       false };

            fill_with_noise(input_size(&s));
            scale_alone(&s);
            compare(&s, 0.51, 0.51);
        }
}
END_TEST

/* Beyond it blocks are averaged first, as libvips does. On noise, the hardest there is, that shows; on what pictures hold it does not. */
START_TEST(large_factors_stay_near_the_filter)
{
    static const int sizes[][4] = { { 400, 300, 100, 75 }, { 640, 480, 64, 48 },
                                    { 657, 481, 50, 31 },  { 699, 3, 7, 3 },
                                    { 3, 699, 3, 11 },     { 500, 500, 3, 2 },
                                    { 333, 222, 1, 1 } };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (int bands = 1; bands <= 4; bands++) {
            fpi_media_scale_shape s = { sizes[i][0], sizes[i][1], sizes[i][2],
                                        sizes[i][3], bands,       false };

            for (size_t k = 0; k < input_size(&s); k++) {
                int x = (int)(k / (size_t)bands % (size_t)s.in_width);
                int y = (int)(k / (size_t)bands / (size_t)s.in_width);

                in[k] = (uint8_t)(128 + 60 * sin(x * 0.02 + (double)(k % (size_t)bands)) +
                                  50 * cos(y * 0.03));
            }
            scale_alone(&s);
            compare(&s, 5, 3);
        }
}
END_TEST

START_TEST(one_colour_stays_that_colour)
{
    static const uint8_t colours[] = { 0, 1, 127, 254, 255 };

    for (size_t c = 0; c < sizeof(colours); c++)
        for (int side = 1; side < 300; side += 37)
            for (int bands = 1; bands <= 4; bands++) {
                fpi_media_scale_shape s = { 150, 97, side, 1 + side / 2, bands, false };
                size_t count = (size_t)s.out_width * (size_t)s.out_height * (size_t)bands;

                memset(in, colours[c], input_size(&s));
                scale_alone(&s);
                all_are(colours[c], count);
            }
}
END_TEST

START_TEST(the_same_size_is_a_copy)
{
    fpi_media_scale_shape s = { 77, 55, 77, 55, 3, false };

    fill_with_noise(input_size(&s));
    scale_alone(&s);
    ck_assert_mem_eq(in, out, input_size(&s));
    ck_assert_int_eq(out[input_size(&s)], 0xAB);
}
END_TEST

START_TEST(every_row_is_written_and_nothing_behind_them)
{
    for (int h = 1; h < 120; h += 3)
        for (int to = 1; to < 120; to += 7) {
            fpi_media_scale_shape s = { 9, h, 5, to, 1, false };
            size_t count = 5u * (size_t)to;

            memset(in, 200, input_size(&s));
            scale_alone(&s);
            all_are(200, count);
            ck_assert_int_eq(out[count], 0xAB);
        }
}
END_TEST

/* Half of the picture is red but can't be seen, the other is blue: nowhere is any violet. */
START_TEST(hidden_colours_do_not_bleed)
{
    for (int to = 3; to < 90; to += 6) {
        fpi_media_scale_shape s = { 60, 20, to, 9, 4, true };

        for (int i = 0; i < 60 * 20; i++) {
            static const uint8_t red[] = { 255, 0, 0, 0 }, blue[] = { 0, 0, 255, 255 };

            memcpy(in + i * 4, i % 60 < 30 ? red : blue, 4);
        }
        scale_alone(&s);
        for (int i = 0; i < to * 9; i++)
            if (out[i * 4 + 3] > 4)
                ck_assert_msg(out[i * 4] < 2 && out[i * 4 + 2] > 253, "%d: %d %d %d %d", to,
                              out[i * 4], out[i * 4 + 1], out[i * 4 + 2], out[i * 4 + 3]);
    }
}
END_TEST

START_TEST(an_opaque_picture_is_scaled_as_one_without_alpha)
{
    fpi_media_scale_shape with = { 120, 80, 37, 25, 4, true },
                          without = { 120, 80, 37, 25, 3, false };
    static uint8_t first[37 * 25 * 3];

    fill_with_noise(120 * 80 * 3);
    scale_alone(&without);
    memcpy(first, out, sizeof(first));
    for (int i = 120 * 80; i-- > 0;) {
        memmove(in + (size_t)i * 4, in + (size_t)i * 3, 3);
        in[i * 4 + 3] = 255;
    }
    scale_alone(&with);
    for (int i = 0; i < 37 * 25; i++) {
        ck_assert_int_eq(out[i * 4 + 3], 255);
        for (int b = 0; b < 3; b++)
            ck_assert_int_le(abs(out[i * 4 + b] - first[i * 3 + b]), 1);
    }
}
END_TEST

START_TEST(grey_with_alpha_is_weighed_too)
{
    fpi_media_scale_shape s = { 40, 1, 1, 1, 2, true };

    for (int i = 0; i < 40; i++) {
        in[i * 2] = i < 20 ? 10 : 210;
        in[i * 2 + 1] = i < 20 ? 0 : 255;
    }
    scale_alone(&s);
    ck_assert_int_eq(out[0], 210);
    ck_assert_int_le(abs(out[1] - 128), 2);
}
END_TEST

START_TEST(sums_of_very_large_blocks_are_right)
{
    fpi_media_scale_shape s = { 100000, 40, 1, 1, 1, false };

    for (int i = 0; i < 100000; i++)
        in[i] = i % 2 ? 255 : 101;
    for (int y = 1; y < 4; y++)
        memcpy(in + (size_t)y * 100000, in, 100000);
    s.in_height = 4;
    scale_alone(&s);
    ck_assert_int_le(abs(out[0] - 178), 1);
}
END_TEST

START_TEST(new_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        static const fpi_media_scale_shape shape = { 90, 60, 13, 9, 3, false };
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fpi_media_scale *s = NULL;
        fp_error err = { 0 };
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
        fault_arm(&f);
        rc = fpi_media_scale_new(ctx, &shape, out, &s, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(s);
        fpi_media_scale_free(s);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("media_image_scale", pixels_are_what_the_filter_says, large_factors_stay_near_the_filter,
          one_colour_stays_that_colour, the_same_size_is_a_copy,
          every_row_is_written_and_nothing_behind_them, hidden_colours_do_not_bleed,
          an_opaque_picture_is_scaled_as_one_without_alpha, grey_with_alpha_is_weighed_too,
          sums_of_very_large_blocks_are_right, new_survives_every_allocation_failure)
