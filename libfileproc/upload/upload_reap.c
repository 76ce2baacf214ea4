/* Owns: clearing away: sessions whose time is over, what is staged for nobody, old tombstones.
 * Must not know: how uploads grow. docs/internals/uploads.md tells what can be left behind, and by what it is found. */
#include <string.h>

#include "core/options.h"
#include "upload/lease_rows.h"
#include "upload/upload_private.h"

/* Sessions in one transaction. */
#define BATCH 200u
#define PAGE 500u
#define FORGET_BATCH 1000
/* From its first request to the one that makes it known, an upload at a server takes moments; a retry may take long. */
#define SERVER_GRACE_MS (INT64_C(3600) * 1000)

/* One pass of the reaper. A failure does not keep it from the rest; the first one is what the caller hears of. */
typedef struct pass {
    fp_uploads *ups;
    int64_t now_ms, grace_ms;
    fp_reaped did;
    fp_status rc;
    fp_error *err;
} pass;

static void note_failure(pass *p, fp_status rc, const fp_error *e)
{
    if (rc >= 0 || p->rc < 0)
        return;
    p->rc = rc;
    if (p->err)
        *p->err = *e;
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
    candidate items[BATCH];
} batch;

static fp_status find_body(fp_tx *tx, void *user_data, fp_error *err)
{
    batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_INT(b->now_ms), FILEPROC_V_INT(b->after_ms),
                                FILEPROC_V_TEXT(b->after_id), FILEPROC_V_INT(BATCH) };
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
           b->count < BATCH) {
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

static void discard(pass *p, fpi_session *s)
{
    fp_error e = { 0 };
    fp_status rc = fpi_session_discard(p->ups, s, &e);

    note_failure(p, rc, &e);
    if (rc == FILEPROC_OK)
        p->did.discarded++;
}

/* Whoever has opened the session meanwhile learns that it has ended. */
static void end_claimed(pass *p, const candidate *c, bool expired)
{
    if (expired) {
        memcpy(c->session->file_id, c->file_id, sizeof(c->file_id));
        fpi_session_end(p->ups, c->session, FPI_UPLOAD_EXPIRED, NULL);
        p->did.expired++;
        discard(p, c->session);
    }
    fpi_session_unclaim(p->ups, c->session);
}

static fp_status expire_batch(pass *p, batch *b, fp_error *err)
{
    fp_status rc;

    b->count = 0;
    rc = fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, find_body, b, err);
    if (rc == FILEPROC_OK && b->count)
        rc = claim_all(b, err);
    if (rc == FILEPROC_OK && b->count)
        rc = fp_database_transact(p->ups->db, 0, expire_body, b, err);
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].session)
            end_claimed(p, &b->items[i], rc == FILEPROC_OK && b->items[i].changed);
    if (b->count) {
        b->after_ms = b->items[b->count - 1].expires_at_ms;
        memcpy(b->after_id, b->items[b->count - 1].id, sizeof(b->after_id));
    }
    return rc;
}

static void expire(pass *p)
{
    batch *b = fpi_calloc(&p->ups->ctx->a, 1, sizeof(*b));
    fp_error e = { 0 };
    fp_status rc;

    if (!b) {
        note_failure(p, fpi_no_memory(&e), &e);
        return;
    }
    b->ups = p->ups;
    b->now_ms = p->now_ms;
    b->after_ms = INT64_MIN;
    do
        rc = expire_batch(p, b, &e);
    while (rc == FILEPROC_OK && b->count == BATCH);
    note_failure(p, rc, &e);
    fpi_free(&p->ups->ctx->a, b);
}

/* ---- what is staged for nobody ---- */

typedef struct staged {
    fpi_upload_state state;
    bool known; /* there is a row */
    char file_id[FPI_UUID_SIZE];
} staged;

typedef struct lookup {
    const fp_storage_list_page *page;
    staged *found; /* one per name */
} lookup;

/* Of the columns status and file_id, from `first` on. */
static fp_status take_staged(fp_rows *rows, uint32_t first, staged *out, fp_error *err)
{
    const char *file_id = fp_rows_text(rows, first + 1);

    out->known = fpi_uuid_valid(file_id);
    if (out->known)
        memcpy(out->file_id, file_id, sizeof(out->file_id));
    return fpi_upload_state_read(fp_rows_text(rows, first), &out->state, err);
}

static fp_status look_up(fp_tx *tx, const char *id, staged *out, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    *out = (staged){ .known = false };
    rc =
        fp_tx_query(tx, "SELECT status, file_id FROM uploads WHERE id = $1", params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc < 0 || !more ? rc : take_staged(rows, 0, out, err);
}

static fp_status look_up_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const lookup *l = user_data;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < l->page->count; i++)
        rc = look_up(tx, l->page->names[i], &l->found[i], err);
    return rc;
}

/* Left behind by a crash, or by a failure to remove it. */
static fp_status discard_ended(pass *p, const char *id, const staged *row, fp_error *err)
{
    fpi_session *s;
    fp_status rc = fpi_session_claim(p->ups, id, &s, err);

    if (rc < 0 || !s)
        return rc;
    memcpy(s->file_id, row->file_id, sizeof(s->file_id));
    pthread_mutex_lock(&s->lock);
    s->loaded =
        false; /* who wants to know more reads the row; before anybody sees that it has ended */
    pthread_mutex_unlock(&s->lock);
    fpi_session_end(p->ups, s, row->state, NULL);
    discard(p, s);
    fpi_session_unclaim(p->ups, s);
    return FILEPROC_OK;
}

/* Somebody else's, who may still be at work on it: results of running jobs are staged, too. Only its age tells. */
static fp_status discard_stray(pass *p, const char *id, int64_t modified_ms, fp_error *err)
{
    fp_status rc;

    if (p->now_ms - modified_ms < p->grace_ms)
        return FILEPROC_OK;
    rc = fp_storage_discard(p->ups->st, id, err);
    if (rc == FILEPROC_OK)
        p->did.discarded++;
    return rc;
}

static fp_status reap_page(pass *p, const fp_storage_list_page *page, fp_error *err)
{
    staged *found = fpi_calloc(&p->ups->ctx->a, page->count + 1, sizeof(*found));
    lookup l = { page, found };
    fp_status rc;

    if (!found)
        return fpi_no_memory(err);
    rc = fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, look_up_body, &l, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < page->count; i++) {
        fp_error e = { 0 };
        fp_status one = FILEPROC_OK;

        if (!found[i].known)
            one = discard_stray(p, page->names[i], page->modified_ms[i], &e);
        else if (found[i].state != FPI_UPLOAD_OPEN)
            one = discard_ended(p, page->names[i], &found[i], &e);
        note_failure(p, one, &e);
    }
    fpi_free(&p->ups->ctx->a, found);
    return rc;
}

/* The rows are looked for after the names: a session's row is there before anything is staged for it. */
static void reap_staged(pass *p)
{
    char cursor[FPI_KEY_SEGMENT_MAX + 1] = "";
    fp_error e = { 0 };
    fp_status rc = FILEPROC_OK;
    bool more = true;

    while (rc == FILEPROC_OK && more) {
        FPI_CLEANUP(fp_storage_list_page) page = NULL;

        rc = fp_storage_list_staged(p->ups->st, *cursor ? cursor : NULL, PAGE, &page, &e);
        if (rc == FILEPROC_OK)
            rc = reap_page(p, page, &e);
        more = rc == FILEPROC_OK && page->next;
        if (more)
            memcpy(cursor, page->next, strlen(page->next) + 1);
    }
    note_failure(p, rc, &e);
}

/* ---- what is stored for sessions that ended without a file ---- */

typedef struct remains {
    size_t count;
    char after[FPI_UUID_SIZE];
    struct {
        char id[FPI_UUID_SIZE];
        staged row;
    } items[BATCH];
} remains;

static fp_status find_remains_body(fp_tx *tx, void *user_data, fp_error *err)
{
    remains *r = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(r->after), FILEPROC_V_INT(BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    r->count = 0;
    rc = fp_tx_query(
        tx,
        "SELECT id, status, file_id FROM uploads WHERE status IN ('failed', 'cancelled',"
        " 'expired') AND cleared_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
        params, 2, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more &&
           r->count < BATCH) {
        const char *id = fp_rows_text(rows, 0);

        if (!fpi_uuid_valid(id))
            return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of an upload makes no sense");
        memcpy(r->items[r->count].id, id, FPI_UUID_SIZE);
        rc = take_staged(rows, 1, &r->items[r->count].row, err);
        r->count++;
    }
    return rc;
}

static fp_status clear_batch(pass *p, remains *r, fp_error *err)
{
    fp_status rc =
        fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, find_remains_body, r, err);

    for (size_t i = 0; rc == FILEPROC_OK && i < r->count; i++) {
        fp_error e = { 0 };

        note_failure(p, discard_ended(p, r->items[i].id, &r->items[i].row, &e), &e);
        memcpy(r->after, r->items[i].id, FPI_UUID_SIZE);
    }
    return rc;
}

/* Most were cleared when they ended; the index knows the others. */
static void clear_remains(pass *p)
{
    remains *r = fpi_calloc(&p->ups->ctx->a, 1, sizeof(*r));
    fp_error e = { 0 };
    fp_status rc;

    if (!r) {
        note_failure(p, fpi_no_memory(&e), &e);
        return;
    }
    do
        rc = clear_batch(p, r, &e);
    while (rc == FILEPROC_OK && r->count == BATCH);
    note_failure(p, rc, &e);
    fpi_free(&p->ups->ctx->a, r);
}

/* What a crash has left at a server where no list of ours shows it. It has no session, and by its age none will come. The keys
 * may not be allowed to look for it, and nothing of an upload depends on it: so a failure is only told. */
static void reap_server(const pass *p)
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
static void forget(pass *p)
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
    note_failure(p, rc, &e);
}

static void forget_leases(pass *p)
{
    fp_error e = { 0 };

    if (p->ups->lease_rows)
        note_failure(p, fpi_lease_rows_forget(p->ups->db, &e), &e);
}

static fp_status count_body(fp_tx *tx, void *user_data, fp_error *err)
{
    uint64_t *count = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT COUNT(*) FROM uploads WHERE status = 'open'", NULL, 0, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK)
        *count = (uint64_t)fp_rows_int64(rows, 0);
    return rc;
}

static void count_open(pass *p)
{
    fp_error e = { 0 };
    fp_status rc =
        fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, count_body, &p->did.open, &e);

    note_failure(p, rc, &e);
}

fp_status fp_uploads_reap(fp_uploads *ups, int64_t grace_ms, fp_reaped *did, fp_error *err)
{
    pass p = { .ups = ups, .grace_ms = grace_ms, .did = FILEPROC_REAPED_INIT, .err = err };

    if (!ups || grace_ms < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    p.now_ms = fpi_now_ms(ups->ctx);
    expire(&p);
    reap_staged(&p);
    clear_remains(&p);
    reap_server(&p);
    forget(&p);
    forget_leases(&p);
    count_open(&p);
    if (p.rc < 0 || !did)
        return p.rc;
    return fpi_options_export(did, &p.did, sizeof(p.did), err);
}
