/* Owns: the last step of bytes into an upload: from staged to durable, known, and fit to be acknowledged.
 * Must not know: which way they came. */
#include "upload/upload_commit.h"

#include "upload/upload_lease.h"

fp_status fpi_commit_reserve(fp_uploads *ups, fpi_session *s, fp_upload **record, fp_error *err)
{
    fp_status rc = fpi_session_reserve(ups, s, err);

    return rc == FILEPROC_OK && record ? fpi_upload_copy(ups->ctx, s->facts, record, err) : rc;
}

static fp_status commit_part(const fpi_commit *c, fp_error *err)
{
    unsigned char note[FPI_SHA256_STATE_SIZE];
    size_t size = fpi_part_digest_note(c->digest, note);
    fp_status rc = fp_part_commit(c->part, size ? note : NULL, size, err);

    if (rc == FILEPROC_ERR_IO ||
        rc == FILEPROC_ERR_QUOTA) { /* of a sync, perhaps: then no other can succeed */
        pthread_mutex_lock(&c->session->lock);
        c->session->broken = true;
        pthread_mutex_unlock(&c->session->lock);
    }
    return rc;
}

static fp_status store(const fpi_commit *c, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc =
        c->part ? commit_part(c, &e) : fp_assembly_adopt(c->session->assembly, c->adoption, &e);

    if (rc < 0)
        return fpi_session_explain(c->ups, c->session, rc, &e, err);
    return fpi_lease_confirm(c->ups, c->session, c->epoch, err);
}

static fp_status make_durable(const fpi_commit *c, fp_error *err)
{
    fp_status rc = fpi_lease_fence(c->ups, c->session, c->epoch, err);

    if (rc < 0)
        return rc;
    rc = store(c, err);
    pthread_mutex_lock(&c->session->lock);
    fpi_lease_pass(c->ups, c->session);
    pthread_mutex_unlock(&c->session->lock);
    return rc;
}

/* With the lock held. */
static void take(const fpi_commit *c, fp_upload *record)
{
    fpi_session *s = c->session;

    if (c->bytes.begin < c->bytes.end)
        fpi_session_note_part(s, c->bytes.begin, c->bytes.end - c->bytes.begin,
                              fpi_now_ms(c->ups->ctx));
    if (c->digest->whole && s->hashed == c->bytes.begin) {
        s->sha256 = c->digest->sha256;
        s->hashed = c->bytes.end;
    }
    if (record)
        fpi_session_show(s, record);
    fpi_lease_tell(c->ups, s);
}

fp_status fpi_commit_run(const fpi_commit *c, fp_upload *record, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status rc = c->part || c->adoption ? make_durable(c, err) : FILEPROC_OK;

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    if (s->state != FPI_UPLOAD_OPEN)
        rc = fpi_session_check_open(c->ups, s, err);
    if (rc == FILEPROC_OK)
        take(c, record);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
