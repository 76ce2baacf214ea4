/* Owns: lists of page numbers such as "1-3,5".
 * Must not know: documents. */
#include "media/media_pages.h"

#include <string.h>

#define NUMBER_MAX 10000000

/* Reads digits; 0 when there are none, or the number is out of reason. */
static int read_number(const char **at)
{
    long value = 0;
    const char *p = *at;

    while (*p >= '0' && *p <= '9' && value <= NUMBER_MAX)
        value = value * 10 + (*p++ - '0');
    *at = p;
    return value > NUMBER_MAX ? 0 : (int)value;
}

static bool read_range(const char **at, int page_count, int *first, int *last)
{
    *first = *last = read_number(at);
    if (*first < 1)
        return false;
    if (**at == '-') {
        bool open;

        ++*at;
        open = **at == ',' || **at == '\0';
        *last = open ? page_count : read_number(at);
        if (!open && *last < *first)
            return false;
    }
    return **at == ',' || **at == '\0';
}

bool fpi_media_pages_parse(const char *text, int page_count, fpi_media_pages *pages)
{
    const char *at = strcmp(text, "all") == 0 ? "1-" : text;

    pages->count = 0;
    for (;;) {
        int first, last;

        if (!read_range(&at, page_count, &first, &last))
            return false;
        if (last > page_count)
            last = page_count;
        if (first <= last) {
            if (pages->count == FPI_MEDIA_PAGE_RANGES_MAX)
                return false;
            pages->ranges[pages->count].first = first;
            pages->ranges[pages->count++].last = last;
        }
        if (*at == '\0')
            return pages->count > 0;
        at++;
    }
}

size_t fpi_media_pages_total(const fpi_media_pages *pages)
{
    size_t total = 0;

    for (size_t i = 0; i < pages->count; i++)
        total += (size_t)(pages->ranges[i].last - pages->ranges[i].first) + 1;
    return total;
}

int fpi_media_pages_at(const fpi_media_pages *pages, size_t index)
{
    for (size_t i = 0; i < pages->count; i++) {
        size_t here = (size_t)(pages->ranges[i].last - pages->ranges[i].first) + 1;

        if (index < here)
            return pages->ranges[i].first + (int)index;
        index -= here;
    }
    return 0;
}
