/* Owns: which partial uploads a final one is made of, as the database has it.
 * Must not know: how their bytes are put together. */
#include "upload/upload_sources.h"

#include <string.h>

void fpi_upload_sources_dispose(fpi_upload_sources *s)
{
    if (s->a)
        fpi_free(s->a, s->ids);
    s->ids = NULL;
    s->count = s->capacity = 0;
}

fp_status fpi_upload_sources_add(fpi_upload_sources *s, const char *id, fp_error *err)
{
    if (!fpi_uuid_valid(id))
        return fpi_upload_not_found(err);
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        void *ids = fpi_realloc(s->a, s->ids, capacity, sizeof(*s->ids));

        if (!ids)
            return fpi_no_memory(err);
        s->ids = ids;
        s->capacity = capacity;
    }
    memcpy(s->ids[s->count++], id, FPI_UUID_SIZE);
    return FILEPROC_OK;
}

fp_status fpi_upload_sources_insert(fp_tx *tx, const char *final_id, const fpi_upload_sources *s,
                                    fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < s->count; i++) {
        const fp_value row[] = { FILEPROC_V_TEXT(final_id), FILEPROC_V_INT(i),
                                 FILEPROC_V_TEXT(s->ids[i]) };

        rc = fp_tx_exec(tx,
                        "INSERT INTO upload_sources (final_id, position, partial_id)"
                        " VALUES ($1, $2, $3)",
                        row, 3, NULL, err);
    }
    return rc;
}

typedef struct read_call {
    const char *sql, *id;
    size_t limit;
    fpi_upload_sources *out;
} read_call;

static fp_status read_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const read_call *call = user_data;
    const fp_value params[] = { FILEPROC_V_INT(call->limit), FILEPROC_V_TEXT(call->id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, call->sql, params, call->id ? 2 : 1, &rows, err);

    call->out->count = 0; /* bodies run more than once */
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more)
        rc = fpi_upload_sources_add(call->out, fp_rows_text(rows, 0), err);
    return rc;
}

static fp_status read_ids(fp_uploads *ups, const char *sql, const char *id, size_t limit,
                          fpi_upload_sources *out, fp_error *err)
{
    read_call call = { sql, id, limit, out };

    out->a = &ups->ctx->a;
    return fp_database_transact(ups->db, FILEPROC_TX_READONLY, read_body, &call, err);
}

fp_status fpi_upload_sources_read(fp_uploads *ups, const char *final_id, fpi_upload_sources *out,
                                  fp_error *err)
{
    return read_ids(ups,
                    "SELECT partial_id FROM upload_sources WHERE final_id = $2"
                    " ORDER BY position LIMIT $1",
                    final_id, FILEPROC_CONCAT_MAX, out, err);
}

fp_status fpi_upload_sources_waiting(fp_uploads *ups, const char *partial_id, size_t limit,
                                     fpi_upload_sources *out, fp_error *err)
{
    return read_ids(ups,
                    "SELECT DISTINCT u.id FROM upload_sources s JOIN uploads u ON u.id = s.final_id"
                    " WHERE s.partial_id = $2 AND u.status = 'open' LIMIT $1",
                    partial_id, limit, out, err);
}

fp_status fpi_upload_sources_finals(fp_uploads *ups, const char *after, size_t limit,
                                    fpi_upload_sources *out, fp_error *err)
{
    return read_ids(ups,
                    "SELECT id FROM uploads WHERE status = 'open' AND role = 'final' AND id > $2"
                    " ORDER BY id LIMIT $1",
                    after, limit, out, err);
}
