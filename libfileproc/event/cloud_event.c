/* Owns: the form in which an event is told to others: CloudEvents 1.0, structured JSON.
 * Must not know: where it comes from, or goes. */
#include "event/cloud_event.h"

#include "core/json.h"

static json_t *data_of(const fpi_cloud_event *e)
{
    json_t *data = json_loads(e->data, JSON_DECODE_ANY, NULL);

    return data ? data : json_string(e->data);
}

fp_status fpi_cloud_event_write(const fp_context *ctx, const fpi_cloud_event *e, fp_buf *out,
                                fp_error *err)
{
    FPI_CLEANUP(json_t) o = json_object();
    fp_status rc;

    if (!o)
        return fpi_no_memory(err);
    rc = fpi_json_set(o, "specversion", json_string("1.0"), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "id", json_string(e->id), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "source", json_string(e->source), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "type", json_string(e->type), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "subject", json_string(e->subject), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "time", fpi_json_time(e->time_ms), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "datacontenttype", json_string("application/json"), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(o, "data", data_of(e), err);
    return rc < 0 ? rc : fpi_json_dump(ctx, o, out, err);
}
