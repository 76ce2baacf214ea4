/* Owns: listing objects.
 * Must not know: what is in them. */
#include "clock.h"
#include "object_key.h"
#include "object_routes.h"
#include "page.h"
#include "problem.h"
#include "reply.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 1000

FPD_DEFINE_CLEANUP(fp_storage_list_page, fp_storage_list_free)

static void write_item(fpd_text *json, bool first, const fp_storage_list_page *page, size_t i)
{
    char modified[FPD_RFC3339_SIZE];

    fpd_rfc3339(page->modified_ms[i], modified);
    fpd_text_string(json, first ? "{\"key\":" : ",{\"key\":");
    fpd_text_json(json, page->names[i]);
    fpd_text_printf(json, ",\"size\":%llu,\"modified_at\":\"%s\"}",
                    (unsigned long long)page->sizes[i], modified);
}

static void answer_page(fpd_request *rq, const fp_storage_list_page *page)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(FPD_PAGE_MAX);
    bool first = true;

    fpd_page_begin(&json);
    for (size_t i = 0; i < page->count; i++)
        if (!fpd_object_is_probe(page->names[i])) {
            write_item(&json, first, page, i);
            first = false;
        }
    fpd_page_end(&json, page->next);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

void fpd_list_objects(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_storage_list_page) page = NULL;
    char prefix[FPD_OBJECT_KEY_MAX + 1], cursor[FPD_OBJECT_KEY_MAX + 1];
    const char *with = NULL, *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    fp_error err = { 0 };

    if (!fpd_page_filter(rq, "prefix", prefix, sizeof(prefix), &with) ||
        !fpd_page_filter(rq, "cursor", cursor, sizeof(cursor), &after) ||
        !fpd_request_query_integer(rq, "limit", 1, LIMIT_MAX, &limit))
        return;
    if (fp_storage_list(app->storage, with, after, (size_t)limit, &page, &err) < 0)
        fpd_object_problem(rq, &err);
    else
        answer_page(rq, page);
}
