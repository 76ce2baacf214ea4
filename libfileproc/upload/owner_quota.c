/* Owns: what one owner may have: bytes, and uploads that are not finished.
 * Must not know: how an upload goes on. */
#include "upload/owner_quota.h"

#include "upload/upload_private.h"

#define FORGET_MS INT64_C(86400000)

/* What an owner has, with what his unfinished uploads will come to. */
typedef struct usage {
    uint64_t uploads, bytes;
} usage;

static fp_status lock_owner(const fp_uploads *ups, fp_tx *tx, const fp_upload *u, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(u->owner), FILEPROC_V_INT(fpi_now_ms(ups->ctx)) };

    return fp_tx_exec(tx,
                      "INSERT INTO upload_owners (owner, touched_at) VALUES ($1, $2)"
                      " ON CONFLICT (owner) DO UPDATE SET touched_at = excluded.touched_at",
                      params, 2, NULL, err);
}

/* A row of a count and a sum. */
static fp_status add_up(fp_tx *tx, const char *sql, const fp_value *params, size_t count,
                        usage *used, fp_error *err)
{
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, sql, params, count, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK && more) {
        used->uploads += (uint64_t)fp_rows_int64(rows, 0);
        used->bytes += (uint64_t)fp_rows_int64(rows, 1);
    }
    return rc;
}

/* What has expired counts no more, though the reaper may not have been there yet. The upload itself is left out, and what is a piece of
 * another upload of the owner counts as that, once that one has a size. */
static fp_status read_usage(const fp_uploads *ups, fp_tx *tx, const fp_upload *u, usage *used,
                            fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(u->owner), FILEPROC_V_INT(fpi_now_ms(ups->ctx)),
                                FILEPROC_V_TEXT(u->id) };
    fp_status rc = add_up(tx,
                          "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM uploads"
                          " WHERE owner = $1 AND status = 'open' AND expires_at > $2 AND id <> $3"
                          " AND NOT (role IS NOT NULL AND EXISTS (SELECT 1 FROM upload_sources s"
                          " JOIN uploads f ON f.id = s.final_id WHERE s.partial_id = uploads.id"
                          " AND f.status = 'open' AND f.owner = $1"
                          " AND (f.size_unknown = 0 OR f.id = $3)))",
                          params, 3, used, err);

    if (rc < 0 || !ups->owner_max_bytes)
        return rc;
    return add_up(tx,
                  "SELECT 0, CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE owner = $1",
                  params, 1, used, err);
}

static uint64_t left(const fp_uploads *ups, const usage *used)
{
    return used->bytes < ups->owner_max_bytes ? ups->owner_max_bytes - used->bytes : 0;
}

static fp_status judge_bytes(const fp_uploads *ups, const usage *used, uint64_t size, fp_error *err)
{
    if (!ups->owner_max_bytes || size <= left(ups, used))
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_QUOTA_EXCEEDED,
                            "this owner has %llu of %llu bytes, and these would be %llu more",
                            (unsigned long long)used->bytes,
                            (unsigned long long)ups->owner_max_bytes, (unsigned long long)size);
}

static fp_status judge_count(const fp_uploads *ups, const usage *used, fp_error *err)
{
    if (!ups->owner_max_uploads || used->uploads < ups->owner_max_uploads)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_TOO_MANY_UPLOADS,
                            "%llu uploads of this owner are not finished; more are not allowed",
                            (unsigned long long)used->uploads);
}

static fp_status measure(const fp_uploads *ups, fp_tx *tx, const fp_upload *u, usage *used,
                         fp_error *err)
{
    fp_status rc = lock_owner(ups, tx, u, err);

    return rc < 0 ? rc : read_usage(ups, tx, u, used, err);
}

fp_status fpi_owner_quota_check(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                fp_error *err)
{
    usage used = { 0, 0 };
    fp_status rc;

    if (!upload->owner || (!ups->owner_max_bytes && !ups->owner_max_uploads))
        return FILEPROC_OK;
    rc = measure(ups, tx, upload, &used, err);
    if (rc == FILEPROC_OK)
        rc = judge_count(ups, &used, err);
    return rc < 0 ? rc : judge_bytes(ups, &used, upload->size, err);
}

bool fpi_owner_quota_metered(const fp_uploads *ups, const fp_upload *upload)
{
    return ups->owner_max_bytes && upload->owner;
}

fp_status fpi_owner_quota_check_size(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                     fp_error *err)
{
    usage used = { 0, 0 };
    fp_status rc;

    if (!fpi_owner_quota_metered(ups, upload))
        return FILEPROC_OK;
    rc = measure(ups, tx, upload, &used, err);
    return rc < 0 ? rc : judge_bytes(ups, &used, upload->size, err);
}

static fp_status set_aside(fp_tx *tx, const char *id, uint64_t bytes, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(bytes) };

    return fp_tx_exec(tx,
                      "UPDATE uploads SET size = $2 WHERE id = $1 AND status = 'open'"
                      " AND size_unknown = 1 AND size < $2",
                      params, 2, NULL, err);
}

typedef struct claim_call {
    const fp_uploads *ups;
    const fp_upload *upload;
    uint64_t needed, wanted, granted;
} claim_call;

static fp_status claim_body(fp_tx *tx, void *user_data, fp_error *err)
{
    claim_call *call = user_data;
    const fp_upload *u = call->upload;
    usage used = { 0, 0 };
    fp_status rc = measure(call->ups, tx, u, &used, err);
    uint64_t room;

    if (rc == FILEPROC_OK)
        rc = judge_bytes(call->ups, &used, call->needed, err);
    if (rc < 0)
        return rc;
    room = left(call->ups, &used);
    call->granted = call->wanted < room ? call->wanted : room;
    return set_aside(tx, u->id, call->granted, err);
}

fp_status fpi_owner_quota_claim(fp_uploads *ups, const fp_upload *upload, uint64_t needed,
                                uint64_t wanted, uint64_t *granted, fp_error *err)
{
    claim_call call = { ups, upload, needed, wanted, 0 };
    fp_status rc = fp_database_transact(ups->db, 0, claim_body, &call, err);

    if (rc == FILEPROC_OK)
        *granted = call.granted;
    return rc;
}

static fp_status forget_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value before = FILEPROC_V_INT(*(const int64_t *)user_data);

    return fp_tx_exec(tx, "DELETE FROM upload_owners WHERE touched_at < $1", &before, 1, NULL, err);
}

fp_status fpi_owner_quota_forget(const fp_uploads *ups, fp_error *err)
{
    int64_t before_ms = fpi_now_ms(ups->ctx) - FORGET_MS;

    /* one statement, which looks at a row again that somebody has just touched: it need not make others run again */
    return fp_database_transact(ups->db, FILEPROC_TX_READ_COMMITTED, forget_body, &before_ms, err);
}
