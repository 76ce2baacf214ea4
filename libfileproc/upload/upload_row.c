/* Owns: the rows of upload sessions: how they are written and read.
 * Must not know: chunks, and what is staged. */
#include "upload/upload_row.h"

#include <string.h>

#include "upload/idempotency.h"
#include "upload/owner_quota.h"
#include "upload/upload_private.h"
#include "upload/upload_sources.h"

#define COLUMNS                                                                                    \
    "id, owner, filename, size, mime_type, chunk_size, status, file_id, job_id, metadata, sha256," \
    " created_at, updated_at, expires_at, note, size_unknown, expected_sha256, role,"              \
    " copied_from"

static const char *const names[] = { "open", "completed", "failed", "cancelled", "expired" };

void fpi_upload_row_dispose(fpi_upload_row *row)
{
    fp_upload_free(row->upload);
    *row = (fpi_upload_row){ .upload = NULL };
}

const char *fpi_upload_status(fpi_upload_state state, uint64_t bytes)
{
    if (state == FPI_UPLOAD_OPEN)
        return bytes ? "uploading" : "initiated";
    return names[state];
}

fp_status fpi_upload_not_found(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_UPLOAD_NOT_FOUND,
                            "there is no such upload");
}

typedef struct insert_call {
    const fp_uploads *ups;
    const fp_upload *upload;
    const char *file_id;
    const fpi_idempotency *key;
    const fpi_upload_sources *sources; /* or NULL */
} insert_call;

static const char *role_of(const fp_upload *u)
{
    if (u->flags & FILEPROC_UPLOAD_PARTIAL)
        return "partial";
    return u->flags & FILEPROC_UPLOAD_FINAL ? "final" : NULL;
}

static uint32_t flags_of(const char *role)
{
    if (!role)
        return 0;
    return strcmp(role, "partial") == 0 ? FILEPROC_UPLOAD_PARTIAL : FILEPROC_UPLOAD_FINAL;
}

static fp_status insert_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const insert_call *call = user_data;
    const fp_upload *u = call->upload;
    const fp_value row[] = {
        FILEPROC_V_TEXT(u->id),
        FILEPROC_V_TEXT(u->owner),
        FILEPROC_V_TEXT(u->filename),
        FILEPROC_V_INT(u->size),
        FILEPROC_V_TEXT(u->mime_type),
        FILEPROC_V_INT(u->chunk_size),
        FILEPROC_V_TEXT(call->file_id),
        FILEPROC_V_TEXT(u->metadata),
        FILEPROC_V_INT(u->created_at_ms),
        FILEPROC_V_INT(u->expires_at_ms),
        FILEPROC_V_TEXT(u->note),
        FILEPROC_V_INT(u->size_unknown),
        FILEPROC_V_TEXT(u->expected_sha256),
        FILEPROC_V_TEXT(role_of(u)),
    };

    fp_status rc = call->sources ? FILEPROC_OK : fpi_owner_quota_check(call->ups, tx, u, err);

    if (rc < 0)
        return rc;
    rc = fp_tx_exec(tx,
                    "INSERT INTO uploads (id, owner, filename, size, mime_type, chunk_size,"
                    " status, file_id, metadata, created_at, updated_at, expires_at, note,"
                    " size_unknown, expected_sha256, role)"
                    " VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $9, $10, $11, $12, $13,"
                    " $14)",
                    row, sizeof(row) / sizeof(*row), NULL, err);
    if (rc == FILEPROC_OK && call->sources)
        rc = fpi_upload_sources_insert(tx, u->id, call->sources, err);
    if (rc == FILEPROC_OK && call->sources) /* of which its pieces are known by now */
        rc = fpi_owner_quota_check(call->ups, tx, u, err);
    return rc < 0 ? rc : fpi_idempotency_insert(tx, call->key, u, err);
}

fp_status fpi_upload_row_insert(fp_uploads *ups, const fp_upload *upload, const char *file_id,
                                const fpi_idempotency *key, const fpi_upload_sources *sources,
                                fp_error *err)
{
    insert_call call = { ups, upload, file_id, key, sources };

    return fp_database_transact(ups->db, 0, insert_body, &call, err);
}

fp_status fpi_upload_state_read(const char *name, fpi_upload_state *state, fp_error *err)
{
    for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0) {
            *state = (fpi_upload_state)i;
            return FILEPROC_OK;
        }
    return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of an upload has no known status");
}

/* The counters of a completed upload are known: all of it arrived. */
static void show_completed(fp_uploads *ups, fp_upload *u, const fpi_upload_row *row, char *url)
{
    fpi_upload_url(ups, row->file_id, url);
    u->file_id = row->file_id;
    u->storage_url = url;
    u->bytes_received = u->offset = u->size;
    u->chunks_uploaded = u->total_chunks;
}

static fp_status take_row(fp_uploads *ups, fp_rows *rows, fpi_upload_row *out, fp_error *err)
{
    const char *file_id = fp_rows_text(rows, 7);
    fp_upload u = { .id = fp_rows_text(rows, 0),
                    .owner = fp_rows_text(rows, 1),
                    .filename = fp_rows_text(rows, 2),
                    .size = (uint64_t)fp_rows_int64(rows, 3),
                    .mime_type = fp_rows_text(rows, 4),
                    .chunk_size = (uint64_t)fp_rows_int64(rows, 5),
                    .job_id = fp_rows_text(rows, 8),
                    .metadata = fp_rows_text(rows, 9),
                    .sha256 = fp_rows_text(rows, 10),
                    .created_at_ms = fp_rows_int64(rows, 11),
                    .updated_at_ms = fp_rows_int64(rows, 12),
                    .expires_at_ms = fp_rows_int64(rows, 13),
                    .note = fp_rows_text(rows, 14),
                    .size_unknown = fp_rows_int64(rows, 15) != 0,
                    .expected_sha256 = fp_rows_text(rows, 16),
                    .flags = flags_of(fp_rows_text(rows, 17)) };
    char url[FPI_UPLOAD_URL_SIZE];
    fp_status rc = fpi_upload_state_read(fp_rows_text(rows, 6), &out->state, err);

    if (rc < 0)
        return rc;
    if (!fpi_uuid_valid(file_id) || u.chunk_size == 0)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of an upload makes no sense");
    memcpy(out->file_id, file_id, FPI_UUID_SIZE);
    out->reused = fp_rows_text(rows, 18) != NULL;
    out->claimed = u.size;
    if (u.size_unknown)
        u.size = 0;
    u.status = fpi_upload_status(out->state, 0);
    u.total_chunks = fpi_upload_chunks(u.size, u.chunk_size);
    if (out->state == FPI_UPLOAD_COMPLETED)
        show_completed(ups, &u, out, url);
    return fpi_upload_copy(ups->ctx, &u, &out->upload, err);
}

fp_status fpi_upload_row_select(fp_uploads *ups, fp_tx *tx, const char *id, fpi_upload_row *out,
                                fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    fpi_upload_row_dispose(out); /* bodies run more than once */
    rc = fp_tx_query(tx, "SELECT " COLUMNS " FROM uploads WHERE id = $1", params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc < 0)
        return rc;
    return more ? take_row(ups, rows, out, err) : fpi_upload_not_found(err);
}

typedef struct read_call {
    fp_uploads *ups;
    const char *id;
    fpi_upload_row *row;
} read_call;

static fp_status read_body(fp_tx *tx, void *user_data, fp_error *err)
{
    read_call *call = user_data;

    return fpi_upload_row_select(call->ups, tx, call->id, call->row, err);
}

fp_status fpi_upload_row_read(fp_uploads *ups, const char *id, fpi_upload_row *out, fp_error *err)
{
    read_call call = { ups, id, out };

    return fp_database_transact(ups->db, FILEPROC_TX_READONLY, read_body, &call, err);
}

fp_status fpi_upload_row_complete(fp_tx *tx, const fp_upload *upload, uint64_t *changed,
                                  fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(upload->id), FILEPROC_V_TEXT(upload->job_id),
                                FILEPROC_V_TEXT(upload->sha256),
                                FILEPROC_V_INT(upload->updated_at_ms) };

    return fp_tx_exec(
        tx,
        "UPDATE uploads SET status = 'completed', job_id = $2, sha256 = $3, updated_at = $4"
        " WHERE id = $1 AND status = 'open'",
        params, 4, changed, err);
}

typedef struct size_call {
    const fp_uploads *ups;
    const fp_upload *upload;
    uint64_t *changed;
} size_call;

static fp_status size_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const size_call *call = user_data;
    const fp_upload *u = call->upload;
    const fp_value params[] = { FILEPROC_V_TEXT(u->id), FILEPROC_V_INT(u->size),
                                FILEPROC_V_INT(u->chunk_size), FILEPROC_V_INT(u->updated_at_ms) };
    fp_status rc = fpi_owner_quota_check_size(call->ups, tx, u, err);

    if (rc < 0)
        return rc;
    return fp_tx_exec(tx,
                      "UPDATE uploads SET size = $2, chunk_size = $3, size_unknown = 0,"
                      " updated_at = $4 WHERE id = $1 AND status = 'open' AND size_unknown = 1",
                      params, 4, call->changed, err);
}

fp_status fpi_upload_row_set_size(fp_uploads *ups, const fp_upload *upload, uint64_t *changed,
                                  fp_error *err)
{
    size_call call = { ups, upload, changed };

    return fp_database_transact(ups->db, 0, size_body, &call, err);
}

fp_status fpi_upload_row_end(fp_tx *tx, const char *id, fpi_upload_state state, int64_t now_ms,
                             uint64_t *changed, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_TEXT(names[state]),
                                FILEPROC_V_INT(now_ms) };

    return fp_tx_exec(
        tx, "UPDATE uploads SET status = $2, updated_at = $3 WHERE id = $1 AND status = 'open'",
        params, 3, changed, err);
}

fp_status fpi_upload_row_expire(fp_tx *tx, const char *id, int64_t now_ms, uint64_t *changed,
                                fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(now_ms) };

    return fp_tx_exec(tx,
                      "UPDATE uploads SET status = 'expired', updated_at = $2"
                      " WHERE id = $1 AND status = 'open' AND expires_at <= $2",
                      params, 2, changed, err);
}

typedef struct finish_call {
    fp_uploads *ups;
    const char *id;
    fpi_upload_state state;
    int64_t now_ms;
    fpi_upload_row *instead;
    const char *sha256; /* or NULL */
} finish_call;

static fp_status end_mismatched(fp_tx *tx, const finish_call *call, uint64_t *changed,
                                fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(call->id), FILEPROC_V_TEXT(call->sha256),
                                FILEPROC_V_INT(call->now_ms) };

    return fp_tx_exec(tx,
                      "UPDATE uploads SET status = 'failed', sha256 = $2, updated_at = $3"
                      " WHERE id = $1 AND status = 'open'",
                      params, 3, changed, err);
}

static fp_status finish_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const finish_call *call = user_data;
    uint64_t changed = 0;
    fp_status rc = call->sha256
                       ? end_mismatched(tx, call, &changed, err)
                       : fpi_upload_row_end(tx, call->id, call->state, call->now_ms, &changed, err);

    fpi_upload_row_dispose(call->instead);
    if (rc < 0 || changed)
        return rc;
    return fpi_upload_row_select(call->ups, tx, call->id, call->instead, err);
}

fp_status fpi_upload_row_finish(fp_uploads *ups, const char *id, fpi_upload_state state,
                                fpi_upload_row *instead, fp_error *err)
{
    finish_call call = { ups, id, state, fpi_now_ms(ups->ctx), instead, NULL };

    return fp_database_transact(ups->db, 0, finish_body, &call, err);
}

fp_status fpi_upload_row_mismatch(fp_uploads *ups, const char *id, const char *sha256,
                                  fpi_upload_row *instead, fp_error *err)
{
    finish_call call = { ups, id, FPI_UPLOAD_FAILED, fpi_now_ms(ups->ctx), instead, sha256 };

    return fp_database_transact(ups->db, 0, finish_body, &call, err);
}

typedef struct clear_call {
    const char *id;
    int64_t now_ms;
} clear_call;

static fp_status clear_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const clear_call *call = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(call->id), FILEPROC_V_INT(call->now_ms) };

    return fp_tx_exec(tx, "UPDATE uploads SET cleared_at = $2 WHERE id = $1", params, 2, NULL, err);
}

fp_status fpi_upload_row_clear(fp_uploads *ups, const char *id, fp_error *err)
{
    clear_call call = { id, fpi_now_ms(ups->ctx) };

    return fp_database_transact(ups->db, 0, clear_body, &call, err);
}
