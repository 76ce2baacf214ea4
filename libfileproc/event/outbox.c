/* Owns: events written in the transaction that made them true (transactional outbox).
 * Must not know: who they are sent to. */
#include "event/outbox.h"

#include "core/uuid.h"

/* One call must not hold the writer for long; the next one goes on. */
#define PRUNE_MAX 50000

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

/* Ids begin with the time of their creation, so the oldest are found by the primary key. */
fp_status fpi_outbox_prune(fp_tx *tx, int64_t before_ms, fp_error *err)
{
    char id[FPI_UUID_SIZE];
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_INT(before_ms),
                                FILEPROC_V_INT(PRUNE_MAX) };

    fpi_uuid7_first(before_ms, id);
    return fp_tx_exec(
        tx,
        "DELETE FROM outbox WHERE id IN"
        " (SELECT id FROM outbox WHERE id < $1 AND created_at < $2 ORDER BY id LIMIT $3)",
        params, 3, NULL, err);
}
