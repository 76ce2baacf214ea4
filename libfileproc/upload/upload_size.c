/* Owns: declaring the size of an upload that began without one.
 * Must not know: how its bytes arrive. */
#include "upload/upload_concat.h"
#include "upload/upload_lease.h"

static fp_status invalid(fp_error *err, uint64_t size, const char *what, uint64_t other)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_LENGTH_INVALID,
                            "the upload can't have %llu bytes: it %s %llu",
                            (unsigned long long)size, what, (unsigned long long)other);
}

/* With the lock held. */
static fp_status check(const fpi_session *s, uint64_t size, fp_error *err)
{
    uint64_t end = s->durable.count ? s->durable.at[s->durable.count - 1].end : 0;

    if (!s->facts->size_unknown && s->facts->size != size)
        return invalid(err, size, "was declared to have", s->facts->size);
    return end > size ? invalid(err, size, "has already", end) : FILEPROC_OK;
}

/* Another engine, or a commit that was reported as failed and was not: the row knows. */
static fp_status look_again(fpi_session *s, fp_error *err)
{
    fp_status rc = fp_error_setf(err, FILEPROC_ERR_BUSY, "the upload has changed meanwhile");

    s->loaded = false;
    s->broken = true;
    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

/* With the lock held, which is let go meanwhile; nobody is busy. An append that began without knowing the size may be past it, and has
 * lost its place. Numbers are all that changes, and whoever is not busy reads
 * them with the lock. */
static fp_status declare(fp_uploads *ups, fpi_session *s, uint64_t size, fp_error *err)
{
    fp_upload u = *s->facts;
    uint64_t changed = 0;
    fp_status rc;

    u.size = size;
    u.chunk_size = fpi_upload_choose_chunk_size(ups, size);
    u.total_chunks = fpi_upload_chunks(size, u.chunk_size);
    u.updated_at_ms = fpi_now_ms(ups->ctx);
    s->turn++; /* before the lock is let go: nothing is committed any more that doesn't know the size */
    fpi_session_enter(s);
    rc = fpi_upload_row_set_size(ups, &u, &changed, err);
    fpi_session_leave(ups, s);
    if (rc < 0)
        return rc;
    if (!changed)
        return look_again(s, err);
    s->facts->size = u.size;
    s->facts->chunk_size = u.chunk_size;
    s->facts->total_chunks = u.total_chunks;
    s->facts->updated_at_ms = u.updated_at_ms;
    s->facts->size_unknown = 0;
    s->chunks = fpi_session_count_chunks(s);
    return FILEPROC_OK;
}

/* With the lock held. Bytes that are just becoming durable count. */
static fp_status settle(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fp_status rc;

    do {
        while (s->committing)
            pthread_cond_wait(&s->calmer, &s->lock);
        rc = fpi_session_settle(ups, s, err);
    } while (rc == FILEPROC_OK && s->committing);
    return rc;
}

fp_status fpi_upload_declare_size(fp_uploads *ups, fpi_session *s, uint64_t size, fp_error *err)
{
    fp_status rc = fpi_upload_check_size(ups, size, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = fpi_lease_enter(ups, s, FILEPROC_LEASE_TAKE_OVER, err);
    if (rc == FILEPROC_OK) {
        rc = settle(ups, s, err);
        if (rc == FILEPROC_OK)
            rc = check(s, size, err);
        if (rc == FILEPROC_OK && s->facts->size_unknown) {
            rc = fpi_upload_check_room(ups, size - s->bytes, err);
            if (rc == FILEPROC_OK)
                rc = declare(ups, s, size, err);
        }
        fpi_lease_leave(ups, s);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fp_upload_set_size(fp_uploads *ups, const char *id, uint64_t size, fp_error *err)
{
    fpi_session *s;
    fp_status rc;

    if (!ups || !id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_upload_check_size(ups, size, err);
    if (rc < 0)
        return rc;
    rc = fpi_session_open(ups, id, &s, err);
    if (rc < 0)
        return rc;
    rc = fpi_concat_check_fillable(s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_upload_declare_size(ups, s, size, err);
    fpi_session_release(ups, s);
    return rc;
}
