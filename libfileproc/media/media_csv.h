/* Owns: rows and columns of comma-separated values (RFC 4180, and what spreadsheets make of it), as the characters come by.
 * Must not know: encodings, files. */
#ifndef FPI_MEDIA_CSV_H
#define FPI_MEDIA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FPI_MEDIA_CSV_NAMES_MAX 100u
#define FPI_MEDIA_CSV_NAME_SIZE 128u

/** Zero-initialise, set delimiter. */
typedef struct fpi_media_csv {
    uint32_t delimiter;
    uint32_t columns; /* of the first row */
    uint64_t rows;    /* with the first one; empty lines don't count */
    uint64_t ragged;  /* rows that have not as many columns as the first */
    uint32_t cells;   /* of the row at hand */
    bool quoted, quote_before, any;
    bool cell_any; /* the cell at hand has begun: a quote is only a character in it */
    bool after_return;
    size_t name_size; /* of the first row's cell at hand, in UTF-8 */
    char names[FPI_MEDIA_CSV_NAMES_MAX][FPI_MEDIA_CSV_NAME_SIZE];
} fpi_media_csv;

/** The delimiter that gives the most regular rows at the beginning of a text: comma, semicolon, tab or bar. */
uint32_t fpi_media_csv_guess(const uint32_t *text, size_t size);

void fpi_media_csv_take(fpi_media_csv *csv, const uint32_t *text, size_t size);
/** After the last character. */
void fpi_media_csv_end(fpi_media_csv *csv);

/** Whether the first row reads like names: none of its cells is empty or a number. */
bool fpi_media_csv_has_header(const fpi_media_csv *csv);

#endif
