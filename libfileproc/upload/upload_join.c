/* Owns: putting the bytes of a final upload together from those of its partial ones.
 * Must not know: how an upload begins, and what completion writes.
 *
 * It is a writer like any other: what it has put there is durable part by part, so whoever comes after a crash goes on behind it. */
#include "upload/upload_join.h"

#include "upload/upload_commit.h"
#include "upload/upload_lease.h"

#define READ_SIZE ((size_t)1024 * 1024)
/* Where the store copies by itself a crash loses little work, and each step costs syncs. */
#define COPY_STEP ((uint64_t)1 << 30)

/* One upload that is put together, by the one thread that does it. */
typedef struct joining {
    fp_uploads *ups;
    fpi_session *session; /* pinned */
    fpi_session *source;  /* pinned; the one whose bytes are at work */
    uint64_t base;        /* where they begin */
    uint64_t epoch;
    bool copies; /* the store does it */
    unsigned char *buf;
} joining;

/* ---- one part ---- */

typedef struct piece {
    fp_part *part;
    uint64_t begin, end, at;
    fpi_part_digest digest;
} piece;

/* Now and then during long work. */
static fp_status keep(const joining *j, fp_error *err)
{
    fpi_session *s = j->session;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_session_check_open(j->ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_lease_keep(j->ups, s, j->epoch, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* The store copies what is a committed part of the source as a whole. *done when it did. */
static fp_status copy_inside(joining *j, piece *p, bool *done, fp_error *err)
{
    fp_part_info what = FILEPROC_PART_INFO_INIT;
    fp_error e = { 0 };
    fp_status rc;

    *done = false;
    if (!j->copies || !fpi_assembly_part_from(j->source->assembly, p->at - j->base, &what) ||
        what.length > p->end - p->at)
        return FILEPROC_OK;
    rc = fpi_part_copy(p->part, j->source->assembly, &what, &e);
    if (rc == FILEPROC_ERR_NOTSUP) {
        j->copies = false;
        return FILEPROC_OK;
    }
    *done = rc == FILEPROC_OK;
    if (*done) {
        p->at += what.length;
        fpi_part_digest_finish(&p->digest, j->ups);
        p->digest = (fpi_part_digest){ .whole = false }; /* nobody has seen the bytes */
    } else if (err) {
        *err = e;
    }
    return rc;
}

static fp_status copy_through(joining *j, piece *p, fp_error *err)
{
    uint64_t left = p->end - p->at;
    size_t got = 0;
    fp_status rc;

    if (!j->buf)
        j->buf = fpi_alloc(&j->ups->ctx->a, READ_SIZE);
    if (!j->buf)
        return fpi_no_memory(err);
    rc = fpi_session_read(j->ups, j->source, p->at - j->base, j->buf,
                          left < READ_SIZE ? (size_t)left : READ_SIZE, &got, err);
    if (rc == FILEPROC_OK && got == 0)
        rc = fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of a partial upload are gone");
    if (rc < 0)
        return rc;
    if (p->digest.whole || p->digest.apart)
        fpi_part_digest_add(&p->digest, j->ups, p->end - p->begin, j->buf, got);
    rc = fp_part_write(p->part, j->buf, got, err);
    if (rc == FILEPROC_OK)
        p->at += got;
    return rc;
}

static fp_status fill(joining *j, piece *p, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && p->at < p->end) {
        bool done = false;

        rc = copy_inside(j, p, &done, err);
        if (rc == FILEPROC_OK && !done)
            rc = copy_through(j, p, err);
        if (rc == FILEPROC_OK)
            rc = keep(j, err);
    }
    return rc;
}

static fp_status commit(joining *j, piece *p, fp_error *err)
{
    fpi_session *s = j->session;
    FPI_CLEANUP(fp_upload) record = NULL;
    const fpi_commit c = {
        .ups = j->ups,
        .session = s,
        .epoch = j->epoch,
        .bytes = { p->begin, p->end },
        .part = p->part,
        .digest = &p->digest,
    };
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_session_check_open(j->ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_commit_reserve(j->ups, s, j->ups->on_progress ? &record : NULL, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK)
        rc = fpi_commit_run(&c, record, err);
    if (rc == FILEPROC_OK && record)
        fpi_upload_tell(j->ups, record);
    return rc;
}

static fp_status copy_piece(joining *j, piece *p, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = fp_part_begin(j->session->assembly, p->begin, p->end - p->begin, &p->part, &e);

    if (rc < 0)
        return fpi_session_explain(j->ups, j->session, rc, &e, err);
    rc = fill(j, p, err);
    fpi_part_digest_finish(&p->digest, j->ups);
    if (rc == FILEPROC_OK)
        rc = commit(j, p, err);
    fp_part_free(p->part);
    return rc;
}

/* ---- one source ---- */

/* With the lock held: the next bytes from `at` on that are not there yet; false when there are none before `end`. */
static bool next_piece(const joining *j, uint64_t at, uint64_t end, piece *p)
{
    const fpi_session *s = j->session;
    uint64_t step, change;

    if (at < end && fpi_ranges_have(&s->durable, at, at + 1))
        at = fpi_ranges_change(&s->durable, at);
    if (at >= end)
        return false;
    change = fpi_ranges_change(&s->durable, at);
    step = j->copies ? at + COPY_STEP
                     : fpi_upload_chunks(at + j->ups->append_step, s->facts->chunk_size) *
                           s->facts->chunk_size;
    *p = (piece){ .begin = at, .at = at, .end = end };
    if (change < p->end)
        p->end = change;
    if (step < p->end)
        p->end = step;
    fpi_part_digest_begin(&p->digest, j->ups, s, at);
    return true;
}

static fp_status copy_source(joining *j, uint64_t size, fp_error *err)
{
    fpi_session *s = j->session;
    uint64_t end = j->base + size, at = j->base;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK) {
        piece p;
        bool more;

        pthread_mutex_lock(&s->lock);
        more = next_piece(j, at, end, &p);
        pthread_mutex_unlock(&s->lock);
        if (!more)
            break;
        rc = copy_piece(j, &p, err);
        at = p.end;
    }
    return rc;
}

static fp_status join_source(joining *j, const char *id, fp_error *err)
{
    fpi_session *source;
    uint64_t size;
    fp_status rc = fpi_session_open(j->ups, id, &source, err);

    if (rc < 0)
        return rc;
    rc = fpi_session_pin(j->ups, source, FILEPROC_LEASE_TAKE_OVER, err);
    if (rc == FILEPROC_OK) {
        pthread_mutex_lock(&source->lock);
        size = source->facts->size;
        pthread_mutex_unlock(&source->lock);
        j->source = source;
        rc = copy_source(j, size, err);
        j->base += size;
        fpi_session_unpin(j->ups, source);
    }
    fpi_session_release(j->ups, source);
    return rc;
}

/* ---- all of them ---- */

/* With the lock held. */
static bool is_wanted(const fpi_session *s)
{
    return (s->facts->flags & FILEPROC_UPLOAD_FINAL) && s->state == FPI_UPLOAD_OPEN &&
           (s->facts->size_unknown || s->bytes != s->facts->size);
}

static fp_status join_all(fp_uploads *ups, fpi_session *s, uint64_t epoch,
                          const fpi_upload_sources *sources, fp_error *err)
{
    joining j = { .ups = ups, .session = s, .epoch = epoch, .copies = ups->st->copies };
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < sources->count; i++)
        rc = join_source(&j, sources->ids[i], err);
    fpi_free(&ups->ctx->a, j.buf);
    return rc;
}

/* By one who has it pinned. */
static fp_status join_pinned(fp_uploads *ups, fpi_session *s, const fpi_upload_sources *sources,
                             fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    uint64_t epoch;

    pthread_mutex_lock(&s->lock);
    while (s->joining)
        pthread_cond_wait(&s->calmer, &s->lock);
    if (is_wanted(s)) {
        epoch = s->lease.epoch;
        s->joining = true;
        pthread_mutex_unlock(&s->lock);
        rc = join_all(ups, s, epoch, sources, err);
        pthread_mutex_lock(&s->lock);
        s->joining = false;
        pthread_cond_broadcast(&s->calmer);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* A partial upload that is gone does not come back. */
static bool is_loss(fp_status rc)
{
    return rc == FILEPROC_ERR_NOTFOUND || rc == FILEPROC_ERR_CORRUPT || rc == FILEPROC_ERR_CONFLICT;
}

/* Durably, and so that whoever watches hears of it. */
static fp_status give_up(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_lease_enter(ups, s, FILEPROC_LEASE_TAKE_OVER, err);
    if (rc == FILEPROC_OK) {
        rc = fpi_session_settle(ups, s, err);
        if (rc == FILEPROC_OK) {
            fpi_session_enter(s);
            rc = fpi_session_close(ups, s, FPI_UPLOAD_FAILED, err);
            fpi_session_leave(ups, s);
        }
        fpi_lease_leave(ups, s);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc < 0)
        return rc;
    if (fpi_session_record(ups, s, &record, NULL) == FILEPROC_OK)
        fpi_upload_tell(ups, record);
    return fpi_concat_lost(err);
}

static fp_status check_whole(const fpi_concat_sum *sum, fp_error *err)
{
    if (sum->whole)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE,
                            "bytes of partial uploads are missing");
}

/* The size is declared as soon as it is known, so that who asks is told. */
static fp_status prepare(fp_uploads *ups, fpi_session *s, fpi_upload_sources *sources,
                         fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fpi_concat_sum sum;
    fp_error e = { 0 };
    fp_status rc = fpi_session_record(ups, s, &record, err);

    if (rc == FILEPROC_OK)
        rc = fpi_upload_sources_read(ups, s->id, sources, err);
    if (rc < 0)
        return rc;
    rc = fpi_concat_measure(ups, sources, record->owner, &sum, &e);
    if (rc < 0 && is_loss(rc))
        return give_up(ups, s, err);
    if (rc < 0 && err)
        *err = e;
    if (rc == FILEPROC_OK && sum.known)
        rc = fpi_upload_declare_size(ups, s, sum.size, err);
    return rc < 0 ? rc : check_whole(&sum, err);
}

static fp_status join(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_sources) sources = { .a = &ups->ctx->a };
    fp_status rc = prepare(ups, s, &sources, err);

    if (rc == FILEPROC_OK)
        rc = fpi_session_pin(ups, s, 0, err);
    if (rc < 0)
        return rc;
    rc = join_pinned(ups, s, &sources, err);
    fpi_session_unpin(ups, s);
    return rc;
}

/* Somebody else may have been faster, and may have removed the partial uploads after that. */
fp_status fpi_join(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fp_error e = { 0 };
    bool wanted, completed;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    wanted = is_wanted(s);
    pthread_mutex_unlock(&s->lock);
    if (!wanted)
        return FILEPROC_OK;
    rc = join(ups, s, &e);
    pthread_mutex_lock(&s->lock);
    completed = s->state == FPI_UPLOAD_COMPLETED;
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK || completed)
        return FILEPROC_OK;
    if (err)
        *err = e;
    return rc;
}

/* ---- afterwards ---- */

static void drop_source(fp_uploads *ups, const char *id)
{
    FPI_DISPOSE(fpi_upload_sources) waiting = { .a = &ups->ctx->a };
    fp_error e = { 0 };
    fp_status rc = fpi_upload_sources_waiting(ups, id, 1, &waiting, &e);

    if (rc == FILEPROC_OK && waiting.count == 0)
        rc = fp_upload_cancel(ups, id, &e);
    if (rc < 0)
        fpi_log(ups->ctx, FILEPROC_LOG_DEBUG, "upload", "%s: stays until it expires: %s", id,
                e.message);
}

void fpi_join_drop_sources(fp_uploads *ups, fpi_session *s)
{
    FPI_DISPOSE(fpi_upload_sources) sources = { .a = &ups->ctx->a };
    fp_error e = { 0 };

    if (!(s->facts->flags & FILEPROC_UPLOAD_FINAL))
        return;
    if (fpi_upload_sources_read(ups, s->id, &sources, &e) < 0)
        return;
    for (size_t i = 0; i < sources.count; i++)
        drop_source(ups, sources.ids[i]);
}
