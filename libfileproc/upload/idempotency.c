/* Owns: what the idempotency keys of clients were used for, and the first answer to such a request.
 * Must not know: HTTP, and how uploads grow.
 *
 * A key and the upload that it made are written in one transaction, so a crash leaves both or none, and of two who come at the same
 * moment the database makes one wait for the other. There is no mark of a request that is being worked on, which a dead process
 * would leave behind: who works on an upload is known from its session and its lease. */
#include "upload/idempotency.h"

#include <string.h>

#include "core/hex.h"
#include "upload/upload_sources.h"

#define KEY_MAX 255u

/* With its length before it, so that no two lists of texts look alike. */
static void add_text(fpi_digest *d, const char *text)
{
    uint64_t size = text ? strlen(text) : UINT64_MAX;

    fpi_digest_update(d, &size, sizeof(size));
    if (text)
        fpi_digest_update(d, text, strlen(text));
}

static void finish(const fpi_digest *d, char hex[FPI_IDEMPOTENCY_HEX])
{
    unsigned char value[FPI_DIGEST_MAX];

    fpi_digest_value(d, value);
    fpi_hex(value, sizeof(value), hex);
}

/* Each owner has keys of his own. */
static fp_status set_key(fpi_idempotency *i, const char *key, const char *owner, fp_error *err)
{
    fpi_digest d;

    if (!*key || strnlen(key, KEY_MAX + 1) > KEY_MAX)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID,
                                "an idempotency key has 1 to %u bytes", KEY_MAX);
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    add_text(&d, owner && *owner ? owner : NULL);
    add_text(&d, key);
    finish(&d, i->key);
    return FILEPROC_OK;
}

fp_status fpi_idempotency_of_create(const fp_upload_request *req, const fpi_upload_sources *sources,
                                    fpi_idempotency *out, fp_error *err)
{
    fpi_digest d;

    if (!req->idempotency_key)
        return FILEPROC_OK;
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    add_text(&d, "create");
    add_text(&d, req->filename);
    add_text(&d, req->mime_type);
    add_text(&d, req->metadata);
    add_text(&d, req->sha256);
    add_text(&d, req->note);
    add_text(&d, req->size_unknown ? "unknown" : NULL);
    fpi_digest_update(&d, &req->size, sizeof(req->size));
    if (req->flags & FILEPROC_UPLOAD_PARTIAL)
        add_text(&d, "partial");
    for (size_t i = 0; sources && i < sources->count; i++)
        add_text(&d, sources->ids[i]);
    finish(&d, out->request);
    return set_key(out, req->idempotency_key, req->owner, err);
}

fp_status fpi_idempotency_of_complete(const char *key, const char *owner, const char *id,
                                      fpi_idempotency *out, fp_error *err)
{
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    add_text(&d, "complete");
    add_text(&d, id);
    finish(&d, out->request);
    return set_key(out, key, owner, err);
}

/* ---- rows ---- */

static fp_status reused(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_IDEMPOTENCY_REUSED,
                            "this idempotency key was used for another request");
}

fp_status fpi_idempotency_in_progress(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_REQUEST_IN_PROGRESS,
                            "the first request with this idempotency key is still at work");
}

fp_status fpi_idempotency_insert(fp_tx *tx, const fpi_idempotency *i, const fp_upload *upload,
                                 fp_error *err)
{
    const fp_value row[] = { FILEPROC_V_TEXT(i->key), FILEPROC_V_TEXT(i->request),
                             FILEPROC_V_TEXT(upload->id), FILEPROC_V_INT(upload->expires_at_ms) };
    uint64_t changed = 0;
    fp_status rc;

    if (!*i->key)
        return FILEPROC_OK;
    rc = fp_tx_exec(tx,
                    "INSERT INTO upload_keys (key, request, upload_id, expires_at)"
                    " VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING",
                    row, 4, &changed, err);
    if (rc == FILEPROC_OK && !changed)
        rc = fp_error_setf(err, FILEPROC_ERR_EXISTS, "the idempotency key is used");
    return rc;
}

/* A key as it was found. */
typedef struct found {
    char upload_id[FPI_UUID_SIZE]; /* empty: it is new */
    int64_t expires_at_ms;
} found;

static fp_status take_key(const fpi_idempotency *i, fp_rows *rows, found *out, fp_error *err)
{
    const char *request = fp_rows_text(rows, 0), *id = fp_rows_text(rows, 1);

    if (!request || !fpi_uuid_valid(id))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of a key makes no sense");
    if (strcmp(request, i->request) != 0)
        return reused(err);
    memcpy(out->upload_id, id, FPI_UUID_SIZE);
    out->expires_at_ms = fp_rows_int64(rows, 2);
    return FILEPROC_OK;
}

static fp_status find_key(fp_tx *tx, const fpi_idempotency *i, found *out, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(i->key) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    *out = (found){ .upload_id = "" };
    rc = fp_tx_query(tx, "SELECT request, upload_id, expires_at FROM upload_keys WHERE key = $1",
                     params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc < 0 || !more ? rc : take_key(i, rows, out, err);
}

/* ---- the first answer ---- */

typedef struct replay_call {
    fp_uploads *ups;
    const fpi_idempotency *i;
    found key;
    fpi_upload_row row;
} replay_call;

static fp_status replay_body(fp_tx *tx, void *user_data, fp_error *err)
{
    replay_call *call = user_data;
    fp_status rc = find_key(tx, call->i, &call->key, err);

    if (rc < 0 || !*call->key.upload_id)
        return rc;
    return fpi_upload_row_select(call->ups, tx, call->key.upload_id, &call->row, err);
}

/* Whatever has become of it since. */
static void show_as_created(fp_upload *u, int64_t expires_at_ms)
{
    u->status = fpi_upload_status(FPI_UPLOAD_OPEN, 0);
    u->file_id = u->job_id = u->sha256 = u->storage_url = NULL;
    u->bytes_received = u->chunks_uploaded = u->offset = 0;
    u->updated_at_ms = u->created_at_ms;
    u->expires_at_ms = expires_at_ms;
    u->flags |= FILEPROC_UPLOAD_REPLAYED;
}

fp_status fpi_idempotency_replay(fp_uploads *ups, const fpi_idempotency *i, fp_upload **out,
                                 fp_error *err)
{
    replay_call call = { .ups = ups, .i = i };
    fp_status rc;

    if (!*i->key)
        return FILEPROC_OK;
    rc = fp_database_transact(ups->db, FILEPROC_TX_READONLY, replay_body, &call, err);
    if (rc == FILEPROC_OK && call.row.upload) {
        if (call.row.reused && call.row.state == FPI_UPLOAD_COMPLETED)
            call.row.upload->flags |= FILEPROC_UPLOAD_REPLAYED;
        else
            show_as_created(call.row.upload, call.key.expires_at_ms);
        *out = fpi_steal(&call.row.upload);
    }
    fpi_upload_row_dispose(&call.row);
    return rc;
}

/* ---- a key for something that is done ---- */

typedef struct claim_call {
    const fpi_idempotency *i;
    const char *id;
    uint64_t fresh;
} claim_call;

/* An upload that is forgotten has no row that a key could stand for. */
static fp_status claim_body(fp_tx *tx, void *user_data, fp_error *err)
{
    claim_call *call = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(call->i->key), FILEPROC_V_TEXT(call->i->request),
                                FILEPROC_V_TEXT(call->id) };
    found key;
    fp_status rc = find_key(tx, call->i, &key, err);

    call->fresh = 0;
    if (rc < 0 || *key.upload_id)
        return rc;
    rc = fp_tx_exec(tx,
                    "INSERT INTO upload_keys (key, request, upload_id, expires_at)"
                    " SELECT $1, $2, id, expires_at FROM uploads WHERE id = $3"
                    " ON CONFLICT (key) DO NOTHING",
                    params, 3, &call->fresh, err);
    return rc < 0 || call->fresh ? rc : find_key(tx, call->i, &key, err);
}

fp_status fpi_idempotency_claim(fp_uploads *ups, const fpi_idempotency *i, const char *id,
                                bool *fresh, fp_error *err)
{
    claim_call call = { i, id, 0 };
    fp_status rc = fp_database_transact(ups->db, 0, claim_body, &call, err);

    *fresh = call.fresh != 0;
    return rc;
}

static fp_status forget_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const char *const *call = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(call[0]), FILEPROC_V_TEXT(call[1]) };

    return fp_tx_exec(tx, "DELETE FROM upload_keys WHERE key = $1 AND upload_id = $2", params, 2,
                      NULL, err);
}

fp_status fpi_idempotency_forget(fp_uploads *ups, const fpi_idempotency *i, const char *upload_id,
                                 fp_error *err)
{
    const char *call[] = { i->key, upload_id };

    return fp_database_transact(ups->db, 0, forget_body, call, err);
}
