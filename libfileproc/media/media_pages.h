/* Owns: lists of page numbers such as "1-3,5".
 * Must not know: documents. */
#ifndef FPI_MEDIA_PAGES_H
#define FPI_MEDIA_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#define FPI_MEDIA_PAGE_RANGES_MAX 64u

/** Ranges from 1, both ends included, in the order given. */
typedef struct fpi_media_pages {
    struct {
        int first, last;
    } ranges[FPI_MEDIA_PAGE_RANGES_MAX];
    size_t count;
} fpi_media_pages;

/** Reads "all", or numbers and ranges with commas ("5", "2-7", "9-" = up to the end), and cuts them to the `page_count` pages that there are.
 *  False when the text is no such list, or nothing is left of it. */
bool fpi_media_pages_parse(const char *text, int page_count, fpi_media_pages *pages);

/** How many pages that is; a page named twice counts twice. */
size_t fpi_media_pages_total(const fpi_media_pages *pages);

/** The index-th of them. */
int fpi_media_pages_at(const fpi_media_pages *pages, size_t index);

#endif
