/* Owns: what a session in memory knows of its upload: reading it from row and part record, keeping it right, its end.
 * Must not know: how chunks are written. */
#include "upload/upload_session.h"

#include <string.h>
#include <time.h>

#include "upload/upload_concat.h"
#include "upload/upload_lease.h"
#include "upload/upload_private.h"
#include "upload/upload_verify.h"

/* For as long as those are waited for that began before another engine had the upload. */
#define PATIENCE_MS 2000
#define PAUSE_MS 5

#define READ_SIZE (64u * 1024u)

void fpi_session_wait(fpi_session *s)
{
    while (s->busy)
        pthread_cond_wait(&s->calmer, &s->lock);
}

void fpi_session_enter(fpi_session *s)
{
    s->busy = true;
    pthread_mutex_unlock(&s->lock);
}

/* With the lock held. Behind a network removing is a handful of requests, for which whoever completes would have to wait. */
static void leave_to_reaper(const fp_uploads *ups, fpi_session *s)
{
    if (s->state == FPI_UPLOAD_COMPLETED && (ups->st->flags & FILEPROC_STORAGE_DRIVER_NETWORK))
        s->staged = false;
}

void fpi_session_leave(fp_uploads *ups, fpi_session *s)
{
    pthread_mutex_lock(&s->lock);
    leave_to_reaper(ups, s);
    while (s->state != FPI_UPLOAD_OPEN && s->staged && s->pins == 0) {
        pthread_mutex_unlock(&s->lock);
        (void)fpi_session_discard(ups, s, NULL); /* else the reaper does */
        pthread_mutex_lock(&s->lock);
    }
    s->busy = false;
    pthread_cond_broadcast(&s->calmer);
}

/* ---- what is durable ---- */

/* What the part record says, read before anybody sees it. */
typedef struct progress {
    const fp_context *ctx;
    fpi_ranges durable;
    uint64_t bytes, hashed;
    int64_t touched_ms;
    fpi_digest sha256;
} progress;

static void progress_dispose(progress *p)
{
    fpi_ranges_dispose(&p->durable, &p->ctx->a);
}
FPI_DEFINE_DISPOSE(progress, progress_dispose)

static void progress_init(progress *p, const fp_context *ctx)
{
    *p = (progress){ .ctx = ctx };
    fpi_digest_init(&p->sha256, FPI_DIGEST_SHA256);
}

/* How many chunks lie wholly in a range. The last one may be short; of an upload without a size nobody knows yet. */
static uint64_t chunks_in(const fp_upload *facts, uint64_t begin, uint64_t end)
{
    uint64_t first = fpi_upload_chunks(begin, facts->chunk_size);
    uint64_t behind = end / facts->chunk_size;

    if (!facts->size_unknown && end >= facts->size)
        behind = facts->total_chunks;
    return behind > first ? behind - first : 0;
}

uint64_t fpi_session_count_chunks(const fpi_session *s)
{
    uint64_t chunks = 0;

    for (size_t i = 0; i < s->durable.count; i++)
        chunks += chunks_in(s->facts, s->durable.at[i].begin, s->durable.at[i].end);
    return chunks;
}

/* A note is the state of the digest behind its part; the one that is farthest on counts. */
static void take_note(progress *p, const fp_part_info *part)
{
    uint64_t end = part->offset + part->length;
    fpi_digest state;

    if (part->note_size == FPI_SHA256_STATE_SIZE && end > p->hashed &&
        fpi_sha256_load(&state, part->note, NULL) == FILEPROC_OK) {
        p->sha256 = state;
        p->hashed = end;
    }
}

static fp_status take_part(progress *p, const fp_upload *facts, const fp_part_info *part,
                           fp_error *err)
{
    uint64_t end = part->offset + part->length;
    fp_status rc;

    if (!facts->size_unknown && end > facts->size)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "a part reaches beyond its upload");
    rc = fpi_ranges_reserve(&p->durable, &p->ctx->a, 1, err);
    if (rc < 0)
        return rc;
    (void)fpi_ranges_add(&p->durable, part->offset, end);
    p->bytes += part->length;
    if (part->committed_ms > p->touched_ms)
        p->touched_ms = part->committed_ms;
    take_note(p, part);
    return FILEPROC_OK;
}

static fp_status read_parts(progress *p, const fp_assembly *a, const fp_upload *facts,
                            fp_error *err)
{
    size_t count = fp_assembly_part_count(a);
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fp_part_info part = FILEPROC_PART_INFO_INIT;

        rc = fp_assembly_part_at(a, i, &part, err);
        if (rc == FILEPROC_OK)
            rc = take_part(p, facts, &part, err);
    }
    return rc;
}

/* A part that is the whole file has no note when its process died: storage keeps no record of it. */
static fp_status hash_sole_part(progress *p, fp_assembly *a, const fp_upload *facts, fp_error *err)
{
    unsigned char *bytes;
    size_t got = 1;
    fp_status rc = FILEPROC_OK;

    if (fp_assembly_part_count(a) != 1 || p->bytes != facts->size || p->hashed)
        return FILEPROC_OK;
    bytes = fpi_alloc(&p->ctx->a, READ_SIZE);
    if (!bytes)
        return fpi_no_memory(err);
    while (rc == FILEPROC_OK && got) {
        rc = fp_assembly_read(a, p->hashed, bytes, READ_SIZE, &got, err);
        if (rc == FILEPROC_OK) {
            fpi_digest_update(&p->sha256, bytes, got);
            p->hashed += got;
        }
    }
    fpi_free(&p->ctx->a, bytes);
    return rc;
}

/* With the lock held. The old ranges go to p. */
static void adopt(fpi_session *s, progress *p)
{
    fpi_ranges old = s->durable;

    s->durable = p->durable;
    s->parts_read = true;
    p->durable = old;
    s->chunks = fpi_session_count_chunks(s);
    s->bytes = p->bytes;
    s->touched_ms = p->touched_ms;
    s->sha256 = p->sha256;
    s->hashed = p->hashed;
}

/* By whoever is busy. */
static fp_status open_assembly(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_CLEANUP(fp_assembly) a = NULL;
    FPI_DISPOSE(progress) p = { .ctx = ups->ctx };
    char key[FPI_UPLOAD_KEY_SIZE];
    fp_status rc;

    progress_init(&p, ups->ctx);
    fpi_upload_key(s->file_id, key);
    fp_assembly_close(fpi_steal(&s->assembly)); /* no second handle */
    rc = fp_assembly_open(ups->st, s->id, FILEPROC_ASSEMBLY_CREATE, &a, err);
    /* What is never published has no target, and can be read where other staged bytes can't. */
    if (rc == FILEPROC_OK && !(s->facts->flags & FILEPROC_UPLOAD_PARTIAL))
        rc = fp_assembly_set_target(a, key, s->facts->size, err);
    if (rc == FILEPROC_OK)
        rc = read_parts(&p, a, s->facts, err);
    if (rc == FILEPROC_OK && !(ups->st->flags & FILEPROC_STORAGE_DRIVER_UNREADABLE))
        rc = hash_sole_part(&p, a, s->facts, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    adopt(s, &p);
    s->assembly = fpi_steal(&a);
    s->broken = false;
    pthread_mutex_unlock(&s->lock);
    return FILEPROC_OK;
}

/* ---- loading ---- */

static fp_status read_row(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_row) row = { .upload = NULL };
    fp_upload *old;
    fp_status rc = fpi_upload_row_read(ups, s->id, &row, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    old = s->facts;
    s->facts = fpi_steal(&row.upload);
    s->state = row.state;
    s->claimed = row.claimed;
    s->expires_ms = s->facts->expires_at_ms;
    s->staged = row.state == FPI_UPLOAD_OPEN;
    memcpy(s->file_id, row.file_id, sizeof(s->file_id));
    pthread_mutex_unlock(&s->lock);
    fp_upload_free(old);
    return FILEPROC_OK;
}

/* What was acknowledged is gone: nothing that the client could send again would make it whole. */
static fp_status give_up(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fpi_log(ups->ctx, FILEPROC_LOG_ERROR, "upload", "%s: what was stored is damaged", s->id);
    return fpi_session_close(ups, s, FPI_UPLOAD_FAILED, err);
}

/* What another engine is at work on may look damaged for a moment. */
static fp_status look_again_later(fp_error *err)
{
    fp_status rc = fp_error_setf(err, FILEPROC_ERR_BUSY, "another server works on the upload");

    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

/* What is read of a session. */
typedef enum depth {
    DEPTH_ROW,  /* enough until somebody works on it, when that may be another engine */
    DEPTH_LOOK, /* the record, too; another engine may be at work on it */
    DEPTH_WORK  /* we are the only ones */
} depth;

/* By whoever is busy. */
static fp_status load(fp_uploads *ups, fpi_session *s, depth how, fp_error *err)
{
    fp_status rc = s->loaded ? FILEPROC_OK : read_row(ups, s, err);

    if (rc == FILEPROC_OK && s->state == FPI_UPLOAD_OPEN && how != DEPTH_ROW &&
        (!s->assembly || s->broken)) {
        rc = open_assembly(ups, s, err);
        if (rc == FILEPROC_ERR_CORRUPT)
            rc = how == DEPTH_WORK ? give_up(ups, s, err) : look_again_later(err);
    }
    return rc;
}

/* With the lock held, which is let go meanwhile. Nobody is busy. */
static fp_status refresh(fp_uploads *ups, fpi_session *s, depth how, fp_error *err)
{
    fp_status rc;

    fpi_session_enter(s);
    rc = load(ups, s, how, err);
    fpi_session_leave(ups, s);
    s->loaded = s->loaded || rc == FILEPROC_OK;
    return rc;
}

fp_status fpi_session_open(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err)
{
    fpi_session *s;
    fp_status rc;

    if (!fpi_uuid_valid(id))
        return fpi_upload_not_found(err);
    rc = fpi_session_acquire(ups, id, &s, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    while (rc == FILEPROC_OK && !s->loaded) {
        if (s->busy)
            fpi_session_wait(s);
        else
            rc = refresh(ups, s, fpi_lease_is_shared(ups) ? DEPTH_ROW : DEPTH_WORK, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc < 0)
        fpi_session_release(ups, s);
    else
        *out = s;
    return rc;
}

fp_status fpi_session_new(fp_uploads *ups, const fp_upload *facts, const char *file_id,
                          fpi_session **out, fp_error *err)
{
    FPI_DISPOSE(progress) p = { .ctx = ups->ctx };
    fpi_session *s = fpi_session_blank(ups, facts->id);
    fp_status rc;

    if (!s)
        return fpi_no_memory(err);
    progress_init(&p, ups->ctx);
    rc = fpi_upload_copy(ups->ctx, facts, &s->facts, err);
    if (rc < 0) {
        fpi_session_drop(ups, s);
        return rc;
    }
    adopt(s, &p);
    memcpy(s->file_id, file_id, sizeof(s->file_id));
    s->expires_ms = facts->expires_at_ms;
    s->staged = true;
    *out = s;
    return FILEPROC_OK;
}

/* ---- who may work on it ---- */

static fp_status expired(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_UPLOAD_EXPIRED,
                            "the upload has expired");
}

fp_status fpi_session_check_open(const fp_uploads *ups, const fpi_session *s, fp_error *err)
{
    switch (s->state) {
    case FPI_UPLOAD_OPEN:
        break;
    case FPI_UPLOAD_COMPLETED:
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_COMPLETED,
                                "the upload is complete");
    case FPI_UPLOAD_CANCELLED:
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_CANCELLED,
                                "the upload was cancelled");
    case FPI_UPLOAD_FAILED:
        if (fpi_verify_has_failed(s->facts))
            return fpi_verify_mismatch(err);
        if (s->facts->flags & FILEPROC_UPLOAD_FINAL)
            return fpi_concat_lost(err);
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "what was stored of the upload is damaged");
    case FPI_UPLOAD_EXPIRED:
        return expired(err);
    }
    return fpi_now_ms(ups->ctx) >= s->expires_ms ? expired(err) : FILEPROC_OK;
}

static fp_status still_broken(fp_error *err)
{
    fp_status rc = fp_error_setf(
        err, FILEPROC_ERR_IO,
        "chunks that were under way when the disk failed, or another server took the upload over, must end first");

    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

/* Those that began before another engine had the upload end soon: their bytes are refused, and whoever can end them was told to. */
static bool wait_for_pins(const fp_uploads *ups, fpi_session *s, int64_t until)
{
    if (!fpi_lease_is_shared(ups) || fpi_monotonic_ms() >= until)
        return false;
    pthread_mutex_unlock(&s->lock);
    nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
    pthread_mutex_lock(&s->lock);
    return true;
}

fp_status fpi_session_settle(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    int64_t until = fpi_monotonic_ms() + PATIENCE_MS;

    for (;;) {
        fp_status rc;

        fpi_session_wait(s);
        rc = fpi_session_check_open(ups, s, err);
        if (rc < 0 || (s->loaded && s->assembly && !s->broken))
            return rc;
        if (s->broken && s->pins) {
            if (wait_for_pins(ups, s, until))
                continue;
            return still_broken(err);
        }
        rc = refresh(ups, s, DEPTH_WORK, err);
        if (rc < 0)
            return rc;
    }
}

fp_status fpi_session_pin(fp_uploads *ups, fpi_session *s, uint32_t lease_flags, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_lease_enter(ups, s, lease_flags, err);
    if (rc == FILEPROC_OK) {
        rc = fpi_session_settle(ups, s, err);
        if (rc == FILEPROC_OK) {
            s->pins++;
            fpi_lease_tell(ups, s);
        } else {
            fpi_lease_leave(ups, s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void fpi_session_unpin(fp_uploads *ups, fpi_session *s)
{
    pthread_mutex_lock(&s->lock);
    s->pins--;
    if (s->pins == 0 && s->state != FPI_UPLOAD_OPEN && s->staged && !s->busy) {
        fpi_session_enter(s);
        fpi_session_leave(ups, s);
    }
    fpi_lease_leave(ups, s);
    pthread_mutex_unlock(&s->lock);
}

fp_status fpi_session_reread(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fpi_session_wait(s);
    if (s->pins || s->lease.claims || s->state != FPI_UPLOAD_OPEN)
        return FILEPROC_OK;
    s->loaded = false;
    s->broken = true; /* the handle knows only what was there when it was opened */
    return refresh(ups, s, DEPTH_LOOK, err);
}

/* ---- its end ---- */

/* The object first: the staged record is a mark by which the reaper finds one that was published in vain. Where there is
 * no such record, the row that was not cleared is. */
fp_status fpi_session_discard(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    char key[FPI_UPLOAD_KEY_SIZE];
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    s->staged = false;
    pthread_mutex_unlock(&s->lock);
    fp_assembly_close(fpi_steal(&s->assembly));
    if (s->state != FPI_UPLOAD_COMPLETED) {
        fpi_upload_key(s->file_id, key);
        rc = fp_storage_remove(ups->st, key, err);
    }
    if (rc == FILEPROC_OK)
        rc = fp_storage_discard(ups->st, s->id, err);
    if (rc == FILEPROC_OK && s->state != FPI_UPLOAD_COMPLETED)
        rc = fpi_upload_row_clear(ups, s->id, err);
    if (rc < 0)
        fpi_log(ups->ctx, FILEPROC_LOG_WARN, "upload", "%s: what is staged can't be removed yet",
                s->id);
    return rc;
}

void fpi_session_end(fp_uploads *ups, fpi_session *s, fpi_upload_state state, fp_upload *facts)
{
    fp_upload *old = NULL;

    pthread_mutex_lock(&s->lock);
    s->state = state;
    s->touched_ms = fpi_now_ms(ups->ctx);
    if (facts) {
        old = s->facts;
        s->facts = facts;
    }
    pthread_mutex_unlock(&s->lock);
    fp_upload_free(old);
}

fp_status fpi_session_close(fp_uploads *ups, fpi_session *s, fpi_upload_state state, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_row) instead = { .upload = NULL };
    fp_status rc = fpi_upload_row_finish(ups, s->id, state, &instead, err);

    if (rc < 0)
        return rc;
    if (instead.upload)
        fpi_session_end(ups, s, instead.state, fpi_steal(&instead.upload));
    else
        fpi_session_end(ups, s, state, NULL);
    return FILEPROC_OK;
}

/* ---- what it shows ---- */

fp_status fpi_session_reserve(const fp_uploads *ups, fpi_session *s, fp_error *err)
{
    return fpi_ranges_reserve(&s->durable, &ups->ctx->a, s->pins, err);
}

uint64_t fpi_session_run_end(const fpi_session *s, uint64_t index, bool *durable)
{
    const fp_upload *facts = s->facts;
    uint64_t place = index * facts->chunk_size, end;

    for (fpi_range r; fpi_ranges_next(&s->durable, place, &r); place = r.end) {
        uint64_t first = fpi_upload_chunks(r.begin, facts->chunk_size);

        end = first + chunks_in(facts, r.begin, r.end);
        *durable = first <= index;
        if (end > index && end > first)
            return *durable ? end : first;
    }
    *durable = false;
    return facts->total_chunks;
}

void fpi_session_note_part(fpi_session *s, uint64_t offset, uint64_t length, int64_t now_ms)
{
    uint64_t end = offset + length;
    fpi_range grown;

    if (fpi_ranges_touch(&s->durable, offset, end))
        return;
    grown = fpi_ranges_add(&s->durable, offset, end);
    s->chunks += chunks_in(s->facts, grown.begin, grown.end) -
                 chunks_in(s->facts, grown.begin, offset) - chunks_in(s->facts, end, grown.end);
    s->bytes += length;
    if (now_ms > s->touched_ms)
        s->touched_ms = now_ms;
}

void fpi_session_show(const fpi_session *s, fp_upload *upload)
{
    if (s->state == FPI_UPLOAD_COMPLETED) /* the facts say all */
        return;
    if (s->joining)
        upload->flags |= FILEPROC_UPLOAD_JOINING;
    upload->status = fpi_upload_status(s->state, s->bytes);
    upload->chunks_uploaded = s->chunks;
    upload->bytes_received = s->bytes;
    upload->offset = fpi_ranges_prefix(&s->durable);
    upload->expires_at_ms = s->expires_ms;
    if (s->touched_ms > upload->updated_at_ms)
        upload->updated_at_ms = s->touched_ms;
}

/* The reaper tells a session that it has ended, but not what became of it: that is read by the first who shows it. */
fp_status fpi_session_record(fp_uploads *ups, fpi_session *s, fp_upload **out, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    while (rc == FILEPROC_OK && s->state == FPI_UPLOAD_COMPLETED && !s->loaded) {
        if (s->busy)
            fpi_session_wait(s);
        else
            rc = refresh(ups, s, DEPTH_ROW, err);
    }
    if (rc == FILEPROC_OK)
        rc = fpi_upload_copy(ups->ctx, s->facts, out, err);
    if (rc == FILEPROC_OK)
        fpi_session_show(s, *out);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
