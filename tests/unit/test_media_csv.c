/* Owns: the tests of media/media_csv.c. */
#include "media/media_csv.h"

#include <string.h>

#include "runner.h"

/* Characters of a text in Latin-1: one per byte. */
static size_t widen(const char *text, uint32_t *out)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)text[i];
    return size;
}

/* In pieces of `step` characters, as blocks of a file come. */
static void read_csv(fpi_media_csv *csv, uint32_t delimiter, const char *text, size_t step)
{
    uint32_t wide[4000];
    size_t size = widen(text, wide);

    memset(csv, 0, sizeof(*csv));
    csv->delimiter = delimiter;
    for (size_t at = 0; at < size; at += step)
        fpi_media_csv_take(csv, wide + at, size - at < step ? size - at : step);
    fpi_media_csv_end(csv);
}

static void counts(const char *text, uint64_t rows, uint32_t columns, uint64_t ragged)
{
    static fpi_media_csv csv;

    for (size_t step = 1; step < 70; step += 4) {
        read_csv(&csv, ',', text, step);
        ck_assert_msg(csv.rows == rows && csv.columns == columns && csv.ragged == ragged,
                      "%s: %d rows, %u columns, %d ragged", text, (int)csv.rows, csv.columns,
                      (int)csv.ragged);
    }
}

static uint32_t guess(const char *text)
{
    uint32_t wide[4000];

    return fpi_media_csv_guess(wide, widen(text, wide));
}

static bool has_header(const char *text)
{
    static fpi_media_csv csv;

    read_csv(&csv, ',', text, 1000);
    return fpi_media_csv_has_header(&csv);
}

START_TEST(rows_and_columns_are_counted)
{
    counts("a,b,c\n1,2,3\n4,5,6\n", 3, 3, 0);
    counts("a,b,c\n1,2,3\n4,5,6", 3, 3, 0);
    counts("a\nb\n", 2, 1, 0);
    counts("a", 1, 1, 0);
    counts(",", 1, 2, 0);
    counts(",,\n,,\n", 2, 3, 0);
    counts("", 0, 0, 0);
}
END_TEST

START_TEST(every_line_end_ends_a_row)
{
    counts("a,b\r\n1,2\r\n", 2, 2, 0);
    counts("a,b\r1,2\r", 2, 2, 0);
    counts("a,b\r\n1,2\n3,4\r5,6", 4, 2, 0);
}
END_TEST

START_TEST(empty_lines_are_no_rows)
{
    counts("\n\na,b\n\n1,2\r\n\r\n\n", 2, 2, 0);
    counts("\n", 0, 0, 0);
}
END_TEST

START_TEST(quoted_cells_hold_anything)
{
    counts("a,b\n\"x,y\",2\n", 2, 2, 0);
    counts("a,b\n\"x\ny\",2\n", 2, 2, 0);
    counts("a,b\n\"x\r\ny\",2\r\n", 2, 2, 0);
    counts("a,b\n\"x\"\"y,\",2\n", 2, 2, 0);
    counts("\"a\",\"b\"\n\"\",\"\"\n", 2, 2, 0);
    counts("\"\"\"\",b\n1,2\n", 2, 2, 0);
}
END_TEST

START_TEST(a_quote_inside_a_cell_is_only_a_character)
{
    counts("size,pipe\n5\" pipe,1\n6\" pipe,2\n", 3, 2, 0);
    counts("5\" pipe,1\n6,2\n", 2, 2, 0);
    counts("a,b\n1,x\"y\n2,z\n", 3, 2, 0);
    counts("a,b\n\"x\"y\"z,1\n2,3\n", 3, 2, 0);
}
END_TEST

START_TEST(rows_of_another_length_are_irregular)
{
    counts("a,b\n1\n1,2,3\n1,2\n", 4, 2, 2);
}
END_TEST

START_TEST(the_first_row_names_the_columns)
{
    static fpi_media_csv csv;

    for (size_t step = 1; step < 9; step++) {
        read_csv(&csv, ';', "na\"me;\"quo\"\"ted\";\"semi;colon\"\n1;2;3\n", step);
        ck_assert_str_eq(csv.names[0], "na\"me");
        ck_assert_str_eq(csv.names[1], "quo\"ted");
        ck_assert_str_eq(csv.names[2], "semi;colon");
    }
}
END_TEST

START_TEST(names_are_utf8_and_never_cut_inside_a_character)
{
    static fpi_media_csv csv = { .delimiter = ',' };
    static const uint32_t kinds[] = { 'a', 0xE9, 0x20AC, 0x1F40E, '\n' };
    uint32_t euro = 0x20AC, a = 'a';

    fpi_media_csv_take(&csv, kinds, 5);
    ck_assert_str_eq(csv.names[0], "aé€🐎");
    memset(&csv, 0, sizeof(csv));
    csv.delimiter = ',';
    for (int i = 0; i < 50; i++)
        fpi_media_csv_take(&csv, &euro, 1);
    fpi_media_csv_take(&csv, &a, 1);
    fpi_media_csv_end(&csv);
    ck_assert_uint_eq(strlen(csv.names[0]), 126);
}
END_TEST

START_TEST(more_columns_than_names_are_counted_all_the_same)
{
    char text[2000] = "n";
    static fpi_media_csv csv;

    for (int i = 1; i < 500; i++)
        strncat(text, ",n", 3);
    read_csv(&csv, ',', text, 64);
    ck_assert_uint_eq(csv.columns, 500);
    ck_assert_str_eq(csv.names[99], "n");
}
END_TEST

START_TEST(the_delimiter_is_guessed)
{
    ck_assert_uint_eq(guess("a,b\n1,2\n"), ',');
    ck_assert_uint_eq(guess("a;b\n1,5;2,5\n3,1;4\n"), ';');
    ck_assert_uint_eq(guess("a\tb\n1,5\t2,5\n"), '\t');
    ck_assert_uint_eq(guess("a|b\n1|2\n"), '|');
    ck_assert_uint_eq(guess("\"a;b\",c\n\"d;e\",f\n"), ',');
    ck_assert_uint_eq(guess("a,b;c;d\n1;2;3\n4;5;6\n"), ';');
    ck_assert_uint_eq(guess("just words\n"), ',');
    ck_assert_uint_eq(guess(""), ',');
}
END_TEST

START_TEST(a_header_has_names_and_no_numbers)
{
    ck_assert(has_header("name,price\nx,1\n"));
    ck_assert(has_header("a\n"));
    ck_assert(!has_header("name,3\nx,1\n"));
    ck_assert(!has_header("name,-1.5e3\n"));
    ck_assert(!has_header("name,12 %\n"));
    ck_assert(!has_header("name,\nx,1\n"));
    ck_assert(!has_header(""));
    ck_assert(has_header("2nd,3rd\n"));
}
END_TEST

RUN_TESTS("media_csv", rows_and_columns_are_counted, every_line_end_ends_a_row,
          empty_lines_are_no_rows, quoted_cells_hold_anything,
          a_quote_inside_a_cell_is_only_a_character, rows_of_another_length_are_irregular,
          the_first_row_names_the_columns, names_are_utf8_and_never_cut_inside_a_character,
          more_columns_than_names_are_counted_all_the_same, the_delimiter_is_guessed,
          a_header_has_names_and_no_numbers)
