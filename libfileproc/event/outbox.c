/* Owns: events written in the transaction that made them true (transactional outbox).
 * Must not know: who they are sent to. */
#include "event/outbox.h"

#include <stdbool.h>
#include <stdio.h>

#include "core/uuid.h"
#include "database/database_private.h"

/* Of a new row. */
#define COLUMNS 5u
/* New rows of one statement. */
#define ROWS_MAX 16u
/* One call must not hold the writer for long; the next one goes on. */
#define PRUNE_MAX 50000
/* A relay that was seen so long before the events to be forgotten may come back for them. */
#define RELAY_AWAITED_MS (INT64_C(6) * 24 * 3600 * 1000)

static void write_insert(char *sql, size_t size, size_t rows)
{
    size_t at = (size_t)snprintf(sql, size, "%s",
                                 "INSERT INTO outbox (id, type, subject, data, created_at) VALUES");

    for (size_t i = 0; i < rows; i++) {
        size_t n = i * COLUMNS;

        at += (size_t)snprintf(sql + at, size - at, "%s ($%zu, $%zu, $%zu, $%zu, $%zu)",
                               i ? "," : "", n + 1, n + 2, n + 3, n + 4, n + 5);
    }
}

/* Rows of one statement: there are three texts, so that each is kept prepared. */
static fp_status insert_rows(fp_tx *tx, const fp_value *rows, size_t count, fp_error *err)
{
    static const size_t sizes[] = { ROWS_MAX, 4, 1 };
    uint64_t changed[FPI_OUTBOX_EACH_MAX];
    char sql[128 + ROWS_MAX * 40];
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t times = count / sizes[i];

        if (!times)
            continue;
        write_insert(sql, sizeof(sql), sizes[i]);
        rc = fpi_tx_exec_each(tx, sql, rows, sizes[i] * COLUMNS, times, changed, err);
        rows += times * sizes[i] * COLUMNS;
        count -= times * sizes[i];
    }
    return rc;
}

fp_status fpi_outbox_append_each(fp_context *ctx, fp_tx *tx, const fpi_outbox_new *events,
                                 size_t count, fp_error *err)
{
    char ids[FPI_OUTBOX_EACH_MAX][FPI_UUID_SIZE];
    fp_value rows[FPI_OUTBOX_EACH_MAX * COLUMNS];
    int64_t now = fpi_now_ms(ctx);
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fp_value *row = &rows[i * COLUMNS];

        rc = fpi_uuid7(ctx, ids[i], err);
        row[0] = (fp_value)FILEPROC_V_TEXT(ids[i]);
        row[1] = (fp_value)FILEPROC_V_TEXT(events[i].type);
        row[2] = (fp_value)FILEPROC_V_TEXT(events[i].subject);
        row[3] = (fp_value)FILEPROC_V_TEXT(events[i].data);
        row[4] = (fp_value)FILEPROC_V_INT(now);
    }
    return rc < 0 ? rc : insert_rows(tx, rows, count, err);
}

fp_status fpi_outbox_append(fp_context *ctx, fp_tx *tx, const char *type, const char *subject,
                            const char *data, fp_error *err)
{
    const fpi_outbox_new event = { type, subject, data };

    return fpi_outbox_append_each(ctx, tx, &event, 1, err);
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
