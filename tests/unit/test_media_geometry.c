/* Owns: the tests of media/media_geometry.c. */
#include "media/media_geometry.h"

#include "runner.h"

typedef struct row {
    int width, height;
    fpi_media_box box;
    fpi_media_size size;
} row;

static void check_rows(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fpi_media_size s = fpi_media_fit_box(rows[i].width, rows[i].height, &rows[i].box);

        ck_assert_msg(s.scaled_width == rows[i].size.scaled_width &&
                          s.scaled_height == rows[i].size.scaled_height &&
                          s.width == rows[i].size.width && s.height == rows[i].size.height,
                      "row %zu: scaled to %d x %d, cut to %d x %d", i, s.scaled_width,
                      s.scaled_height, s.width, s.height);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

START_TEST(inside_shows_all_of_the_picture)
{
    static const row rows[] = {
        { 400, 200, { 100, 100, FPI_MEDIA_FIT_INSIDE, false }, { 100, 50, 100, 50 } },
        { 200, 400, { 100, 100, FPI_MEDIA_FIT_INSIDE, false }, { 50, 100, 50, 100 } },
        { 300, 300, { 100, 50, FPI_MEDIA_FIT_INSIDE, false }, { 50, 50, 50, 50 } },
        { 3888, 2592, { 256, 256, FPI_MEDIA_FIT_INSIDE, false }, { 256, 171, 256, 171 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(a_free_side_follows_the_other)
{
    static const row rows[] = {
        { 400, 200, { 100, 0, FPI_MEDIA_FIT_INSIDE, false }, { 100, 50, 100, 50 } },
        { 400, 200, { 0, 100, FPI_MEDIA_FIT_INSIDE, false }, { 200, 100, 200, 100 } },
        { 400, 200, { 100, 0, FPI_MEDIA_FIT_COVER, false }, { 100, 50, 100, 50 } },
        { 400, 200, { 0, 100, FPI_MEDIA_FIT_FILL, false }, { 200, 100, 200, 100 } },
        { 400, 200, { 0, 0, FPI_MEDIA_FIT_INSIDE, true }, { 400, 200, 400, 200 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(cover_fills_the_box_and_cuts_the_rest)
{
    static const row rows[] = {
        { 400, 200, { 100, 100, FPI_MEDIA_FIT_COVER, false }, { 200, 100, 100, 100 } },
        { 200, 400, { 100, 100, FPI_MEDIA_FIT_COVER, false }, { 100, 200, 100, 100 } },
        { 400, 200, { 100, 10, FPI_MEDIA_FIT_COVER, false }, { 100, 50, 100, 10 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(fill_takes_the_box_as_it_is)
{
    static const row rows[] = {
        { 400, 200, { 100, 100, FPI_MEDIA_FIT_FILL, false }, { 100, 100, 100, 100 } },
        { 400, 200, { 7, 199, FPI_MEDIA_FIT_FILL, false }, { 7, 199, 7, 199 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(no_side_grows_unless_asked)
{
    static const row rows[] = {
        { 40, 20, { 100, 100, FPI_MEDIA_FIT_INSIDE, false }, { 40, 20, 40, 20 } },
        { 40, 20, { 100, 10, FPI_MEDIA_FIT_FILL, false }, { 40, 10, 40, 10 } },
        { 40, 20, { 100, 100, FPI_MEDIA_FIT_COVER, false }, { 40, 20, 40, 20 } },
        { 40, 20, { 100, 10, FPI_MEDIA_FIT_COVER, false }, { 40, 20, 40, 10 } },
        { 40, 20, { 100, 100, FPI_MEDIA_FIT_INSIDE, true }, { 100, 50, 100, 50 } },
        { 40, 20, { 100, 100, FPI_MEDIA_FIT_FILL, true }, { 100, 100, 100, 100 } },
        { 40, 20, { 100, 100, FPI_MEDIA_FIT_COVER, true }, { 200, 100, 100, 100 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(a_side_is_never_nothing)
{
    static const row rows[] = {
        { 100000, 3, { 10, 10, FPI_MEDIA_FIT_INSIDE, false }, { 10, 1, 10, 1 } },
        { 1, 1, { 1, 1, FPI_MEDIA_FIT_COVER, false }, { 1, 1, 1, 1 } },
    };

    CHECK_ROWS(rows);
}
END_TEST

/* For every pair of sides: within the box, and one side exactly as long as the box's. */
START_TEST(inside_touches_the_box_for_all_sizes)
{
    for (int w = 1; w < 700; w += 7)
        for (int h = 1; h < 700; h += 11) {
            fpi_media_box box = { 97, 61, FPI_MEDIA_FIT_INSIDE, true };
            fpi_media_size s = fpi_media_fit_box(w, h, &box);

            ck_assert(s.width <= 97 && s.height <= 61 && (s.width == 97 || s.height == 61));
            box.fit = FPI_MEDIA_FIT_COVER;
            s = fpi_media_fit_box(w, h, &box);
            ck_assert(s.width == 97 && s.height == 61);
            ck_assert(s.scaled_width >= 97 && s.scaled_height >= 61);
        }
}
END_TEST

RUN_TESTS("media_geometry", inside_shows_all_of_the_picture, a_free_side_follows_the_other,
          cover_fills_the_box_and_cuts_the_rest, fill_takes_the_box_as_it_is,
          no_side_grows_unless_asked, a_side_is_never_nothing, inside_touches_the_box_for_all_sizes)
