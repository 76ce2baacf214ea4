/* Owns: taking unsent events out of the outbox, one process at a time, and noting that they were sent.
 * Must not know: where they are sent.
 *
 * Looking is cheap and takes no lock; the lease is taken only when there is something to send. Events are found by being unsent, not by
 * a place to go on from: a transaction that began before another may be committed after it. */
#include "event/outbox_batch.h"

#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "database/database_private.h"
#include "event/outbox.h"

/* Texts of one batch; the first event is taken whatever its size. */
#define BATCH_BYTES (1u << 20)
/* One statement marks so many, so that a database behind a network is asked less often. */
#define MARKED_AT_ONCE 16u
/* How often an idle relay says that it is still about. */
#define ANNOUNCE_INTERVAL_MS (INT64_C(3600) * 1000)

static void clear(fpi_outbox_batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        fpi_free(&b->ctx->a, b->events[i].type);
    b->count = 0;
    b->bytes = 0;
}

void fpi_outbox_batch_dispose(fpi_outbox_batch *b)
{
    if (!b->ctx)
        return;
    clear(b);
    fpi_free(&b->ctx->a, b->events);
    b->events = NULL;
}

/* ---- the lease ---- */

static fp_status announce_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fpi_outbox_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(FPI_RELAY_EVENTS), FILEPROC_V_INT(b->seen_at_ms) };

    return fp_tx_exec(
        tx,
        "INSERT INTO relays (name, holder, lease_until, seen_at) VALUES ($1, '', 0, $2)"
        " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
        params, 2, NULL, err);
}

fp_status fpi_outbox_announce(fpi_outbox_batch *b, fp_error *err)
{
    b->seen_at_ms = fpi_now_ms(b->ctx);
    return fp_database_transact(b->db, 0, announce_body, b, err);
}

static fp_status release_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const fpi_outbox_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(FPI_RELAY_EVENTS), FILEPROC_V_TEXT(b->holder) };

    return fp_tx_exec(tx,
                      "UPDATE relays SET holder = '', lease_until = 0"
                      " WHERE name = $1 AND holder = $2",
                      params, 2, NULL, err);
}

/* When that fails, the lease runs out. */
void fpi_outbox_release(fpi_outbox_batch *b)
{
    fp_error e = { 0 };

    if (b->lease_until_ms && fp_database_transact(b->db, 0, release_body, b, &e) < 0)
        fpi_log(b->ctx, FILEPROC_LOG_DEBUG, "event", "the relay's lease: %s", e.message);
    b->lease_until_ms = 0;
}

/* Takes the lease, or keeps it: *ours. */
static fp_status hold(const fpi_outbox_batch *b, fp_tx *tx, int64_t now, bool *ours, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(FPI_RELAY_EVENTS), FILEPROC_V_TEXT(b->holder),
                                FILEPROC_V_INT(now + b->lease_ms), FILEPROC_V_INT(now) };
    uint64_t changed = 0;
    fp_status rc = fp_tx_exec(tx,
                              "UPDATE relays SET holder = $2, lease_until = $3, seen_at = $4"
                              " WHERE name = $1 AND (holder = $2 OR lease_until <= $4)",
                              params, 4, &changed, err);

    *ours = rc == FILEPROC_OK && changed;
    return rc;
}

typedef struct lease_call {
    const fpi_outbox_batch *b;
    int64_t now;
    bool ours;
    size_t sent; /* events to be marked */
} lease_call;

static fp_status hold_body(fp_tx *tx, void *user_data, fp_error *err)
{
    lease_call *c = user_data;

    return hold(c->b, tx, c->now, &c->ours, err);
}

static void note_lease(fpi_outbox_batch *b, const lease_call *c)
{
    b->lease_until_ms = c->ours ? c->now + b->lease_ms : 0;
    if (c->ours)
        b->seen_at_ms = c->now;
}

/* Half of the lease must be left, which is longer than sending a batch may take. */
static fp_status take_lease(fpi_outbox_batch *b, fp_error *err)
{
    lease_call call = { .b = b, .now = fpi_now_ms(b->ctx) };
    fp_status rc;

    if (b->lease_until_ms - call.now > b->lease_ms / 2)
        return FILEPROC_OK;
    rc = fp_database_transact(b->db, 0, hold_body, &call, err);
    if (rc == FILEPROC_OK)
        note_lease(b, &call);
    return rc;
}

/* ---- events ---- */

static fp_status add_event(fpi_outbox_batch *b, fp_rows *rows, fp_error *err)
{
    const char *type = fp_rows_text(rows, 1), *subject = fp_rows_text(rows, 2);
    const char *data = fp_rows_text(rows, 3);
    size_t type_size = strlen(type) + 1, subject_size = strlen(subject) + 1;
    size_t data_size = strlen(data) + 1;
    fpi_outbox_event *e = &b->events[b->count];
    char *block = fpi_alloc(&b->ctx->a, type_size + subject_size + data_size);

    if (!block)
        return fpi_no_memory(err);
    *e = (fpi_outbox_event){ .type = block,
                             .subject = block + type_size,
                             .data = block + type_size + subject_size,
                             .created_at_ms = fp_rows_int64(rows, 4) };
    snprintf(e->id, sizeof(e->id), "%s", fp_rows_text(rows, 0));
    memcpy(block, type, type_size);
    memcpy(block + type_size, subject, subject_size);
    memcpy(block + type_size + subject_size, data, data_size);
    b->bytes += type_size + subject_size + data_size;
    b->count++;
    return FILEPROC_OK;
}

static fp_status read_body(fp_tx *tx, void *user_data, fp_error *err)
{
    fpi_outbox_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_INT(b->capacity) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    clear(b);
    rc = fp_tx_query(tx,
                     "SELECT id, type, subject, data, created_at FROM outbox"
                     " WHERE sent_at IS NULL ORDER BY id LIMIT $1",
                     params, 1, &rows, err);
    while (rc == FILEPROC_OK && b->count < b->capacity && b->bytes < BATCH_BYTES &&
           (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more)
        rc = add_event(b, rows, err);
    return rc;
}

static fp_status look_body(fp_tx *tx, void *user_data, fp_error *err)
{
    bool *found = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT 1 FROM outbox WHERE sent_at IS NULL LIMIT 1", NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    *found = more != 0;
    return rc;
}

static fp_status announce_again(fpi_outbox_batch *b, fp_error *err)
{
    if (fpi_now_ms(b->ctx) - b->seen_at_ms < ANNOUNCE_INTERVAL_MS)
        return FILEPROC_OK;
    return fpi_outbox_announce(b, err);
}

/* What was read before the lease was ours may have been sent by whoever had it, so the lease comes first. */
fp_status fpi_outbox_take(fpi_outbox_batch *b, fp_error *err)
{
    bool found = false;
    fp_status rc = announce_again(b, err);

    clear(b);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(b->db, FILEPROC_TX_READONLY, look_body, &found, err);
    if (rc < 0 || !found)
        return rc;
    rc = take_lease(b, err);
    if (rc < 0 || !b->lease_until_ms)
        return rc;
    rc = fp_database_transact(b->db, FILEPROC_TX_READONLY, read_body, b, err);
    if (rc < 0)
        clear(b);
    return rc;
}

/* A short last group repeats its last id: one statement text for all. */
static fp_status mark_group(const lease_call *c, fp_tx *tx, size_t from, fp_error *err)
{
    fp_value params[1 + MARKED_AT_ONCE] = { FILEPROC_V_INT(c->now) };

    for (size_t i = 0; i < MARKED_AT_ONCE; i++) {
        size_t at = from + i < c->sent ? from + i : c->sent - 1;

        params[1 + i] = (fp_value)FILEPROC_V_TEXT(c->b->events[at].id);
    }
    return fp_tx_exec(tx,
                      "UPDATE outbox SET sent_at = $1 WHERE id IN ($2, $3, $4, $5, $6, $7, $8, $9,"
                      " $10, $11, $12, $13, $14, $15, $16, $17)",
                      params, 1 + MARKED_AT_ONCE, NULL, err);
}

static fp_status sent_body(fp_tx *tx, void *user_data, fp_error *err)
{
    lease_call *c = user_data;
    fp_status rc = hold(c->b, tx, c->now, &c->ours, err);

    for (size_t at = 0; rc == FILEPROC_OK && at < c->sent; at += MARKED_AT_ONCE)
        rc = mark_group(c, tx, at, err);
    return rc;
}

fp_status fpi_outbox_sent(fpi_outbox_batch *b, size_t count, fp_error *err)
{
    lease_call call = { .b = b, .now = fpi_now_ms(b->ctx), .sent = count };
    fp_status rc;

    if (!count)
        return FILEPROC_OK;
    rc = fp_database_transact(b->db, 0, sent_body, &call, err);
    if (rc == FILEPROC_OK)
        note_lease(b, &call);
    return rc;
}
