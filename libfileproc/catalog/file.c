/* Owns: the records of files and pages of them: their memory, and how they look as JSON.
 * Must not know: which rows they come from. */
#include "catalog/file.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/json_text.h"

/* Bytes of a file as JSON, but for its info. */
#define TYPICAL_SIZE 480u

/* What a caller sees is the first member; the texts stand behind. */
typedef struct file_record {
    fp_file file;
    const fp_allocator *a;
    char texts[];
} file_record;

typedef struct page_record {
    fp_file_page page;
    const fp_allocator *a;
    char next[FPI_UUID_SIZE];
    const fp_file *items[];
} page_record;

enum { TEXT_COUNT = 11 };

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

fp_status fpi_file_from_row(const fp_context *ctx, fp_rows *rows, fp_file **out, fp_error *err)
{
    static const uint32_t text_columns[TEXT_COUNT] = { 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11 };
    const char *texts[TEXT_COUNT];
    size_t size = 0;
    file_record *r;
    char *end;

    for (size_t i = 0; i < TEXT_COUNT; i++) {
        texts[i] = fp_rows_text(rows, text_columns[i]);
        size += texts[i] ? strlen(texts[i]) + 1 : 0;
    }
    r = fpi_alloc(&ctx->a, sizeof(*r) + size);
    if (!r)
        return fpi_no_memory(err);
    r->a = &ctx->a;
    end = r->texts;
    r->file = (fp_file){
        .struct_size = sizeof(r->file),
        .id = pack(&end, texts[0]),
        .owner = pack(&end, texts[1]),
        .filename = pack(&end, texts[2]),
        .size = (uint64_t)fp_rows_int64(rows, 3),
        .mime_type = pack(&end, texts[3]),
        .detected_mime_type = pack(&end, texts[4]),
        .sha256 = pack(&end, texts[5]),
        .state = pack(&end, texts[6]),
        .parent_id = pack(&end, texts[7]),
        .operation = pack(&end, texts[8]),
        .storage_key = pack(&end, texts[9]),
        .info = pack(&end, texts[10]),
        .created_at_ms = fp_rows_int64(rows, 12),
    };
    *out = &r->file;
    return FILEPROC_OK;
}

void fp_file_free(fp_file *file)
{
    if (file)
        fpi_free(((file_record *)file)->a, file);
}

fp_status fpi_file_page_new(const fp_context *ctx, size_t limit, fp_file_page **out, fp_error *err)
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

void fpi_file_page_add(fp_file_page *page, fp_file *file)
{
    page_record *r = (page_record *)page;

    r->items[page->count++] = file;
}

void fpi_file_page_continue(fp_file_page *page)
{
    page_record *r = (page_record *)page;

    snprintf(r->next, sizeof(r->next), "%s", r->items[page->count - 1]->id);
    page->next = r->next;
}

void fp_file_page_free(fp_file_page *page)
{
    page_record *r = (page_record *)page;

    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        fp_file_free((fp_file *)r->items[i]);
    fpi_free(r->a, r);
}

/* What both the REST API and the events show. */
static void add_identity(fpi_json_object *o, const fp_file *f)
{
    fpi_json_add_text(o, "id", f->id);
    fpi_json_add_text(o, "filename", f->filename);
    fpi_json_add_integer(o, "size", f->size);
    fpi_json_add_text(o, "mime_type", f->mime_type);
    fpi_json_add_text(o, "detected_mime_type", f->detected_mime_type);
    fpi_json_add_text(o, "sha256", f->sha256);
}

static void add_origin(fpi_json_object *o, const fp_file *f)
{
    fpi_json_add_text(o, "owner", f->owner);
    fpi_json_add_text(o, "parent_id", f->parent_id);
    fpi_json_add_text(o, "operation", f->operation);
    fpi_json_add_time(o, "created_at", f->created_at_ms);
}

/* It is written as it stands in the row, when it can be read. Most files have none. */
static fp_status check_info(const char *info, fp_error *err)
{
    FPI_CLEANUP(json_t) parsed = NULL;

    if (strcmp(info, "{}") == 0)
        return FILEPROC_OK;
    return fpi_json_parse(info, strlen(info), "info", &parsed, err);
}

fp_status fp_file_to_json(fp_context *ctx, const fp_file *file, fp_buf *out, fp_error *err)
{
    fpi_json_object o;
    fp_status rc;

    if (!ctx || !file || !out || !file->info)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = check_info(file->info, err);
    if (rc < 0)
        return rc;
    fpi_json_begin(&o, ctx, out, TYPICAL_SIZE + strlen(file->info), err);
    add_identity(&o, file);
    fpi_json_add_text(&o, "state", file->state);
    add_origin(&o, file);
    fpi_json_add_json(&o, "info", file->info);
    return fpi_json_end(&o);
}

fp_status fpi_file_event_data(const fp_context *ctx, const fp_file *file, fp_buf *out,
                              fp_error *err)
{
    fpi_json_object o;

    fpi_json_begin(&o, ctx, out, TYPICAL_SIZE, err);
    add_identity(&o, file);
    add_origin(&o, file);
    return fpi_json_end(&o);
}
