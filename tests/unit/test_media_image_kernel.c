/* Owns: the tests of media/media_image_kernel.c: every kernel against loops that a reader believes. */
#include "media/media_image_kernel.h"

#include <math.h>
#include <string.h>

#include "runner.h"

#define WIDEST 131u
#define TAPS_MAX 13u
#define ROOM (WIDEST * 4 + FPI_MEDIA_KERNEL_BLOCK)

static const fpi_media_kernel *kernel_at(int index)
{
    return index ? fpi_media_kernel_best() : fpi_media_kernel_plain();
}

/* The same numbers in every run. */
static uint32_t next_random(void)
{
    static uint32_t state = 12345;

    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static float any_float(void)
{
    return (float)(next_random() % 51200) / 100.0f - 128.0f;
}

static void fill(float *row, size_t count)
{
    for (size_t i = 0; i < count; i++)
        row[i] = any_float();
}

static void is_near(float got, double wanted)
{
    ck_assert_msg(fabs(got - wanted) < 1e-3 + fabs(wanted) * 1e-5, "%g instead of %g", got, wanted);
}

START_TEST(widen_keeps_every_value)
{
    const fpi_media_kernel *k = kernel_at(_i);
    uint8_t in[256];
    float out[256 + FPI_MEDIA_KERNEL_BLOCK];

    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    for (size_t count = 0; count <= 256; count++) {
        out[count] = -1;
        k->widen(out, in, count);
        for (size_t i = 0; i < count; i++)
            ck_assert(out[i] == (float)i);
        ck_assert_msg(out[count] == -1.0f, "wrote behind %zu", count);
    }
}
END_TEST

START_TEST(narrow_rounds_and_cuts)
{
    static const struct {
        float in;
        uint8_t out;
    } rows[] = { { 0, 0 },        { 0.49f, 0 }, { 0.5f, 1 },     { 1.49f, 1 }, { 254.5f, 255 },
                 { 254.4f, 254 }, { 255, 255 }, { 255.6f, 255 }, { 300, 255 }, { 1e6f, 255 },
                 { -0.4f, 0 },    { -1, 0 },    { -300, 0 },     { -1e6f, 0 }, { 127.5f, 128 } };
    const fpi_media_kernel *k = kernel_at(_i);
    float in[64];
    uint8_t out[65];

    for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++)
        for (size_t count = 1; count <= 64; count++) {
            for (size_t i = 0; i < count; i++)
                in[i] = rows[r].in;
            out[count] = 77;
            k->narrow(out, in, count);
            for (size_t i = 0; i < count; i++)
                ck_assert_msg(out[i] == rows[r].out, "%g gave %d", rows[r].in, out[i]);
            ck_assert_int_eq(out[count], 77);
        }
}
END_TEST

START_TEST(narrow_undoes_widen)
{
    const fpi_media_kernel *k = kernel_at(_i);
    uint8_t in[256], out[256];
    float wide[256];

    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    k->widen(wide, in, 256);
    k->narrow(out, wide, 256);
    ck_assert_mem_eq(in, out, 256);
}
END_TEST

START_TEST(vertical_is_a_weighted_sum_of_rows)
{
    const fpi_media_kernel *k = kernel_at(_i);
    static float in[TAPS_MAX][ROOM];
    const float *rows[TAPS_MAX];
    float weight[TAPS_MAX], out[ROOM];

    for (size_t taps = 1; taps <= TAPS_MAX; taps++)
        for (size_t count = 1; count <= WIDEST; count += 5) {
            for (size_t t = 0; t < taps; t++) {
                fill(in[t], count + FPI_MEDIA_KERNEL_BLOCK);
                rows[t] = in[t];
                weight[t] = any_float() / 128.0f;
            }
            k->vertical(out, rows, weight, taps, count);
            for (size_t x = 0; x < count; x++) {
                double sum = 0;

                for (size_t t = 0; t < taps; t++)
                    sum += (double)weight[t] * (double)in[t][x];
                is_near(out[x], sum);
            }
        }
}
END_TEST

static void check_horizontal(const fpi_media_kernel *k, size_t width, size_t bands, size_t taps)
{
    float row[ROOM], out[ROOM], weight[WIDEST * TAPS_MAX];
    int32_t start[WIDEST];

    fill(row, sizeof(row) / sizeof(*row));
    fill(out, sizeof(out) / sizeof(*out));
    for (size_t i = 0; i < width; i++)
        start[i] = (int32_t)(next_random() % (WIDEST - taps + 1));
    for (size_t i = 0; i < width * taps; i++)
        weight[i] = any_float() / 128.0f;
    k->horizontal(out, row, start, weight, taps, width, bands);
    for (size_t i = 0; i < width; i++)
        for (size_t b = 0; b < bands; b++) {
            double sum = 0;

            for (size_t t = 0; t < taps; t++)
                sum +=
                    (double)weight[i * taps + t] * (double)row[((size_t)start[i] + t) * bands + b];
            is_near(out[i * bands + b], sum);
        }
}

START_TEST(horizontal_is_a_weighted_sum_of_pixels)
{
    for (size_t bands = 1; bands <= 4; bands++)
        for (size_t taps = 1; taps <= TAPS_MAX; taps++)
            for (size_t width = 1; width <= WIDEST; width += 13)
                check_horizontal(kernel_at(_i), width, bands, taps);
}
END_TEST

/* Behind the end of a row anything may lie, and must not matter. */
START_TEST(what_lies_behind_a_row_does_not_count)
{
    const fpi_media_kernel *k = kernel_at(_i);
    float row[9 + FPI_MEDIA_KERNEL_BLOCK], out[9 + FPI_MEDIA_KERNEL_BLOCK];
    const float weight[] = { 0.5f, 0.25f, 0.25f }, *rows[] = { row, row, row };
    const int32_t start[] = { 0 };

    for (size_t i = 0; i < 9 + FPI_MEDIA_KERNEL_BLOCK; i++)
        row[i] = i < 9 ? 4.0f : NAN;
    k->vertical(out, rows, weight, 3, 9);
    for (size_t i = 0; i < 9; i++)
        ck_assert(out[i] == 4.0f);
    k->horizontal(out, row, start, weight, 3, 1, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert(out[i] == 4.0f);
}
END_TEST

int main(void)
{
    static const TTest *const *const none = NULL;
    const TTest *const tests[] = { widen_keeps_every_value,
                                   narrow_rounds_and_cuts,
                                   narrow_undoes_widen,
                                   vertical_is_a_weighted_sum_of_rows,
                                   horizontal_is_a_weighted_sum_of_pixels,
                                   what_lies_behind_a_row_does_not_count };
    Suite *suite = suite_of("media_image_kernel", none, 0);
    TCase *both = tcase_create("plain and best");

    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(both, tests[i], 0, 2);
    suite_add_tcase(suite, both);
    return run_suite(suite);
}
