/* Owns: events written in the transaction that made them true (transactional outbox).
 * Must not know: who they are sent to. */
#include "event/outbox.h"

#include <stdbool.h>

#include "core/uuid.h"
#include "database/database_private.h"

/* One call must not hold the writer for long; the next one goes on. */
#define PRUNE_MAX 50000
/* A relay that was seen so long before the events to be forgotten may come back for them. */
#define RELAY_AWAITED_MS (INT64_C(6) * 24 * 3600 * 1000)

fp_status fpi_outbox_append(fp_context *ctx, fp_tx *tx, const char *type, const char *subject,
                            const char *data, fp_error *err)
{
    char id[FPI_UUID_SIZE];
    const fp_value row[] = { FILEPROC_V_TEXT(id), FILEPROC_V_TEXT(type), FILEPROC_V_TEXT(subject),
                             FILEPROC_V_TEXT(data), FILEPROC_V_INT(fpi_now_ms(ctx)) };
    fp_status rc = fpi_uuid7(ctx, id, err);

    if (rc < 0)
        return rc;
    return fp_tx_exec(tx,
                      "INSERT INTO outbox (id, type, subject, data, created_at)"
                      " VALUES ($1, $2, $3, $4, $5)",
                      row, 5, NULL, err);
}

static fp_status is_awaited(fp_tx *tx, int64_t since_ms, bool *awaited, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(FPI_RELAY_EVENTS), FILEPROC_V_INT(since_ms) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT 1 FROM relays WHERE name = $1 AND seen_at >= $2", params, 2, &rows,
                     err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    *awaited = more != 0;
    return rc;
}

/* Ids begin with the time of their creation, so the oldest are found by them. The two statements each have an index of their own:
 * however many events wait for a broker that is away, those that can go are found at once. */
fp_status fpi_outbox_prune(fp_tx *tx, int64_t before_ms, fp_error *err)
{
    char id[FPI_UUID_SIZE];
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(before_ms),
                                FILEPROC_V_INT(PRUNE_MAX) };
    bool awaited = true;
    fp_status rc;

    fpi_uuid7_first(before_ms, id);
    rc =
        fp_tx_exec(tx,
                   "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at IS NOT NULL"
                   " AND id < $1 AND created_at < $2 ORDER BY id LIMIT $3)",
                   params, 3, NULL, err);
    if (rc == FILEPROC_OK)
        rc = is_awaited(tx, before_ms - RELAY_AWAITED_MS, &awaited, err);
    if (rc < 0 || awaited)
        return rc;
    return fp_tx_exec(tx,
                      "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at IS NULL"
                      " AND id < $1 AND created_at < $2 ORDER BY id LIMIT $3)",
                      params, 3, NULL, err);
}
