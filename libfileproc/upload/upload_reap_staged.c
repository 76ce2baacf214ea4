/* Owns: clearing away what is stored for uploads that have ended, or for nobody.
 * Must not know: when an upload ends. docs/internals/uploads.md tells what can be left behind, and by what it is found. */
#include <string.h>

#include "upload/upload_reap.h"

#define PAGE 500u

/* ---- what is staged for nobody ---- */

typedef struct staged {
    fpi_upload_state state;
    bool known;   /* there is a row */
    bool cleared; /* of one that ended without a file: fpi_reap_remains() doesn't see it */
    int64_t expires_at_ms;
    char file_id[FPI_UUID_SIZE];
} staged;

typedef struct lookup {
    const fp_storage_list_page *page;
    staged *found; /* one per name */
} lookup;

/* Of the columns status, file_id, expires_at and cleared_at, from `first` on. */
static fp_status take_staged(fp_rows *rows, uint32_t first, staged *out, fp_error *err)
{
    const char *file_id = fp_rows_text(rows, first + 1);

    out->known = fpi_uuid_valid(file_id);
    if (out->known)
        memcpy(out->file_id, file_id, sizeof(out->file_id));
    out->expires_at_ms = fp_rows_int64(rows, first + 2);
    out->cleared = fp_rows_int64(rows, first + 3) != 0;
    return fpi_upload_state_read(fp_rows_text(rows, first), &out->state, err);
}

static fp_status look_up(fp_tx *tx, const char *id, staged *out, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    *out = (staged){ .known = false };
    rc = fp_tx_query(
        tx,
        "SELECT status, file_id, expires_at, COALESCE(cleared_at, 0) FROM uploads WHERE id = $1",
        params, 1, &rows, err);
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

static void count(fpi_reap_pass *p, uint64_t bytes)
{
    p->did.discarded++;
    p->did.bytes += bytes;
}

/* Of an upload that has become a file what is staged has its bytes no more. */
static uint64_t own_bytes(const staged *row, uint64_t bytes)
{
    return row->state == FPI_UPLOAD_COMPLETED ? 0 : bytes;
}

/* By this pass, by a failure to remove it, or by a crash. */
static fp_status discard_ended(fpi_reap_pass *p, const char *id, const staged *row, uint64_t bytes,
                               fp_error *err)
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
    rc = fpi_session_discard(p->ups, s, err);
    if (rc == FILEPROC_OK)
        count(p, own_bytes(row, bytes));
    fpi_session_unclaim(p->ups, s);
    return rc;
}

/* Somebody else's, who may still be at work on it: results of running jobs are staged, too. Only its age tells. */
static fp_status discard_stray(fpi_reap_pass *p, const char *id, uint64_t bytes,
                               int64_t modified_ms, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (p->now_ms - modified_ms < p->grace_ms)
        return FILEPROC_OK;
    if (p->dry)
        fpi_reap_report(p, FILEPROC_REAP_STAGED, id, bytes, modified_ms);
    else
        rc = fp_storage_discard(p->ups->st, id, err);
    if (rc == FILEPROC_OK)
        count(p, bytes);
    return rc;
}

/* Those that are found by their rows, too, are counted there. */
static void preview(fpi_reap_pass *p, const fp_storage_list_page *page, size_t i, const staged *row)
{
    uint64_t bytes = own_bytes(row, page->sizes[i]);

    if (row->state == FPI_UPLOAD_OPEN && row->expires_at_ms > p->now_ms)
        return;
    fpi_reap_report(p, FILEPROC_REAP_STAGED, page->names[i], bytes, page->modified_ms[i]);
    if (row->state == FPI_UPLOAD_COMPLETED || row->cleared)
        count(p, bytes);
    else
        p->did.bytes += bytes;
}

static fp_status reap_page(fpi_reap_pass *p, const fp_storage_list_page *page, fp_error *err)
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
            one = discard_stray(p, page->names[i], page->sizes[i], page->modified_ms[i], &e);
        else if (p->dry)
            preview(p, page, i, &found[i]);
        else if (found[i].state != FPI_UPLOAD_OPEN)
            one = discard_ended(p, page->names[i], &found[i], page->sizes[i], &e);
        fpi_reap_note_failure(p, one, &e);
    }
    fpi_free(&p->ups->ctx->a, found);
    return rc;
}

/* The rows are looked for after the names: a session's row is there before anything is staged for it. */
void fpi_reap_staged(fpi_reap_pass *p)
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
    fpi_reap_note_failure(p, rc, &e);
}

/* ---- what is stored for sessions that ended without a file ---- */

typedef struct remains {
    size_t count;
    char after[FPI_UUID_SIZE];
    struct {
        char id[FPI_UUID_SIZE];
        staged row;
    } items[FPI_REAP_BATCH];
} remains;

static fp_status find_remains_body(fp_tx *tx, void *user_data, fp_error *err)
{
    remains *r = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(r->after), FILEPROC_V_INT(FPI_REAP_BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    r->count = 0;
    rc = fp_tx_query(
        tx,
        "SELECT id, status, file_id, expires_at, 0 FROM uploads WHERE status IN ('failed', 'cancelled',"
        " 'expired') AND cleared_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
        params, 2, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more &&
           r->count < FPI_REAP_BATCH) {
        const char *id = fp_rows_text(rows, 0);

        if (!fpi_uuid_valid(id))
            return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of an upload makes no sense");
        memcpy(r->items[r->count].id, id, FPI_UUID_SIZE);
        rc = take_staged(rows, 1, &r->items[r->count].row, err);
        r->count++;
    }
    return rc;
}

static fp_status clear(fpi_reap_pass *p, const char *id, const staged *row, fp_error *err)
{
    uint64_t bytes = fpi_reap_object_bytes(p, row->file_id);

    if (!p->dry)
        return discard_ended(p, id, row, bytes, err);
    if (bytes)
        fpi_reap_report(p, FILEPROC_REAP_STAGED, id, bytes, row->expires_at_ms);
    count(p, bytes);
    return FILEPROC_OK;
}

static fp_status clear_batch(fpi_reap_pass *p, remains *r, fp_error *err)
{
    fp_status rc =
        fp_database_transact(p->ups->db, FILEPROC_TX_READONLY, find_remains_body, r, err);

    for (size_t i = 0; rc == FILEPROC_OK && i < r->count; i++) {
        fp_error e = { 0 };

        fpi_reap_note_failure(p, clear(p, r->items[i].id, &r->items[i].row, &e), &e);
        memcpy(r->after, r->items[i].id, FPI_UUID_SIZE);
    }
    return rc;
}

/* Most were cleared when they ended; the index knows the others. */
void fpi_reap_remains(fpi_reap_pass *p)
{
    remains *r = fpi_calloc(&p->ups->ctx->a, 1, sizeof(*r));
    fp_error e = { 0 };
    fp_status rc;

    if (!r) {
        fpi_reap_note_failure(p, fpi_no_memory(&e), &e);
        return;
    }
    do
        rc = clear_batch(p, r, &e);
    while (rc == FILEPROC_OK && r->count == FPI_REAP_BATCH);
    fpi_reap_note_failure(p, rc, &e);
    fpi_free(&p->ups->ctx->a, r);
}
