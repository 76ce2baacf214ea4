/* Owns: the ends of an upload that its client asks for: it becomes a file, or is cancelled.
 * Must not know: chunks. docs/internals/uploads.md tells what a crash leaves between the steps. */
#include <string.h>

#include "catalog/catalog_private.h"
#include "core/buf_private.h"
#include "job/job_private.h"
#include "job/quarantine_private.h"
#include "upload/idempotency.h"
#include "upload/upload_join.h"
#include "upload/upload_lease.h"
#include "upload/upload_verify.h"

/* One completion. What the transaction writes is prepared before it. */
typedef struct completion {
    fp_uploads *ups;
    fpi_session *session;  /* busy with it */
    fp_upload upload;      /* as it will be; the texts stand below and in the session */
    fp_buf definition;     /* of the default job; empty = none */
    fpi_upload_row before; /* what the row says that is not open any more */
    bool repeated;
    bool hashed;     /* sha256 is that of what arrived */
    bool mismatched; /* it has failed for that */
    char key[FPI_UPLOAD_KEY_SIZE];
    char url[FPI_UPLOAD_URL_SIZE];
    char job_id[FPI_UUID_SIZE];
    char scan_job_id[FPI_UUID_SIZE]; /* "" = the file does not go into quarantine */
    char sha256[2 * FPI_DIGEST_MAX + 1];
} completion;

static void completion_dispose(completion *c)
{
    fp_buf_dispose(&c->definition);
    fpi_upload_row_dispose(&c->before);
}
FPI_DEFINE_DISPOSE(completion, completion_dispose)

static fp_status incomplete(const fpi_session *s, fp_error *err)
{
    uint64_t missing = s->facts->total_chunks - s->chunks;

    if (s->facts->size_unknown)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE,
                                "the size of the upload has not been declared");
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE,
                            "%llu of %llu chunks are missing", (unsigned long long)missing,
                            (unsigned long long)s->facts->total_chunks);
}

static fp_status prepare_job(completion *c, fp_error *err)
{
    fp_status rc;

    if (!c->ups->jobs)
        return FILEPROC_OK;
    if (fpi_quarantine_is_on(c->ups->jobs)) {
        rc = fpi_uuid7(c->ups->ctx, c->scan_job_id, err);
        if (rc < 0)
            return rc;
    }
    rc = fpi_job_default_definition(c->ups->jobs, c->upload.mime_type, &c->definition, err);
    if (rc < 0 || c->definition.size == 0)
        return rc;
    c->upload.job_id = c->job_id;
    return fpi_uuid7(c->ups->ctx, c->job_id, err);
}

/* There will be a file only with the digest that was asked for. */
static void take_digest(completion *c)
{
    fp_upload *u = &c->upload;

    c->hashed = fpi_verify_digest(c->session, c->sha256);
    if (u->expected_sha256)
        u->sha256 = u->expected_sha256;
    else if (c->hashed)
        u->sha256 = c->sha256;
}

static fp_status prepare(completion *c, fp_error *err)
{
    const fpi_session *s = c->session;
    fp_upload *u = &c->upload;

    *u = *s->facts;
    pthread_mutex_lock(&c->session->lock);
    u->expires_at_ms = s->expires_ms;
    pthread_mutex_unlock(&c->session->lock);
    fpi_upload_key(s->file_id, c->key);
    fpi_upload_url(c->ups, s->file_id, c->url);
    u->status = fpi_upload_status(FPI_UPLOAD_COMPLETED, 0);
    u->file_id = s->file_id;
    u->storage_url = c->url;
    u->bytes_received = u->offset = u->size;
    u->chunks_uploaded = u->total_chunks;
    u->updated_at_ms = fpi_now_ms(c->ups->ctx);
    take_digest(c);
    return prepare_job(c, err);
}

static fp_status insert_file(completion *c, fp_tx *tx, fp_error *err)
{
    const fp_upload *u = &c->upload;
    const fpi_new_file file = { .id = u->file_id,
                                .owner = u->owner,
                                .filename = u->filename,
                                .mime_type = u->mime_type,
                                .sha256 = u->sha256,
                                .storage_key = c->key,
                                .size = u->size,
                                .quarantined = c->scan_job_id[0] != '\0' };
    fp_status rc = fpi_catalog_insert(c->ups->cat, tx, &file, err);

    if (rc == FILEPROC_OK && u->job_id)
        rc = fpi_job_insert(c->ups->jobs, tx, u->job_id, u->file_id, u->owner, c->definition.data,
                            file.quarantined, err);
    if (rc == FILEPROC_OK && file.quarantined)
        rc = fpi_quarantine_begin(c->ups->jobs, tx, c->scan_job_id, u->file_id, u->owner, err);
    return rc;
}

static fp_status complete_body(fp_tx *tx, void *user_data, fp_error *err)
{
    completion *c = user_data;
    uint64_t changed = 0;
    fp_status rc;

    fpi_upload_row_dispose(&c->before);
    rc = fpi_upload_row_complete(tx, &c->upload, &changed, err);
    if (rc < 0)
        return rc;
    if (!changed)
        return fpi_upload_row_select(c->ups, tx, c->upload.id, &c->before, err);
    return insert_file(c, tx, err);
}

/* The bytes are gone: no later try can succeed. */
static fp_status fail(completion *c, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status rc;

    fpi_log(c->ups->ctx, FILEPROC_LOG_ERROR, "upload", "%s: what was stored is damaged", s->id);
    rc = fpi_session_close(c->ups, s, FPI_UPLOAD_FAILED, err);
    if (rc < 0)
        return rc;
    return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "what was stored of the upload is damaged");
}

/* The bytes are others than was said: durably, so that whoever asks again hears the same. */
static fp_status fail_mismatched(completion *c, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_row) instead = { .upload = NULL };
    FPI_CLEANUP(fp_upload) facts = NULL;
    fp_upload told = *c->session->facts;
    fp_status rc;

    told.sha256 = c->sha256;
    rc = fpi_upload_copy(c->ups->ctx, &told, &facts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_upload_row_mismatch(c->ups, c->upload.id, c->sha256, &instead, err);
    if (rc < 0)
        return rc;
    if (instead.upload) { /* by a commit of ours that was reported as failed, and was not */
        fpi_session_end(c->ups, c->session, instead.state, fpi_steal(&instead.upload));
        c->repeated = true;
        return FILEPROC_OK;
    }
    fpi_log(c->ups->ctx, FILEPROC_LOG_INFO, "upload", "%s: another SHA-256 than was said",
            c->upload.id);
    fpi_session_end(c->ups, c->session, FPI_UPLOAD_FAILED, fpi_steal(&facts));
    c->mismatched = true;
    return fpi_verify_mismatch(err);
}

static bool is_mismatched(const completion *c)
{
    const char *expected = c->upload.expected_sha256;

    return expected && c->hashed && strcmp(expected, c->sha256) != 0;
}

/* Where what is staged can't be read back the object can: no file of the catalog shows it yet. */
static fp_status verify_published(completion *c, fp_error *err)
{
    fp_status rc;

    if (!c->upload.expected_sha256 || c->hashed)
        return FILEPROC_OK;
    rc = fpi_verify_published(c->ups, c->session, err);
    if (rc == FILEPROC_OK)
        c->hashed = fpi_verify_digest(c->session, c->sha256);
    return rc == FILEPROC_OK && is_mismatched(c) ? fail_mismatched(c, err) : rc;
}

/* When the row was not open any more it was a completion of ours whose commit was reported as failed, and was not; or another
 * engine was faster, while our lease had run out. */
static void finish(completion *c, fp_upload *facts)
{
    if (c->before.upload) {
        c->repeated = true;
        fp_upload_free(facts);
        fpi_session_end(c->ups, c->session, c->before.state, fpi_steal(&c->before.upload));
        return;
    }
    fpi_session_end(c->ups, c->session, FPI_UPLOAD_COMPLETED, facts);
    if (c->upload.job_id && c->scan_job_id[0])
        fpi_job_tell_held(c->ups->jobs, c->upload.job_id, c->upload.file_id);
    else if (c->upload.job_id)
        fpi_job_ring(c->ups->jobs, c->upload.job_id, c->upload.file_id);
    if (c->scan_job_id[0])
        fpi_job_ring(c->ups->jobs, c->scan_job_id, c->upload.file_id);
}

static fp_status publish(completion *c, fp_error *err)
{
    fp_status rc = fp_assembly_publish(c->session->assembly, c->key, c->upload.size, 0, err);

    if (rc == FILEPROC_ERR_CORRUPT || rc == FILEPROC_ERR_NOTFOUND)
        return fail(c, err);
    return rc < 0 ? rc : verify_published(c, err);
}

/* By the one who is busy with the session. */
static fp_status run(completion *c, fp_upload **record, fp_error *err)
{
    FPI_CLEANUP(fp_upload) facts = NULL;
    fp_status rc = prepare(c, err);

    if (rc == FILEPROC_OK && is_mismatched(c))
        return fail_mismatched(c, err);
    if (rc == FILEPROC_OK)
        rc = fpi_upload_copy(c->ups->ctx, &c->upload, &facts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_upload_copy(c->ups->ctx, &c->upload, record, err);
    if (rc == FILEPROC_OK)
        rc = publish(c, err);
    if (rc < 0 || c->repeated)
        return rc;
    rc = fp_database_transact(c->ups->db, 0, complete_body, c, err);
    if (rc == FILEPROC_OK)
        finish(c, fpi_steal(&facts));
    return rc;
}

/* Makes the caller the one who completes, or finds that somebody has. */
static fp_status enter(fp_uploads *ups, fpi_session *s, bool *completed, fp_error *err)
{
    fp_error e = { 0 };
    bool claimed;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_lease_enter(ups, s, 0, &e);
    claimed = rc == FILEPROC_OK;
    if (claimed)
        rc = fpi_session_settle(ups, s, &e);
    *completed = s->state == FPI_UPLOAD_COMPLETED;
    if (rc == FILEPROC_OK && (s->facts->size_unknown || s->bytes != s->facts->size))
        rc = incomplete(s, &e);
    if (rc == FILEPROC_OK) {
        fpi_session_enter(s);
    } else {
        if (claimed)
            fpi_lease_leave(ups, s);
        pthread_mutex_unlock(&s->lock);
    }
    if (*completed)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = e;
    return rc;
}

/* Whoever watches learns that it has failed. */
static void tell_mismatch(fp_uploads *ups, fpi_session *s)
{
    FPI_CLEANUP(fp_upload) record = NULL;

    if (fpi_session_record(ups, s, &record, NULL) == FILEPROC_OK)
        fpi_upload_tell(ups, record);
}

/* What another call has made of it, or an earlier one of which we did not know. */
static fp_status show_completed(fp_uploads *ups, fpi_session *s, fp_upload **out, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (s->state != FPI_UPLOAD_COMPLETED)
        rc = fpi_session_check_open(ups, s, err);
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? rc : fpi_session_record(ups, s, out, err);
}

static fp_status complete(fp_uploads *ups, fpi_session *s, fp_upload **out, fp_error *err)
{
    FPI_DISPOSE(completion) c = { .ups = ups, .session = s };
    FPI_CLEANUP(fp_upload) record = NULL;
    bool completed = false;
    fp_status rc = fpi_join(ups, s, err);

    if (rc == FILEPROC_OK)
        rc = fpi_verify_staged(ups, s, err);

    if (rc == FILEPROC_OK)
        rc = enter(ups, s, &completed, err);
    if (rc == FILEPROC_OK && completed)
        return show_completed(ups, s, out, err);
    if (rc < 0)
        return rc;
    rc = run(&c, &record, err);
    fpi_session_leave(ups, s);
    fpi_lease_leave(ups, s);
    pthread_mutex_unlock(&s->lock);
    if (c.mismatched)
        tell_mismatch(ups, s);
    if (rc < 0)
        return rc;
    if (c.repeated)
        return show_completed(ups, s, out, err);
    fpi_upload_tell(ups, record);
    fpi_join_drop_sources(ups, s);
    *out = fpi_steal(&record);
    return FILEPROC_OK;
}

/* ---- under a key ---- */

/* A call with a key that was used before does not wait for the first one, as those without do. */
static fp_status begin_completing(fpi_session *s, bool again, bool *replayed, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    *replayed = again && s->state == FPI_UPLOAD_COMPLETED;
    if (again && s->completing && s->state == FPI_UPLOAD_OPEN)
        rc = fpi_idempotency_in_progress(err);
    else
        s->completing++;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static fp_status complete_once(fp_uploads *ups, fpi_session *s, bool again, fp_upload **out,
                               fp_error *err)
{
    fpi_lease_progress progress = { 0 };
    fp_error e = { 0 };
    bool replayed;
    fp_status rc = begin_completing(s, again, &replayed, err);

    if (rc < 0)
        return rc;
    rc = complete(ups, s, out, &e);
    pthread_mutex_lock(&s->lock);
    s->completing--;
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK && replayed)
        (*out)->flags |= FILEPROC_UPLOAD_REPLAYED;
    if (rc == FILEPROC_ERR_BUSY && again &&
        fpi_lease_look(ups, s, &progress) == FPI_VIEW_OTHERS) /* at work there, under this key */
        return fpi_idempotency_in_progress(err);
    if (rc < 0 && err)
        *err = e;
    return rc;
}

/* The key is the upload's owner's. */
static fp_status claim_key(fp_uploads *ups, fpi_session *s, const char *text, bool *again,
                           fp_error *err)
{
    fpi_idempotency key = { .key = "" };
    bool fresh = false;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = fpi_idempotency_of_complete(text, s->facts->owner, s->id, &key, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK)
        rc = fpi_idempotency_claim(ups, &key, s->id, &fresh, err);
    *again = !fresh;
    return rc;
}

fp_status fp_upload_complete_keyed(fp_uploads *ups, const char *id, const char *idempotency_key,
                                   fp_upload **out, fp_error *err)
{
    bool again = false;
    fpi_session *s;
    fp_status rc;

    if (!ups || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_session_open(ups, id, &s, err);
    if (rc < 0)
        return rc;
    rc = fpi_concat_check_completable(s, err);
    if (rc == FILEPROC_OK && idempotency_key)
        rc = claim_key(ups, s, idempotency_key, &again, err);
    if (rc == FILEPROC_OK)
        rc = complete_once(ups, s, again, out, err);
    fpi_session_release(ups, s);
    return rc;
}

fp_status fp_upload_complete(fp_uploads *ups, const char *id, fp_upload **out, fp_error *err)
{
    return fp_upload_complete_keyed(ups, id, NULL, out, err);
}

/* ---- cancelling ---- */

/* With the lock held. */
static fp_status check_cancellable(const fp_uploads *ups, const fpi_session *s, fp_error *err)
{
    if (s->state == FPI_UPLOAD_CANCELLED || s->state == FPI_UPLOAD_FAILED)
        return FILEPROC_OK;
    return fpi_session_check_open(ups, s, err);
}

/* By the one who is busy with the session. */
static fp_status cancel_open(fp_uploads *ups, fpi_session *s, fp_upload *record, fp_error *err)
{
    fp_status rc = fpi_session_close(ups, s, FPI_UPLOAD_CANCELLED, err);

    fpi_session_leave(ups, s);
    if (rc == FILEPROC_OK) {
        rc = check_cancellable(ups, s, err);
        fpi_session_show(s, record);
    }
    fpi_lease_leave(ups, s);
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK)
        fpi_upload_tell(ups, record);
    return rc;
}

static fp_status cancel(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fp_status rc = fpi_session_record(ups, s, &record, err);
    bool open;

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = fpi_lease_enter(ups, s, FILEPROC_LEASE_TAKE_OVER, err);
    if (rc < 0) {
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    fpi_session_wait(s);
    rc = check_cancellable(ups, s, err);
    open = s->state == FPI_UPLOAD_OPEN;
    if (rc < 0 || !open) {
        fpi_lease_leave(ups, s);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    fpi_session_enter(s);
    return cancel_open(ups, s, record, err);
}

fp_status fp_upload_cancel(fp_uploads *ups, const char *id, fp_error *err)
{
    fpi_session *s;
    fp_status rc;

    if (!ups || !id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_session_open(ups, id, &s, err);
    if (rc < 0)
        return rc;
    rc = cancel(ups, s, err);
    fpi_session_release(ups, s);
    return rc;
}
