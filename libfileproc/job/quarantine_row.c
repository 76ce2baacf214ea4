/* Owns: the records of files in quarantine and pages of them: their memory, and how they look as JSON.
 * Must not know: which rows. */
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "job/quarantine_private.h"

enum { TEXT_COUNT = 8, REMOVAL = TEXT_COUNT, CREATED, DECIDED };

/* What a caller sees is the first member; the texts stand behind. */
typedef struct record {
    fp_quarantine shown;
    const fp_allocator *a;
    char texts[];
} record;

typedef struct page_record {
    fp_quarantine_page page;
    const fp_allocator *a;
    char next[FPI_UUID_SIZE];
    const fp_quarantine *items[];
} page_record;

/* NULL stays NULL. */
static const char *pack(char **end, const char *text)
{
    char *copy = *end;
    size_t size;

    if (!text)
        return NULL;
    size = strlen(text) + 1;
    memcpy(copy, text, size);
    *end += size;
    return copy;
}

fp_status fpi_quarantine_from_row(const fp_context *ctx, fp_rows *rows, fp_quarantine **out,
                                  fp_error *err)
{
    const char *texts[TEXT_COUNT];
    size_t size = 0;
    record *r;
    char *end;

    for (uint32_t i = 0; i < TEXT_COUNT; i++) {
        texts[i] = fp_rows_text(rows, i);
        size += texts[i] ? strlen(texts[i]) + 1 : 0;
    }
    r = fpi_alloc(&ctx->a, sizeof(*r) + size);
    if (!r)
        return fpi_no_memory(err);
    r->a = &ctx->a;
    end = r->texts;
    r->shown = (fp_quarantine){
        .struct_size = sizeof(r->shown),
        .file_id = pack(&end, texts[0]),
        .state = pack(&end, texts[1]),
        .scan_job_id = pack(&end, texts[2]),
        .verdict = pack(&end, texts[3]),
        .reason = pack(&end, texts[4]),
        .step = pack(&end, texts[5]),
        .decided_by = pack(&end, texts[6]),
        .note = pack(&end, texts[7]),
        .bytes_removed = fp_rows_int64(rows, REMOVAL) != 0,
        .created_at_ms = fp_rows_int64(rows, CREATED),
        .decided_at_ms = fp_rows_int64(rows, DECIDED),
    };
    *out = &r->shown;
    return FILEPROC_OK;
}

void fp_quarantine_free(fp_quarantine *shown)
{
    if (shown)
        fpi_free(((record *)shown)->a, shown);
}

fp_status fpi_quarantine_page_new(const fp_context *ctx, size_t limit, fp_quarantine_page **out,
                                  fp_error *err)
{
    page_record *r = fpi_calloc(&ctx->a, 1, sizeof(*r) + limit * sizeof(r->items[0]));

    if (!r)
        return fpi_no_memory(err);
    r->a = &ctx->a;
    r->page.struct_size = sizeof(r->page);
    r->page.items = r->items;
    *out = &r->page;
    return FILEPROC_OK;
}

void fpi_quarantine_page_add(fp_quarantine_page *page, fp_quarantine *shown)
{
    page_record *r = (page_record *)page;

    r->items[page->count++] = shown;
}

void fpi_quarantine_page_continue(fp_quarantine_page *page)
{
    page_record *r = (page_record *)page;

    snprintf(r->next, sizeof(r->next), "%s", r->items[page->count - 1]->file_id);
    page->next = r->next;
}

void fp_quarantine_page_free(fp_quarantine_page *page)
{
    page_record *r = (page_record *)page;

    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        fp_quarantine_free((fp_quarantine *)r->items[i]);
    fpi_free(r->a, r);
}

fp_status fp_quarantine_to_json(fp_context *ctx, const fp_quarantine *q, fp_buf *out, fp_error *err)
{
    fpi_json_object o;

    if (!ctx || !q || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    fpi_json_begin(&o, ctx, out, 480, err);
    fpi_json_add_text(&o, "file_id", q->file_id);
    fpi_json_add_text(&o, "state", q->state);
    fpi_json_add_text(&o, "scan_job_id", q->scan_job_id);
    fpi_json_add_text(&o, "verdict", q->verdict);
    fpi_json_add_text(&o, "reason", q->reason);
    fpi_json_add_text(&o, "step", q->step);
    fpi_json_add_text(&o, "decided_by", q->decided_by);
    fpi_json_add_text(&o, "note", q->note);
    fpi_json_add_json(&o, "bytes_removed", q->bytes_removed ? "true" : "false");
    fpi_json_add_time(&o, "created_at", q->created_at_ms);
    fpi_json_add_time(&o, "decided_at", q->decided_at_ms);
    return fpi_json_end(&o);
}
