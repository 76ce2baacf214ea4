/* Owns: rows and columns of comma-separated values (RFC 4180, and what spreadsheets make of it), as the characters come by.
 * Must not know: encodings, files. */
#include "media/media_csv.h"

#include <stdlib.h>
#include <string.h>

#define GUESS_ROWS 50u

static size_t to_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* A character of the cell at hand. Only the first row's are kept. */
static void keep(fpi_media_csv *csv, uint32_t c)
{
    char bytes[4];
    size_t size;

    csv->any = csv->cell_any = true;
    if (csv->rows > 0 || csv->cells >= FPI_MEDIA_CSV_NAMES_MAX || c == 0)
        return;
    size = to_utf8(c, bytes);
    if (csv->name_size + size < FPI_MEDIA_CSV_NAME_SIZE) {
        memcpy(csv->names[csv->cells] + csv->name_size, bytes, size);
        csv->name_size += size;
    } else {
        csv->name_size = FPI_MEDIA_CSV_NAME_SIZE; /* no later, smaller character may fill the gap */
    }
}

static void end_cell(fpi_media_csv *csv)
{
    if (csv->cells < UINT32_MAX)
        csv->cells++;
    csv->name_size = 0;
    csv->quote_before = csv->cell_any = false;
}

static void end_row(fpi_media_csv *csv)
{
    if (!csv->any && csv->cells == 0)
        return;
    end_cell(csv);
    if (csv->rows == 0)
        csv->columns = csv->cells;
    else if (csv->cells != csv->columns)
        csv->ragged++;
    csv->rows++;
    csv->cells = 0;
    csv->any = false;
}

static void take_quote(fpi_media_csv *csv)
{
    if (csv->quoted) {
        csv->quoted = false;
        csv->quote_before =
            true; /* the end of the cell, or the first of a pair that stands for one */
    } else if (csv->quote_before) {
        csv->quoted = true;
        csv->quote_before = false;
        keep(csv, '"');
    } else if (!csv->cell_any) {
        csv->quoted = csv->any = csv->cell_any = true;
    } else {
        keep(csv, '"');
    }
}

void fpi_media_csv_take(fpi_media_csv *csv, const uint32_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint32_t c = text[i];
        bool second_half = csv->after_return && c == '\n';

        csv->after_return = !csv->quoted && c == '\r';
        if (second_half)
            continue;
        if (c == '"')
            take_quote(csv);
        else if (csv->quoted)
            keep(csv, c);
        else if (c == csv->delimiter)
            end_cell(csv);
        else if (c == '\n' || c == '\r')
            end_row(csv);
        else {
            csv->quote_before = false; /* what stood in quotes goes on without them */
            keep(csv, c);
        }
    }
}

void fpi_media_csv_end(fpi_media_csv *csv)
{
    end_row(csv);
}

/* Rows that agree with the first one, weighed by how many columns there are; one column speaks for nothing. */
static uint64_t regularity(const uint32_t *text, size_t size, uint32_t delimiter)
{
    static const fpi_media_csv empty;
    fpi_media_csv csv = empty;

    csv.delimiter = delimiter;
    for (size_t i = 0; i < size && csv.rows < GUESS_ROWS; i++)
        fpi_media_csv_take(&csv, text + i, 1);
    if (size && csv.rows < GUESS_ROWS)
        fpi_media_csv_end(&csv);
    if (csv.columns < 2)
        return 0;
    return (csv.rows - csv.ragged) * 1000 / csv.rows * 1000 +
           (csv.columns < 999 ? csv.columns : 999);
}

uint32_t fpi_media_csv_guess(const uint32_t *text, size_t size)
{
    static const uint32_t delimiters[] = { ',', ';', '\t', '|' };
    uint32_t best = ',';
    uint64_t score = 0;

    for (size_t i = 0; i < sizeof(delimiters) / sizeof(*delimiters); i++) {
        uint64_t here = regularity(text, size, delimiters[i]);

        if (here > score) {
            score = here;
            best = delimiters[i];
        }
    }
    return best;
}

static bool is_number(const char *text)
{
    char *end;

    strtod(text, &end);
    while (*end == ' ' || *end == '%')
        end++;
    return end != text && *end == '\0';
}

bool fpi_media_csv_has_header(const fpi_media_csv *csv)
{
    for (uint32_t i = 0; i < csv->columns && i < FPI_MEDIA_CSV_NAMES_MAX; i++)
        if (csv->names[i][0] == '\0' || is_number(csv->names[i]))
            return false;
    return csv->rows > 0;
}
