/* Owns: what one owner may have: bytes, and uploads that are not finished.
 * Must not know: how an upload goes on. */
#include "upload/owner_quota.h"

#include "upload/upload_private.h"

/* What an owner has, with what his unfinished uploads will come to. */
typedef struct usage {
    uint64_t uploads, bytes;
} usage;

static fp_status lock_owner(fp_tx *tx, const fp_upload *u, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(u->owner), FILEPROC_V_INT(u->created_at_ms) };

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

/* What has expired counts no more, though the reaper may not have been there yet. */
static fp_status read_usage(const fp_uploads *ups, fp_tx *tx, const fp_upload *u, usage *used,
                            fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(u->owner), FILEPROC_V_INT(u->created_at_ms) };
    fp_status rc = add_up(tx,
                          "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM uploads"
                          " WHERE owner = $1 AND status = 'open' AND expires_at > $2",
                          params, 2, used, err);

    if (rc < 0 || !ups->owner_max_bytes)
        return rc;
    return add_up(tx,
                  "SELECT 0, CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE owner = $1",
                  params, 1, used, err);
}

static fp_status judge(const fp_uploads *ups, const fp_upload *u, const usage *used, fp_error *err)
{
    uint64_t limit = ups->owner_max_bytes;

    if (ups->owner_max_uploads && used->uploads >= ups->owner_max_uploads)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_TOO_MANY_UPLOADS,
                                "%llu uploads of this owner are not finished; more are not allowed",
                                (unsigned long long)used->uploads);
    if (limit && (used->bytes > limit || u->size > limit - used->bytes))
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_QUOTA_EXCEEDED,
                                "this owner has %llu of %llu bytes, and these would be %llu more",
                                (unsigned long long)used->bytes, (unsigned long long)limit,
                                (unsigned long long)u->size);
    return FILEPROC_OK;
}

fp_status fpi_owner_quota_check(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                fp_error *err)
{
    usage used = { 0, 0 };
    fp_status rc;

    if (!upload->owner || (!ups->owner_max_bytes && !ups->owner_max_uploads))
        return FILEPROC_OK;
    rc = lock_owner(tx, upload, err);
    if (rc == FILEPROC_OK)
        rc = read_usage(ups, tx, upload, &used, err);
    return rc < 0 ? rc : judge(ups, upload, &used, err);
}
