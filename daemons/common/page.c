/* Owns: lists: their query parameters, and the shape {"items": [...], "next": cursor or null}.
 * Must not know: what is listed. */
#include "page.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 1000

bool fpd_page_request_read(fpd_request *rq, fpd_page_request *page)
{
    int64_t limit = LIMIT_DEFAULT;

    if (!fpd_page_filter(rq, "cursor", page->text, sizeof(page->text), &page->cursor) ||
        !fpd_request_query_integer(rq, "limit", 1, LIMIT_MAX, &limit))
        return false;
    page->limit = (size_t)limit;
    return true;
}

bool fpd_page_filter(fpd_request *rq, const char *name, char *text, size_t capacity,
                     const char **filter)
{
    bool found;

    if (!fpd_request_query(rq, name, text, capacity, &found))
        return false;
    *filter = found && text[0] ? text : NULL;
    return true;
}

void fpd_page_begin(fpd_text *json)
{
    fpd_text_string(json, "{\"items\":[");
}

void fpd_page_item(fpd_text *json, size_t index, fp_buf *item)
{
    if (index)
        fpd_text_append(json, ",", 1);
    fpd_text_append(json, item->data, item->size);
    item->size = 0; /* its memory serves the next one */
}

void fpd_page_end(fpd_text *json, const char *next)
{
    fpd_text_string(json, "],\"next\":");
    fpd_text_json(json, next);
    fpd_text_string(json, "}");
}
