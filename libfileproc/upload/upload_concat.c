/* Owns: the beginning of uploads that are made of others, what those have to be, and who waits for them.
 * Must not know: how the bytes are put together (upload_join.c). */
#include "upload/upload_concat.h"

#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "upload/idempotency.h"
#include "upload/upload_reap.h"

#define AUTOMATIC_KEY_SIZE (sizeof("concat:") + FPI_IDEMPOTENCY_HEX)
/* When the last bytes of a piece come; more of them wait for the reaper. */
#define WAITING_MAX 1000u

static fp_status invalid(fp_error *err, const char *why)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CONCAT_INVALID, "%s", why);
}

/* Whoever does not own it is not told that it is there. */
static fp_status check_source(const fp_upload *u, const char *owner, fp_error *err)
{
    if (u->owner && (!owner || strcmp(u->owner, owner) != 0))
        return fpi_upload_not_found(err);
    if (!(u->flags & FILEPROC_UPLOAD_PARTIAL))
        return invalid(err, "only partial uploads can be put together");
    if (strcmp(u->status, "cancelled") == 0)
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_CANCELLED,
                                "a partial upload was cancelled");
    if (strcmp(u->status, "failed") == 0)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT,
                             "what was stored of a partial upload is damaged");
    return FILEPROC_OK;
}

static fp_status add(fpi_concat_sum *sum, const fp_upload *u, fp_error *err)
{
    sum->known = sum->known && !u->size_unknown;
    sum->whole = sum->whole && !u->size_unknown && u->bytes_received == u->size;
    if (u->size > FPI_OBJECT_SIZE_MAX - sum->size)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_SIZE_TOO_LARGE,
                                "together they are larger than any file");
    sum->size += u->size;
    return FILEPROC_OK;
}

fp_status fpi_concat_measure(fp_uploads *ups, const fpi_upload_sources *sources, const char *owner,
                             fpi_concat_sum *out, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    *out = (fpi_concat_sum){ 0, true, true };
    for (size_t i = 0; rc == FILEPROC_OK && i < sources->count; i++) {
        FPI_CLEANUP(fp_upload) u = NULL;

        rc = fp_upload_get(ups, sources->ids[i], &u, err);
        if (rc == FILEPROC_OK)
            rc = check_source(u, owner, err);
        if (rc == FILEPROC_OK)
            rc = add(out, u, err);
    }
    return rc;
}

static fp_status plan(fp_uploads *ups, const fpi_upload_sources *sources, fp_upload_request *req,
                      fp_error *err)
{
    fpi_concat_sum sum;
    fp_status rc = fpi_concat_measure(ups, sources, req->owner, &sum, err);

    if (rc == FILEPROC_OK) /* what is known of it may be too much already */
        rc = fpi_upload_check_size(ups, sum.size, err);
    req->size = sum.known ? sum.size : 0;
    req->size_unknown = !sum.known;
    req->flags = FILEPROC_UPLOAD_FINAL;
    return rc;
}

static fp_status take_ids(fpi_upload_sources *sources, const char *const *ids, size_t count,
                          fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (count == 0 || count > FILEPROC_CONCAT_MAX)
        return invalid(err, "there are no partial uploads, or too many");
    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++)
        rc = ids[i] ? fpi_upload_sources_add(sources, ids[i], err)
                    : fp_error_setf(err, FILEPROC_ERR_INVALID, "an id is NULL");
    return rc;
}

/* A client that heard no answer asks again, when the partial uploads may be gone already: what it asks for is its key. */
static fp_status choose_key(const fpi_upload_sources *sources, fp_upload_request *req,
                            char key[AUTOMATIC_KEY_SIZE], fpi_idempotency *i, fp_error *err)
{
    fp_status rc;

    req->idempotency_key = "concat";
    rc = fpi_idempotency_of_create(req, sources, i, err);
    if (rc < 0)
        return rc;
    snprintf(key, AUTOMATIC_KEY_SIZE, "concat:%s", i->request);
    req->idempotency_key = key;
    return fpi_idempotency_of_create(req, sources, i, err);
}

/* But what was cancelled, has failed or has expired can be asked for anew. */
static fp_status forget_ended(fp_uploads *ups, const fpi_idempotency *i, fp_error *err)
{
    FPI_CLEANUP(fp_upload) known = NULL;
    FPI_CLEANUP(fp_upload) now = NULL;
    fp_status rc = fpi_idempotency_replay(ups, i, &known, err);

    if (rc < 0 || !known)
        return rc;
    rc = fp_upload_get(ups, known->id, &now, err);
    if (rc == FILEPROC_ERR_NOTFOUND ||
        (rc == FILEPROC_OK &&
         (strcmp(now->status, "cancelled") == 0 || strcmp(now->status, "failed") == 0)))
        rc = fpi_idempotency_forget(ups, i, known->id, err);
    return rc;
}

static fp_status begin_final(fp_uploads *ups, const fp_upload_request *req,
                             const fpi_upload_sources *sources, fp_upload **out, fp_error *err)
{
    fp_upload_request r = *req;
    fpi_idempotency i = { .key = "" };
    char key[AUTOMATIC_KEY_SIZE];
    fp_status rc = FILEPROC_OK;

    if (!r.idempotency_key) {
        rc = choose_key(sources, &r, key, &i, err);
        if (rc == FILEPROC_OK)
            rc = forget_ended(ups, &i, err);
    }
    return rc < 0 ? rc : fpi_upload_begin(ups, &r, plan, sources, out, err);
}

fp_status fp_upload_concat(fp_uploads *ups, const fp_upload_request *req, const char *const *ids,
                           size_t count, fp_upload **out, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_sources) sources = { .a = NULL };
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_status rc;

    if (!ups || !req || !ids || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    sources.a = &ups->ctx->a;
    rc = fpi_options_import(&r, sizeof(r), req, err);
    if (rc == FILEPROC_OK && (r.flags || r.size || r.size_unknown))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "the partial uploads tell the size");
    if (rc == FILEPROC_OK)
        rc = take_ids(&sources, ids, count, err);
    return rc < 0 ? rc : begin_final(ups, &r, &sources, out, err);
}

/* ---- what can't be done with them ---- */

static bool has_flag(fpi_session *s, uint32_t flag)
{
    bool has;

    pthread_mutex_lock(&s->lock);
    has = (s->facts->flags & flag) != 0;
    pthread_mutex_unlock(&s->lock);
    return has;
}

fp_status fpi_concat_check_fillable(fpi_session *s, fp_error *err)
{
    if (!has_flag(s, FILEPROC_UPLOAD_FINAL))
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_FINAL,
                            "its bytes are those of partial uploads");
}

fp_status fpi_concat_check_completable(fpi_session *s, fp_error *err)
{
    if (!has_flag(s, FILEPROC_UPLOAD_PARTIAL))
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_PARTIAL,
                            "a partial upload becomes a file only as a piece of another");
}

fp_status fpi_concat_lost(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_UPLOAD_EXPIRED,
                            "a partial upload is gone, so that this one can't be put together");
}

/* ---- who waits ---- */

static bool is_incomplete(const fp_error *e)
{
    return strcmp(e->domain, "fileproc") == 0 && e->cause == FILEPROC_REASON_UPLOAD_INCOMPLETE;
}

/* Each gets its try; the first failure is what the caller hears of. */
static fp_status complete_each(fp_uploads *ups, const fpi_upload_sources *waiting, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; i < waiting->count; i++) {
        FPI_CLEANUP(fp_upload) u = NULL;
        fp_error e = { 0 };
        fp_status one = fp_upload_complete(ups, waiting->ids[i], &u, &e);

        if (one < 0 && rc >= 0 && !is_incomplete(&e)) {
            rc = one;
            if (err)
                *err = e;
        }
    }
    return rc;
}

fp_status fp_upload_complete_waiting(fp_uploads *ups, const char *id, fp_error *err)
{
    FPI_DISPOSE(fpi_upload_sources) waiting = { .a = NULL };
    fp_status rc;

    if (!ups || !id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_upload_sources_waiting(ups, id, WAITING_MAX, &waiting, err);
    return rc < 0 ? rc : complete_each(ups, &waiting, err);
}

fp_status fpi_concat_complete_batch(fp_uploads *ups, char after[FPI_UUID_SIZE], fp_error *err)
{
    FPI_DISPOSE(fpi_upload_sources) waiting = { .a = NULL };
    fp_status rc = fpi_upload_sources_finals(ups, after, FPI_REAP_BATCH, &waiting, err);

    if (rc == FILEPROC_OK && waiting.count == FPI_REAP_BATCH)
        snprintf(after, FPI_UUID_SIZE, "%s", waiting.ids[FPI_REAP_BATCH - 1]);
    else
        after[0] = '\0';
    return rc < 0 ? rc : complete_each(ups, &waiting, err);
}
