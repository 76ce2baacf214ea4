/* Owns: how rows become the records of files in quarantine, what frees them, and how they look as JSON.
 * Must not know: which rows. */
#include "core/json_text.h"
#include "job/quarantine_private.h"

static void read_numbers(void *record, fp_rows *rows)
{
    fp_quarantine *q = record;

    q->bytes_removed = fp_rows_int64(rows, 8) != 0;
    q->created_at_ms = fp_rows_int64(rows, 9);
    q->decided_at_ms = fp_rows_int64(rows, 10);
}

const fpi_record_kind fpi_quarantine_kind = {
    .size = sizeof(fp_quarantine),
    .texts = { offsetof(fp_quarantine, file_id), offsetof(fp_quarantine, state),
               offsetof(fp_quarantine, scan_job_id), offsetof(fp_quarantine, verdict),
               offsetof(fp_quarantine, reason), offsetof(fp_quarantine, step),
               offsetof(fp_quarantine, decided_by), offsetof(fp_quarantine, note) },
    .read = read_numbers,
};

fp_status fpi_quarantine_from_row(const fp_context *ctx, fp_rows *rows, fp_quarantine **out,
                                  fp_error *err)
{
    fp_quarantine *record = fpi_record_new(ctx, &fpi_quarantine_kind, rows);

    if (!record)
        return fpi_no_memory(err);
    *out = record;
    return FILEPROC_OK;
}

void fp_quarantine_free(fp_quarantine *record)
{
    fpi_record_free(record);
}

void fp_quarantine_page_free(fp_quarantine_page *page)
{
    fpi_page_free(page);
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
