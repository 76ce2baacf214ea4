/* Owns: the records of jobs and pages of them: their memory, and how rows become records.
 * Must not know: which rows. */
#include "job/job_row.h"

#include <stdio.h>
#include <string.h>

#include "core/uuid.h"

/* What a caller sees is the first member; the texts stand behind. */
typedef struct job_record {
    fp_job job;
    const fp_allocator *a;
    char texts[];
} job_record;

typedef struct page_record {
    fp_job_page page;
    const fp_allocator *a;
    char next[FPI_UUID_SIZE];
    const fp_job *items[];
} page_record;

enum { TEXT_COUNT = 9 }; /* the first columns */

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

fp_status fpi_job_from_row(const fp_context *ctx, fp_rows *rows, fp_job **out, fp_error *err)
{
    const char *texts[TEXT_COUNT];
    size_t size = 0;
    job_record *r;
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
    r->job = (fp_job){
        .struct_size = sizeof(r->job),
        .id = pack(&end, texts[0]),
        .file_id = pack(&end, texts[1]),
        .owner = pack(&end, texts[2]),
        .pipeline = pack(&end, texts[3]),
        .state = pack(&end, texts[4]),
        .steps = pack(&end, texts[5]),
        .error_code = pack(&end, texts[6]),
        .error_detail = pack(&end, texts[7]),
        .result = pack(&end, texts[8]),
        .progress = fp_rows_double(rows, 9),
        .created_at_ms = fp_rows_int64(rows, 10),
        .started_at_ms = fp_rows_int64(rows, 11),
        .finished_at_ms = fp_rows_int64(rows, 12),
        .attempt = (uint32_t)fp_rows_int64(rows, 13),
        .max_attempts = (uint32_t)fp_rows_int64(rows, 14),
        .error_permanent = (int32_t)fp_rows_int64(rows, 15),
    };
    *out = &r->job;
    return FILEPROC_OK;
}

void fp_job_free(fp_job *job)
{
    if (job)
        fpi_free(((job_record *)job)->a, job);
}

fp_status fpi_job_page_new(const fp_context *ctx, size_t limit, fp_job_page **out, fp_error *err)
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

void fpi_job_page_add(fp_job_page *page, fp_job *job)
{
    page_record *r = (page_record *)page;

    r->items[page->count++] = job;
}

void fpi_job_page_continue(fp_job_page *page)
{
    page_record *r = (page_record *)page;

    snprintf(r->next, sizeof(r->next), "%s", r->items[page->count - 1]->id);
    page->next = r->next;
}

void fp_job_page_free(fp_job_page *page)
{
    page_record *r = (page_record *)page;

    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        fp_job_free((fp_job *)r->items[i]);
    fpi_free(r->a, r);
}
