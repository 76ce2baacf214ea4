/* Owns: clearing away: sessions whose time is over, what is staged for nobody, old tombstones.
 * Must not know: how uploads grow. docs/internals/uploads.md tells what can be left behind, and by what it is found. */
#include <string.h>

#include "core/options.h"
#include "upload/lease_rows.h"
#include "upload/owner_quota.h"
#include "upload/upload_concat.h"
#include "upload/upload_reap.h"

#define FORGET_BATCH 1000
/* From its first request to the one that makes it known, an upload at a server takes moments; a retry may take long. */
#define SERVER_GRACE_MS (INT64_C(3600) * 1000)

void fpi_reap_note_failure(fpi_reap_pass *p, fp_status rc, const fp_error *e)
{
    if (rc >= 0 || p->rc < 0)
        return;
    p->rc = rc;
    if (p->err)
        *p->err = *e;
}

void fpi_reap_report(fpi_reap_pass *p, int32_t kind, const char *id, uint64_t bytes,
                     int64_t time_ms)
{
    const fp_reap_item item = { sizeof(item), kind, 0, id, bytes, time_ms };

    if (p->fn)
        p->fn(p->user_data, &item);
}

uint64_t fpi_reap_object_bytes(const fpi_reap_pass *p, const char *file_id)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    char key[FPI_UPLOAD_KEY_SIZE];

    fpi_upload_key(file_id, key);
    return fp_storage_stat(p->ups->st, key, &info, NULL) == FILEPROC_OK ? info.size : 0;
}

/* ---- sessions whose time is over ---- */

typedef struct candidate {
    char id[FPI_UUID_SIZE];
    char file_id[FPI_UUID_SIZE];
    int64_t expires_at_ms;
    fpi_session *session; /* claimed; NULL: somebody works on it, so it is left for the next pass */
    bool changed;
} candidate;

typedef struct batch {
    fp_uploads *ups;
    int64_t now_ms;
    size_t count;
    int64_t after_ms; /* behind this one in the order of expiry */
    char after_id[FPI_UUID_SIZE];
    candidate items[FPI_REAP_BATCH];
} batch;

static fp_status find_body(fp_tx *tx, void *user_data, fp_error *err)
{
    batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_INT(b->now_ms), FILEPROC_V_INT(b->after_ms),
                                FILEPROC_V_TEXT(b->after_id), FILEPROC_V_INT(FPI_REAP_BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    b->count = 0;
    rc = fp_tx_query(tx,
                     "SELECT id, file_id, expires_at FROM uploads WHERE status = 'open'"
                     " AND expires_at <= $1 AND (expires_at, id) > ($2, $3)"
                     " ORDER BY expires_at, id LIMIT $4",
                     params, 4, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more &&
           b->count < FPI_REAP_BATCH) {
        candidate *c = &b->items[b->count];
        const char *id = fp_rows_text(rows, 0), *file_id = fp_rows_text(rows, 1);

        *c = (candidate){ .expires_at_ms = fp_rows_int64(rows, 2) };
        if (!fpi_uuid_valid(id) || !fpi_uuid_valid(file_id))
            return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of an upload makes no sense");
        memcpy(c->id, id, sizeof(c->id));
        memcpy(c->file_id, file_id, sizeof(c->file_id));
        b->count++;
    }
    return rc;
}

static fp_status expire_body(fp_tx *tx, void *user_data, fp_error *err)
{
    batch *b = user_data;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < b->count; i++) {
        candidate *c = &b->items[i];
        uint64_t changed = 0;

        if (!c->session)
            continue;
        rc = fpi_upload_row_expire(tx, c->id, b->now_ms, &changed, err);
        c->changed = changed != 0;
    }
    return rc;
}

static fp_status claim_all(batch *b, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < b->count; i++)
        rc = fpi_session_claim(b->ups, b->items[i].id, &b->items[i].session, err);
    return rc;
}

/* Whoever has opened the session meanwhile learns that it has ended. Its bytes go with those of all that have, where their number is
 * known. */
static void end_claimed(fpi_reap_pass *p, const candidate *c, bool expired)
{
    if (expired) {
        memcpy(c->session->file_id, c->file_id, sizeof(c->file_id));
        fpi_session_end(p->ups, c->session, FPI_UPLOAD_EXPIRED, NULL);
        pthread_mutex_lock(&c->session->lock);
        c->session->staged = false;
        pthread_mutex_unlock(&c->session->lock);
        p->did.expired++;
    }
    fpi_session_unclaim(p->ups, c->session);
}

static fp_status end_all(fpi_reap_pass *p, batch *b, fp_error *err)
{
    fp_status rc = claim_all(b, err);

    if (rc == FILEPROC_OK)
        rc = fp_database_transact(p->ups->db, 0, expire_body, b, err);
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].session)
            end_claimed(p, &b->items[i], rc == FILEPROC_OK && b->items[i].changed);
    return rc;
}

static void preview_all(fpi_reap_pass *p, const batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        uint64_t bytes = fpi_reap_object_bytes(p, b->items[i].file_id);

        fpi_reap_report(p, FILEPROC_REAP_EXPIRED, b->items[i].id, bytes, b->items[i].expires_at_ms);
        p->did.expired++;
        p->did.discarded++;
        p->did.bytes += bytes;
    }
}

static fp_status expire_batch(fpi_reap_pass *p, batch *b, fp_error *err)
{
    fp_status rc;

    b->count = 0;
    rc = fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, find_body, b, err);
    if (rc == FILEPROC_OK && p->dry)
        preview_all(p, b);
    else if (rc == FILEPROC_OK && b->count)
        rc = end_all(p, b, err);
    if (b->count) {
        b->after_ms = b->items[b->count - 1].expires_at_ms;
        memcpy(b->after_id, b->items[b->count - 1].id, sizeof(b->after_id));
    }
    return rc;
}

static void expire(fpi_reap_pass *p)
{
    batch *b = fpi_calloc(&p->ups->ctx->a, 1, sizeof(*b));
    fp_error e = { 0 };
    fp_status rc;

    if (!b) {
        fpi_reap_note_failure(p, fpi_no_memory(&e), &e);
        return;
    }
    b->ups = p->ups;
    b->now_ms = p->now_ms;
    b->after_ms = INT64_MIN;
    do
        rc = expire_batch(p, b, &e);
    while (rc == FILEPROC_OK && b->count == FPI_REAP_BATCH);
    fpi_reap_note_failure(p, rc, &e);
    fpi_free(&p->ups->ctx->a, b);
}

/* Who put them off has been answered, and does not come again: a crash, or a failure, was in between. One that can't be
 * completed now is tried again, or expires. */
static void complete_waiting(const fpi_reap_pass *p)
{
    char after[FPI_UUID_SIZE] = "";

    do {
        fp_error e = { 0 };

        if (fpi_concat_complete_batch(p->ups, after, &e) < 0)
            fpi_log(p->ups->ctx, FILEPROC_LOG_WARN, "upload", "an upload in pieces: %s", e.message);
    } while (*after);
}

/* What a crash has left at a server where no list of ours shows it. It has no session, and by its age none will come. The keys
 * may not be allowed to look for it, and nothing of an upload depends on it: so a failure is only told. */
static void reap_server(const fpi_reap_pass *p)
{
    fp_error e = { 0 };

    if (fp_storage_reap(p->ups->st, p->grace_ms > SERVER_GRACE_MS ? p->grace_ms : SERVER_GRACE_MS,
                        NULL, &e) < 0)
        fpi_log(p->ups->ctx, FILEPROC_LOG_WARN, "upload", "remnants at the server: %s", e.message);
}

/* ---- tombstones ---- */

typedef struct forget_call {
    int64_t before_ms;
    uint64_t forgotten;
} forget_call;

static fp_status forget_body(fp_tx *tx, void *user_data, fp_error *err)
{
    forget_call *call = user_data;
    const fp_value params[] = { FILEPROC_V_INT(call->before_ms), FILEPROC_V_INT(FORGET_BATCH) };

    return fp_tx_exec(tx,
                      "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads"
                      " WHERE status <> 'open' AND updated_at < $1 LIMIT $2)",
                      params, 2, &call->forgotten, err);
}

/* Not after a failure: a row says which object may have been published in vain for what is still staged. */
static void forget(fpi_reap_pass *p)
{
    forget_call call = { p->now_ms - p->ups->tombstone_ms, 0 };
    fp_error e = { 0 };
    fp_status rc;

    if (p->rc < 0)
        return;
    do {
        rc = fp_database_transact(p->ups->db, 0, forget_body, &call, &e);
        if (rc == FILEPROC_OK)
            p->did.forgotten += call.forgotten;
    } while (rc == FILEPROC_OK && call.forgotten == FORGET_BATCH);
    fpi_reap_note_failure(p, rc, &e);
}

static void forget_leases(fpi_reap_pass *p)
{
    fp_error e = { 0 };

    if (p->ups->lease_rows)
        fpi_reap_note_failure(p, fpi_lease_rows_forget(p->ups->db, &e), &e);
}

static void forget_owners(fpi_reap_pass *p)
{
    fp_error e = { 0 };

    fpi_reap_note_failure(p, fpi_owner_quota_forget(p->ups, &e), &e);
}

typedef struct tally {
    int64_t before_ms;
    uint64_t old, open;
} tally;

static fp_status count_body(fp_tx *tx, void *user_data, fp_error *err)
{
    tally *t = user_data;
    const fp_value params[] = { FILEPROC_V_INT(t->before_ms) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx,
                     "SELECT (SELECT COUNT(*) FROM uploads WHERE status = 'open'),"
                     " (SELECT COUNT(*) FROM uploads WHERE status <> 'open' AND updated_at < $1)",
                     params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK) {
        t->open = (uint64_t)fp_rows_int64(rows, 0);
        t->old = (uint64_t)fp_rows_int64(rows, 1);
    }
    return rc;
}

/* Dry: those that would be forgotten, too, and without those that would expire. */
static void count_rows(fpi_reap_pass *p)
{
    tally t = { p->now_ms - p->ups->tombstone_ms, 0, 0 };
    fp_error e = { 0 };
    fp_status rc = fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, count_body, &t, &e);

    fpi_reap_note_failure(p, rc, &e);
    p->did.open = t.open;
    if (!p->dry)
        return;
    p->did.forgotten = t.old;
    p->did.open -= p->did.expired < t.open ? p->did.expired : t.open;
}

/* What was done is told also when something else failed. */
static fp_status finish(const fpi_reap_pass *p, fp_reaped *did)
{
    fp_status rc = did ? fpi_options_export(did, &p->did, sizeof(p->did), p->err) : FILEPROC_OK;

    return p->rc < 0 ? p->rc : rc;
}

fp_status fp_uploads_reap(fp_uploads *ups, int64_t grace_ms, fp_reaped *did, fp_error *err)
{
    fpi_reap_pass p = { .ups = ups, .grace_ms = grace_ms, .did = FILEPROC_REAPED_INIT, .err = err };

    if (!ups || grace_ms < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    p.now_ms = fpi_now_ms(ups->ctx);
    complete_waiting(&p);
    expire(&p);
    fpi_reap_staged(&p);
    fpi_reap_remains(&p);
    reap_server(&p);
    forget(&p);
    forget_leases(&p);
    forget_owners(&p);
    count_rows(&p);
    return finish(&p, did);
}

fp_status fp_uploads_reap_dry_run(fp_uploads *ups, int64_t grace_ms, fp_reap_fn fn, void *user_data,
                                  fp_reaped *would, fp_error *err)
{
    fpi_reap_pass p = { .ups = ups,
                        .grace_ms = grace_ms,
                        .dry = true,
                        .fn = fn,
                        .user_data = user_data,
                        .did = FILEPROC_REAPED_INIT,
                        .err = err };

    if (!ups || grace_ms < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    p.now_ms = fpi_now_ms(ups->ctx);
    expire(&p);
    fpi_reap_staged(&p);
    fpi_reap_remains(&p);
    count_rows(&p);
    return finish(&p, would);
}
