/* Owns: parts that clients send straight to the store: addresses for them, which of them are there, taking them.
 * Must not know: who sends them, or in which protocol the addresses are asked for. */
#include <string.h>

#include "upload/owner_quota.h"
#include "upload/upload_commit.h"
#include "upload/upload_concat.h"
#include "upload/upload_expiry.h"

/* ---- one part's place ---- */

/* Holds the session and what is staged until direct_leave(). */
typedef struct direct {
    fp_uploads *ups;
    fpi_session *session;
    uint64_t unit; /* bytes of each part but the last */
    uint64_t epoch;
    bool pinned;
} direct;

static void direct_leave(direct *d)
{
    if (d->pinned)
        fpi_session_unpin(d->ups, d->session);
    if (d->session)
        fpi_session_release(d->ups, d->session);
}
FPI_DEFINE_DISPOSE(direct, direct_leave)

static fp_status direct_enter(direct *d, const char *id, fp_error *err)
{
    fp_status rc = fpi_session_open(d->ups, id, &d->session, err);

    if (rc == FILEPROC_OK)
        rc = fpi_concat_check_fillable(d->session, err);
    if (rc == FILEPROC_OK) /* what is no object of its own has no place at the store */
        rc = fpi_concat_check_completable(d->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_pin(d->ups, d->session, 0, err);
    if (rc < 0)
        return rc;
    d->pinned = true;
    pthread_mutex_lock(&d->session->lock);
    d->epoch = d->session->lease.epoch;
    pthread_mutex_unlock(&d->session->lock);
    d->unit = fp_assembly_part_size(d->session->assembly);
    if (!d->unit)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP,
                             "the storage signs no addresses: parts can't be sent to it directly");
    return FILEPROC_OK;
}

fp_status fp_upload_part_size(fp_uploads *ups, const char *id, uint64_t *size, fp_error *err)
{
    FPI_DISPOSE(direct) d = { .ups = ups };
    fp_status rc;

    if (!ups || !id || !size)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = direct_enter(&d, id, err);
    if (rc == FILEPROC_OK)
        *size = d.unit;
    return rc;
}

static fp_status no_such_part(fp_error *err, uint32_t number)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_INDEX_INVALID,
                            "the upload can have no part %u", (unsigned)number);
}

/* With the pin. An upload without a size may have as many parts as the largest file. */
static fp_status check_number(const direct *d, uint32_t number, fp_error *err)
{
    const fpi_session *s = d->session;
    uint64_t offset, size;
    bool unknown;

    if (number < 1 || number > FILEPROC_DIRECT_PARTS_MAX)
        return no_such_part(err, number);
    offset = (uint64_t)(number - 1) * d->unit;
    pthread_mutex_lock(&d->session->lock);
    unknown = s->facts->size_unknown;
    size = s->facts->size;
    pthread_mutex_unlock(&d->session->lock);
    if (unknown)
        return fpi_upload_check_size(d->ups, offset + 1, err);
    return offset < size ? FILEPROC_OK : no_such_part(err, number);
}

/* An address that outlives the upload would lead nowhere. */
static uint32_t lifetime(const direct *d, uint32_t expires_s)
{
    int64_t left;

    pthread_mutex_lock(&d->session->lock);
    left = (d->session->expires_ms - fpi_now_ms(d->ups->ctx)) / 1000;
    pthread_mutex_unlock(&d->session->lock);
    return left < 1 ? 1 : left < (int64_t)expires_s ? (uint32_t)left : expires_s;
}

/* What may come to an upload without a size counts for its owner from now on: at least a byte of the part. */
static fp_status set_aside(const direct *d, uint32_t number, fp_error *err)
{
    fpi_session *s = d->session;
    uint64_t offset = (uint64_t)(number - 1) * d->unit, end = offset + d->unit, granted = 0;
    fp_upload upload = { .id = s->id };
    char *owner = NULL;
    bool metered;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    metered =
        s->facts->size_unknown && fpi_owner_quota_metered(d->ups, s->facts) && end > s->claimed;
    if (metered)
        owner = fpi_strdup(&d->ups->ctx->a, s->facts->owner);
    pthread_mutex_unlock(&s->lock);
    if (!metered)
        return FILEPROC_OK;
    if (!owner)
        return fpi_no_memory(err);
    upload.owner = owner;
    rc = fpi_owner_quota_claim(d->ups, &upload, offset + 1,
                               end < d->ups->max_file_size ? end : d->ups->max_file_size, &granted,
                               err);
    fpi_free(&d->ups->ctx->a, owner);
    pthread_mutex_lock(&s->lock);
    if (rc == FILEPROC_OK && s->claimed < granted)
        s->claimed = granted;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fp_upload_presign(fp_uploads *ups, const char *id, uint32_t number, uint32_t expires_s,
                            fp_buf *url, fp_error *err)
{
    FPI_DISPOSE(direct) d = { .ups = ups };
    fp_status rc;

    if (!ups || !id || !url || expires_s < 1)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    rc = direct_enter(&d, id, err);
    if (rc == FILEPROC_OK)
        rc = check_number(&d, number, err);
    if (rc == FILEPROC_OK)
        rc = set_aside(&d, number, err);
    if (rc == FILEPROC_OK) /* the part before it has arrived, as far as anybody here can know */
        fpi_expiry_slide(ups, d.session);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_presign(d.session->assembly, (uint64_t)(number - 1) * d.unit,
                                 lifetime(&d, expires_s), url, err);
    return rc;
}

/* ---- what is there ---- */

typedef struct telling {
    uint64_t unit;
    fp_direct_part_fn fn;
    void *user_data;
} telling;

static fp_status tell(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                      fp_error *err)
{
    const telling *t = user_data;
    const fp_direct_part part = { .number = (uint32_t)(offset / t->unit) + 1,
                                  .size = size,
                                  .etag = etag };

    return t->fn(t->user_data, &part, err);
}

static fp_status list(const direct *d, fp_direct_part_fn fn, void *user_data, fp_error *err)
{
    telling t = { .unit = d->unit, .fn = fn, .user_data = user_data };

    return fp_assembly_written(d->session->assembly, tell, &t, err);
}

fp_status fp_upload_written(fp_uploads *ups, const char *id, fp_direct_part_fn fn, void *user_data,
                            fp_error *err)
{
    FPI_DISPOSE(direct) d = { .ups = ups };
    fp_status rc;

    if (!ups || !id || !fn)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = direct_enter(&d, id, err);
    return rc < 0 ? rc : list(&d, fn, user_data, err);
}

/* ---- taking them ---- */

/* The parts that are to be taken, and what the store has of them. */
typedef struct adoption {
    direct d;
    const fp_direct_part *parts;
    size_t count;
    size_t found;       /* parts before this one were looked for in the list */
    uint32_t last;      /* the highest number that the store has; 0 = it has none */
    uint64_t *sizes;    /* as the store tells them; 0 = it has no such part, or another one */
    const char **etags; /* of all, for the store */
    fp_upload *record;  /* to be shown */
    bool wanted;        /* somebody wants to see it */
} adoption;

static void adoption_dispose(adoption *ad)
{
    fpi_free(&ad->d.ups->ctx->a, ad->sizes);
    fpi_free(&ad->d.ups->ctx->a, (void *)ad->etags);
    fp_upload_free(ad->record);
    direct_leave(&ad->d);
}
FPI_DEFINE_DISPOSE(adoption, adoption_dispose)

static uint64_t offset_of(const adoption *ad, size_t i)
{
    return (uint64_t)(ad->parts[i].number - 1) * ad->d.unit;
}

static fp_status check_parts(const fp_direct_part *parts, size_t count, fp_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (parts[i].number < 1 || parts[i].number > FILEPROC_DIRECT_PARTS_MAX ||
            (i && parts[i].number <= parts[i - 1].number) || !parts[i].etag)
            return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID,
                                    "parts have numbers from 1 to %u in ascending order, and an "
                                    "ETag each",
                                    FILEPROC_DIRECT_PARTS_MAX);
    return FILEPROC_OK;
}

static fp_status need_memory(adoption *ad, fp_error *err)
{
    const fp_allocator *a = &ad->d.ups->ctx->a;

    ad->sizes = fpi_calloc(a, ad->count, sizeof(*ad->sizes));
    ad->etags = fpi_calloc(a, ad->count, sizeof(*ad->etags));
    if (!ad->sizes || !ad->etags)
        return fpi_no_memory(err);
    for (size_t i = 0; i < ad->count; i++)
        ad->etags[i] = ad->parts[i].etag;
    return FILEPROC_OK;
}

/* Both lists ascend. */
static fp_status find(void *user_data, const fp_direct_part *part, fp_error *err)
{
    adoption *ad = user_data;

    (void)err;
    ad->last = part->number;
    while (ad->found < ad->count && ad->parts[ad->found].number < part->number)
        ad->found++;
    if (ad->found < ad->count && ad->parts[ad->found].number == part->number &&
        fpi_etag_same(part->etag, ad->parts[ad->found].etag))
        ad->sizes[ad->found] = part->size;
    return FILEPROC_OK;
}

/* With the lock held: where part i ends, as far as the upload's size tells. */
static uint64_t end_of(const adoption *ad, size_t i)
{
    const fp_upload *facts = ad->d.session->facts;
    uint64_t end = offset_of(ad, i) + ad->d.unit;

    if (facts->size_unknown)
        return i + 1 < ad->count ? end : offset_of(ad, i) + ad->sizes[i];
    return end < facts->size ? end : facts->size;
}

/* With the lock held. */
static bool is_durable(const adoption *ad, size_t i)
{
    uint64_t begin = offset_of(ad, i), end = end_of(ad, i);

    return begin < end && fpi_ranges_have(&ad->d.session->durable, begin, end);
}

static fp_status wrong_size(const adoption *ad, size_t i, uint64_t wanted, fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID,
                            "part %u has %llu bytes and must have %llu; all parts but the last "
                            "have %llu",
                            (unsigned)ad->parts[i].number, (unsigned long long)ad->sizes[i],
                            (unsigned long long)wanted, (unsigned long long)ad->d.unit);
}

/* With the lock held: what is not durable must be at the store, and fit. */
static fp_status check_part(const adoption *ad, size_t i, fp_error *err)
{
    const fp_upload *facts = ad->d.session->facts;
    bool last = i + 1 == ad->count;
    uint64_t end, offset = offset_of(ad, i);

    if (!facts->size_unknown && offset >= facts->size)
        return no_such_part(err, ad->parts[i].number);
    if (is_durable(ad, i))
        return FILEPROC_OK;
    if (!ad->sizes[i])
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE,
                                "part %u is not at the storage, or it is another one",
                                (unsigned)ad->parts[i].number);
    end = facts->size_unknown && last && ad->sizes[i] <= ad->d.unit ? offset + ad->sizes[i]
                                                                    : end_of(ad, i);
    if (ad->sizes[i] > ad->d.unit || offset + ad->sizes[i] != end)
        return wrong_size(ad, i, ad->sizes[i] > ad->d.unit ? ad->d.unit : end - offset, err);
    return FILEPROC_OK;
}

/* Nothing but the list tells where an upload without a size ends. One that ends too early is a mistake, and not every server puts
 * together less than it has. */
static fp_status check_end(const adoption *ad, fp_error *err)
{
    if (ad->last <= ad->parts[ad->count - 1].number)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE,
                            "part %u is at the storage, but not among the parts that were told",
                            (unsigned)ad->last);
}

/* *size is what the upload must have, when it was created without one; else 0. */
static fp_status check_all(const adoption *ad, uint64_t *size, fp_error *err)
{
    fpi_session *s = ad->d.session;
    fp_status rc = FILEPROC_OK;

    *size = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; rc == FILEPROC_OK && i < ad->count; i++)
        rc = check_part(ad, i, err);
    if (rc == FILEPROC_OK && s->facts->size_unknown)
        rc = check_end(ad, err);
    if (rc == FILEPROC_OK && s->facts->size_unknown)
        *size = end_of(ad, ad->count - 1);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Neighbours of which no byte is durable: they become one part of the assembly. */
typedef struct run {
    size_t first, count;
    fpi_range bytes;
} run;

/* With the lock held: the next one from part i on; none: count is 0. */
static run find_run(const adoption *ad, size_t i)
{
    run r = { .first = i };

    while (r.first < ad->count && is_durable(ad, r.first))
        r.first++;
    for (i = r.first; i < ad->count && !is_durable(ad, i); i++) {
        if (i > r.first && ad->parts[i].number != ad->parts[i - 1].number + 1)
            break;
        r.count++;
    }
    if (r.count)
        r.bytes = (fpi_range){ offset_of(ad, r.first), end_of(ad, i - 1) };
    return r;
}

/* With the lock held. */
static fp_status prepare_run(adoption *ad, const run *r, fp_error *err)
{
    fpi_session *s = ad->d.session;
    fp_status rc = fpi_session_check_open(ad->d.ups, s, err);

    if (rc == FILEPROC_OK && fpi_ranges_touch(&s->durable, r->bytes.begin, r->bytes.end))
        rc = fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT,
                              "some bytes of these parts came another way");
    if (rc < 0)
        return rc;
    fp_upload_free(fpi_steal(&ad->record)); /* of the run before */
    return fpi_commit_reserve(ad->d.ups, s, ad->wanted ? &ad->record : NULL, err);
}

/* *again: somebody else has just taken some of it. */
static fp_status commit_run(adoption *ad, const run *r, bool *again, fp_error *err)
{
    static const fpi_part_digest none;
    fp_adoption what = FILEPROC_ADOPTION_INIT;
    const fpi_commit c = {
        .ups = ad->d.ups,
        .session = ad->d.session,
        .epoch = ad->d.epoch,
        .bytes = r->bytes,
        .adoption = &what,
        .digest = &none,
    };
    fp_status rc;

    what.offset = r->bytes.begin;
    what.length = r->bytes.end - r->bytes.begin;
    what.etags = ad->etags + r->first;
    what.etag_count = r->count;
    rc = fpi_commit_run(&c, ad->record, err);
    *again = rc == FILEPROC_ERR_CONFLICT && !*again;
    if (rc == FILEPROC_OK && ad->record)
        fpi_upload_tell(ad->d.ups, ad->record);
    return rc;
}

/* The bytes were never here, so there is no digest of them. */
static fp_status take_all(adoption *ad, fp_error *err)
{
    fpi_session *s = ad->d.session;
    bool again = false;
    fp_status rc = FILEPROC_OK;

    fpi_expiry_slide(ad->d.ups, s);
    for (size_t i = 0; i < ad->count;) {
        fp_error e = { 0 };
        run r;

        pthread_mutex_lock(&s->lock);
        if (again)
            rc = fpi_session_catch_up(ad->d.ups, s, err);
        r = find_run(ad, i);
        if (rc == FILEPROC_OK && r.count)
            rc = prepare_run(ad, &r, err);
        pthread_mutex_unlock(&s->lock);
        if (rc < 0 || !r.count)
            return rc;
        rc = commit_run(ad, &r, &again, &e);
        if (rc < 0 && !again) {
            if (err)
                *err = e;
            return rc;
        }
        i = again ? i : r.first + r.count;
        rc = FILEPROC_OK;
    }
    return rc;
}

static fp_status adopt(adoption *ad, const char *id, fp_error *err)
{
    uint64_t size = 0;
    fp_status rc = direct_enter(&ad->d, id, err);

    if (rc == FILEPROC_OK && ad->count)
        rc = need_memory(ad, err);
    if (rc < 0 || !ad->count)
        return rc;
    rc = list(&ad->d, find, ad, err);
    if (rc == FILEPROC_OK)
        rc = check_all(ad, &size, err);
    if (rc == FILEPROC_OK && size)
        rc = fp_upload_set_size(ad->d.ups, id, size, err);
    return rc < 0 ? rc : take_all(ad, err);
}

fp_status fp_upload_adopt(fp_uploads *ups, const char *id, const fp_direct_part *parts,
                          size_t count, fp_upload **out, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fp_status rc;

    if (!ups || !id || (!parts && count))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = check_parts(parts, count, err);
    if (rc == FILEPROC_OK) {
        FPI_DISPOSE(adoption) ad = { .d = { .ups = ups }, .parts = parts, .count = count };

        ad.wanted = ups->on_progress != NULL;
        rc = adopt(&ad, id, err);
        if (rc == FILEPROC_OK && out)
            rc = fpi_session_record(ups, ad.d.session, &record, err);
    }
    if (rc == FILEPROC_OK && out)
        *out = fpi_steal(&record);
    return rc;
}
