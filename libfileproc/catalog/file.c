/* Owns: the records of files and pages of them: their memory, and how they look as JSON.
 * Must not know: which rows they come from. */
#include "catalog/file.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"

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

static fp_status set_text(json_t *object, const char *key, const char *text, fp_error *err)
{
    return fpi_json_set(object, key, fpi_json_string(text), err);
}

/* What both the REST API and the events show. */
static fp_status set_identity(json_t *o, const fp_file *f, fp_error *err)
{
    fp_status rc = set_text(o, "id", f->id, err);

    if (rc == FILEPROC_OK)
        rc = set_text(o, "filename", f->filename, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "size", json_integer((json_int_t)f->size), err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "mime_type", f->mime_type, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "detected_mime_type", f->detected_mime_type, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "sha256", f->sha256, err);
    return rc;
}

static fp_status set_origin(json_t *o, const fp_file *f, fp_error *err)
{
    fp_status rc = set_text(o, "owner", f->owner, err);

    if (rc == FILEPROC_OK)
        rc = set_text(o, "parent_id", f->parent_id, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "operation", f->operation, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "created_at", fpi_json_time(f->created_at_ms), err);
    return rc;
}

static fp_status set_info(json_t *o, const fp_file *f, fp_error *err)
{
    json_t *info = NULL;
    fp_status rc = fpi_json_parse(f->info, strlen(f->info), "info", &info, err);

    return rc < 0 ? rc : fpi_json_set(o, "info", info, err);
}

fp_status fp_file_to_json(fp_context *ctx, const fp_file *file, fp_buf *out, fp_error *err)
{
    FPI_CLEANUP(json_t) o = NULL;
    fp_status rc;

    if (!ctx || !file || !out || !file->info)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    o = json_object();
    if (!o)
        return fpi_no_memory(err);
    rc = set_identity(o, file, err);
    if (rc == FILEPROC_OK)
        rc = set_text(o, "state", file->state, err);
    if (rc == FILEPROC_OK)
        rc = set_origin(o, file, err);
    if (rc == FILEPROC_OK)
        rc = set_info(o, file, err);
    return rc < 0 ? rc : fpi_json_dump(ctx, o, out, err);
}

fp_status fpi_file_event_data(const fp_context *ctx, const fp_file *file, fp_buf *out,
                              fp_error *err)
{
    FPI_CLEANUP(json_t) o = json_object();
    fp_status rc;

    if (!o)
        return fpi_no_memory(err);
    rc = set_identity(o, file, err);
    if (rc == FILEPROC_OK)
        rc = set_origin(o, file, err);
    return rc < 0 ? rc : fpi_json_dump(ctx, o, out, err);
}
