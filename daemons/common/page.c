/* Owns: lists: their query parameters, and the shape {"items": [...], "next": cursor or null}.
 * Must not know: what is listed. */
#include "page.h"

#include "problem.h"
#include "reply.h"

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

void fpd_page_end(fpd_text *json, const char *next)
{
    fpd_text_string(json, "],\"next\":");
    fpd_text_json(json, next);
    fpd_text_string(json, "}");
}

void fpd_page_answer(fpd_request *rq, fp_context *ctx, const void *page, size_t count,
                     const char *next, fpd_page_writer write)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(FPD_PAGE_MAX);
    FPD_DISPOSE(fp_buf) item = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    fpd_page_begin(&json);
    for (size_t i = 0; i < count; i++) {
        item.size = 0; /* its memory serves each of them */
        if (write(ctx, page, i, &item, &err) < 0) {
            fpd_problem_error(rq, &err);
            return;
        }
        if (i)
            fpd_text_append(&json, ",", 1);
        fpd_text_append(&json, item.data, item.size);
    }
    fpd_page_end(&json, next);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}
