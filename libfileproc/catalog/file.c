/* Owns: how rows become the records of files, what frees them, and how they look as JSON.
 * Must not know: which rows. */
#include "catalog/file.h"

#include <string.h>

#include "core/json.h"
#include "core/json_text.h"

/* Bytes of a file as JSON, but for its info. */
#define TYPICAL_SIZE 480u

static void read_numbers(void *record, fp_rows *rows)
{
    fp_file *file = record;

    file->size = (uint64_t)fp_rows_int64(rows, 3);
    file->created_at_ms = fp_rows_int64(rows, 12);
}

const fpi_record_kind fpi_file_kind = {
    .size = sizeof(fp_file),
    .texts = { offsetof(fp_file, id), offsetof(fp_file, owner), offsetof(fp_file, filename), 0,
               offsetof(fp_file, mime_type), offsetof(fp_file, detected_mime_type),
               offsetof(fp_file, sha256), offsetof(fp_file, state), offsetof(fp_file, parent_id),
               offsetof(fp_file, operation), offsetof(fp_file, storage_key),
               offsetof(fp_file, info) },
    .read = read_numbers,
};

fp_status fpi_file_from_row(const fp_context *ctx, fp_rows *rows, fp_file **out, fp_error *err)
{
    fp_file *file = fpi_record_new(ctx, &fpi_file_kind, rows);

    if (!file)
        return fpi_no_memory(err);
    *out = file;
    return FILEPROC_OK;
}

void fp_file_free(fp_file *file)
{
    fpi_record_free(file);
}

void fp_file_page_free(fp_file_page *page)
{
    fpi_page_free(page);
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
