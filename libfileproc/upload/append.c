/* Owns: one append on its way in: the gaps it fills, what it makes durable on the way, its digest, its commit.
 * Must not know: how an upload begins and ends. docs/internals/uploads.md tells how appends and chunks get along. */
#include "core/options.h"
#include "upload/owner_quota.h"
#include "upload/upload_commit.h"
#include "upload/upload_concat.h"
#include "upload/upload_expiry.h"
#include "upload/upload_lease.h"

/* What is durable of a slow append is never older than this, but for the rest of a chunk. */
#define STEP_MS 10000

struct fp_append {
    fp_uploads *ups;
    fpi_session *session; /* held and pinned */
    uint64_t at;          /* where the next byte goes */
    uint64_t end;         /* no byte from here on */
    bool announced;       /* `end` is what the caller said, not what the upload has room for */
    char *metered;        /* of no known size, and this owner has a limit; else NULL */
    uint64_t claimed;     /* then: no byte from here on before more is set aside */
    bool ended;           /* committed, or failed for good */
    uint64_t chunk_size;
    uint64_t turn;  /* the session's when it began: a later one has taken over */
    uint64_t epoch; /* of the lease when it began */

    fp_part *part; /* of a gap; or NULL */
    uint64_t part_begin, part_end;
    int64_t part_began_ms;
    uint64_t pass_end;      /* up to here the bytes at `at` are durable, and compared */
    unsigned char *compare; /* FPI_COMPARE_SIZE bytes; made when needed */
    fpi_expectation expected;
    fpi_part_digest digest;
};

static fp_status set_options(fp_append *a, const fp_append_options *opts, uint64_t *length,
                             fp_error *err)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    fp_status rc = fpi_options_import(&o, sizeof(o), opts, err);

    *length = o.length;
    if (rc == FILEPROC_OK &&
        (o.reserved || o.digest_later > 1 || (o.digest_later && o.digest_algorithm)))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "digest_later has no meaning");
    if (rc < 0)
        return rc;
    if (o.digest_later)
        return fpi_expect_later(&a->expected, &a->ups->ctx->a, err);
    return fpi_expect(&a->expected, o.digest_algorithm, o.digest, o.digest_size, err);
}

static fp_status exceeded(const fp_append *a, bool unknown, uint64_t limit, fp_error *err)
{
    if (unknown)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_SIZE_TOO_LARGE,
                                "A file may have at most %llu bytes",
                                (unsigned long long)a->ups->max_file_size);
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_LENGTH_EXCEEDED,
                            "the upload ends at offset %llu, and more bytes are sent",
                            (unsigned long long)limit);
}

/* With the lock held. What an upload without a size may come to was not looked at when it began. */
static fp_status set_meter(fp_append *a, uint64_t length, fp_error *err)
{
    const fpi_session *s = a->session;

    a->claimed = s->claimed;
    if (fpi_owner_quota_metered(a->ups, s->facts)) {
        a->metered = fpi_strdup(&a->ups->ctx->a, s->facts->owner);
        if (!a->metered)
            return fpi_no_memory(err);
    }
    return fpi_upload_check_room(a->ups, length, err);
}

/* With the lock held. */
static fp_status set_place(fp_append *a, uint64_t offset, uint64_t length, fp_error *err)
{
    const fpi_session *s = a->session;
    const fp_upload *facts = s->facts;
    uint64_t prefix = fpi_ranges_prefix(&s->durable);

    if (offset != prefix)
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_OFFSET_MISMATCH,
                                "the upload is at offset %llu, not at %llu",
                                (unsigned long long)prefix, (unsigned long long)offset);
    a->end = facts->size_unknown ? a->ups->max_file_size : facts->size;
    a->announced = length != 0;
    if (length && (offset > a->end || length > a->end - offset))
        return exceeded(a, facts->size_unknown, a->end, err);
    if (length)
        a->end = offset + length;
    a->at = a->pass_end = offset;
    a->chunk_size = facts->chunk_size;
    return facts->size_unknown ? set_meter(a, length, err) : FILEPROC_OK;
}

/* Bytes of an upload without a size count from when they may come. A step more than needed, since each time is a transaction. */
static fp_status claim(fp_append *a, uint64_t end, fp_error *err)
{
    fpi_session *s = a->session;
    const fp_upload upload = { .id = s->id, .owner = a->metered };
    uint64_t wanted =
        a->announced || a->end - end < a->ups->append_step ? a->end : end + a->ups->append_step;
    fp_status rc;

    if (!a->metered || end <= a->claimed)
        return FILEPROC_OK;
    rc = fpi_owner_quota_claim(a->ups, &upload, end, wanted, &a->claimed, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    if (s->claimed < a->claimed)
        s->claimed = a->claimed;
    pthread_mutex_unlock(&s->lock);
    return FILEPROC_OK;
}

/* An earlier append has lost its place from here on, whether or not it still has a part open. */
static fp_status begin(fp_append *a, uint64_t offset, uint64_t length, fp_error *err)
{
    fpi_session *s = a->session;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = offset != fpi_ranges_prefix(&s->durable) ? fpi_session_catch_up(a->ups, s, err)
                                                  : FILEPROC_OK;
    if (rc == FILEPROC_OK)
        rc = set_place(a, offset, length, err);
    if (rc == FILEPROC_OK) {
        a->turn = ++s->turn;
        a->epoch = s->lease.epoch;
    }
    pthread_mutex_unlock(&s->lock);
    return rc == FILEPROC_OK && a->announced ? claim(a, a->end, err) : rc;
}

static void end_part(fp_append *a)
{
    fpi_part_digest_finish(&a->digest, a->ups);
    fp_part_free(fpi_steal(&a->part));
}

static void append_free(fp_append *a, bool pinned)
{
    end_part(a);
    if (pinned)
        fpi_session_unpin(a->ups, a->session);
    if (a->session)
        fpi_session_release(a->ups, a->session);
    fpi_expectation_dispose(&a->expected);
    fpi_free(&a->ups->ctx->a, a->compare);
    fpi_free(&a->ups->ctx->a, a->metered);
    fpi_free(&a->ups->ctx->a, a);
}

fp_status fp_append_begin(fp_uploads *ups, const char *id, uint64_t offset,
                          const fp_append_options *opts, fp_append **out, fp_error *err)
{
    bool pinned = false;
    uint64_t length = 0;
    fp_append *a;
    fp_status rc;

    if (!ups || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    a = fpi_calloc(&ups->ctx->a, 1, sizeof(*a));
    if (!a)
        return fpi_no_memory(err);
    a->ups = ups;
    rc = set_options(a, opts, &length, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_open(ups, id, &a->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_concat_check_fillable(a->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_pin(ups, a->session, FILEPROC_LEASE_TAKE_OVER, err);
    pinned = rc == FILEPROC_OK;
    if (rc == FILEPROC_OK)
        rc = begin(a, offset, length, err);
    if (rc < 0)
        append_free(a, pinned);
    else
        *out = a;
    return rc;
}

void fp_append_free(fp_append *append)
{
    if (append)
        append_free(append, true);
}

/* With the lock held: whether it may still write. */
static fp_status check_turn(const fp_append *a, fp_error *err)
{
    fp_status rc = fpi_session_check_open(a->ups, a->session, err);

    if (rc == FILEPROC_OK && a->session->turn != a->turn)
        rc = fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_SUPERSEDED,
                              "another append has taken this upload over");
    return rc;
}

/* ---- making durable ---- */

/* From here to end_commit() no size is declared. */
static fp_status prepare_commit(fp_append *a, fp_upload **record, fp_error *err)
{
    fpi_session *s = a->session;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = check_turn(a, err);
    if (rc == FILEPROC_OK)
        rc = fpi_commit_reserve(a->ups, s, record, err);
    if (rc == FILEPROC_OK)
        s->committing++;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Whoever declares a size waits for that. */
static void end_commit(fpi_session *s)
{
    pthread_mutex_lock(&s->lock);
    s->committing--;
    pthread_cond_broadcast(&s->calmer);
    pthread_mutex_unlock(&s->lock);
}

/* The part ends at `at`; only with a digest before, at what is durable behind it. */
static fp_status make_durable(fp_append *a, fp_upload *record, fp_error *err)
{
    const fpi_commit c = {
        .ups = a->ups,
        .session = a->session,
        .epoch = a->epoch,
        .bytes = { a->part_begin, a->at < a->part_end ? a->at : a->part_end },
        .part = a->part,
        .digest = &a->digest,
    };

    return fpi_commit_run(&c, record, err);
}

static fp_status commit_part(fp_append *a, fp_upload **record, fp_error *err)
{
    fp_status rc;

    fpi_part_digest_finish(&a->digest, a->ups);
    rc = prepare_commit(a, record, err);
    if (rc == FILEPROC_OK) {
        rc = make_durable(a, record ? *record : NULL, err);
        end_commit(a->session);
    }
    end_part(a);
    return rc;
}

/* On the way: those who watch hear of it. */
static fp_status step(fp_append *a, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fp_status rc = commit_part(a, a->ups->on_progress ? &record : NULL, err);

    if (rc == FILEPROC_OK && record)
        fpi_upload_tell(a->ups, record);
    return rc;
}

/* ---- writing ---- */

/* The end of a chunk, so that parts of an s3 store stay whole slots. */
static uint64_t step_end(const fp_append *a)
{
    uint64_t end = a->at + a->ups->append_step;

    return a->expected.wanted ? UINT64_MAX : fpi_upload_chunks(end, a->chunk_size) * a->chunk_size;
}

/* With the lock held: what lies at `at`. */
static void look(fp_append *a)
{
    const fpi_session *s = a->session;
    uint64_t change = fpi_ranges_change(&s->durable, a->at);

    if (fpi_ranges_have(&s->durable, a->at, a->at + 1)) {
        a->pass_end = change;
        return;
    }
    a->part_begin = a->at;
    a->part_end = change < a->end ? change : a->end;
    if (step_end(a) < a->part_end)
        a->part_end = step_end(a);
    fpi_part_digest_begin(&a->digest, a->ups, s, a->at);
}

static fp_status begin_compare(fp_append *a, fp_error *err)
{
    if (a->compare || !fpi_reads_back(a->ups))
        return FILEPROC_OK;
    a->compare = fpi_alloc(&a->ups->ctx->a, FPI_COMPARE_SIZE);
    return a->compare ? FILEPROC_OK : fpi_no_memory(err);
}

/* A conflict says that a chunk has become durable there since `look`: then it is looked at again. */
static fp_status begin_part(fp_append *a, fp_error *err)
{
    fpi_session *s = a->session;
    fp_error e = { 0 };
    fp_status rc =
        fp_part_begin(s->assembly, a->part_begin, a->part_end - a->part_begin, &a->part, &e);

    a->part_began_ms = fpi_monotonic_ms();
    if (rc != FILEPROC_ERR_CONFLICT) {
        if (rc < 0 && err)
            *err = e;
        return rc;
    }
    rc = fpi_session_explain(a->ups, s, rc, &e, err);
    if (rc != FILEPROC_ERR_CONFLICT || e.cause)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = fpi_session_check_open(a->ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_catch_up(a->ups, s, err);
    if (rc == FILEPROC_OK && !fpi_ranges_touch(&s->durable, a->part_begin, a->part_end)) {
        if (err)
            *err = e;
        rc = FILEPROC_ERR_CONFLICT;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Makes sure that there is a place for the byte at `at`. */
static fp_status find_place(fp_append *a, fp_error *err)
{
    fpi_session *s = a->session;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && a->at >= a->pass_end && !(a->part && a->at < a->part_end)) {
        pthread_mutex_lock(&s->lock);
        if (a->part && !fpi_ranges_have(&s->durable, a->at, a->at + 1)) {
            rc = fp_error_setf(err, FILEPROC_ERR_INVALID,
                               "bytes with a digest must end at offset %llu, or what is behind it "
                               "must be sent apart",
                               (unsigned long long)a->at);
        } else {
            look(a);
        }
        pthread_mutex_unlock(&s->lock);
        if (rc < 0)
            break;
        rc = a->at < a->pass_end ? begin_compare(a, err) : begin_part(a, err);
    }
    return rc;
}

/* As long as the bytes that follow have one and the same way. */
static size_t slice_size(const fp_append *a, size_t size)
{
    size_t n = size < FPI_SLICE ? size : FPI_SLICE;
    uint64_t left = (a->at < a->pass_end ? a->pass_end : a->part_end) - a->at;
    uint64_t chunk = a->chunk_size - a->at % a->chunk_size;

    if (n > left)
        n = (size_t)left;
    return n > chunk ? (size_t)chunk : n;
}

static fp_status take_slice(fp_append *a, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    fpi_expectation_add(&a->expected, data, size);
    if (a->at < a->pass_end) {
        if (a->compare)
            rc = fpi_session_compare(a->ups, a->session, a->at, data, size, a->compare, err);
    } else {
        if (a->digest.whole || a->digest.apart)
            fpi_part_digest_add(&a->digest, a->ups, a->part_end - a->part_begin, data, size);
        rc = fp_part_write(a->part, data, size, err);
    }
    if (rc == FILEPROC_OK)
        a->at += size;
    return rc;
}

static bool is_step_due(const fp_append *a)
{
    if (!a->part || a->expected.wanted)
        return false;
    return a->at == a->part_end ||
           (a->at % a->chunk_size == 0 && fpi_monotonic_ms() - a->part_began_ms >= STEP_MS);
}

static fp_status take(fp_append *a, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && size) {
        size_t n;

        rc = find_place(a, err);
        if (rc < 0)
            break;
        n = slice_size(a, size);
        rc = take_slice(a, data, n, err);
        data += n;
        size -= n;
        /* The last part is left to the commit, which tells of it. */
        if (rc == FILEPROC_OK && is_step_due(a) && a->at < a->end)
            rc = step(a, err);
    }
    return rc;
}

static fp_status already_ended(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "the append is committed or has failed");
}

/* Too many bytes are no reason to lose those before. */
static fp_status check_room(fp_append *a, size_t size, fp_error *err)
{
    bool unknown;

    if (size <= a->end - a->at)
        return claim(a, a->at + size, err);
    pthread_mutex_lock(&a->session->lock);
    unknown = a->session->facts->size_unknown;
    pthread_mutex_unlock(&a->session->lock);
    return exceeded(a, unknown && !a->announced, a->end, err);
}

fp_status fp_append_write(fp_append *append, const void *data, size_t size, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc;

    if (!append || (!data && size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (append->ended)
        return already_ended(err);
    rc = check_room(append, size, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&append->session->lock);
    rc = check_turn(append, err);
    if (rc == FILEPROC_OK)
        rc = fpi_lease_keep(append->ups, append->session, append->epoch, err);
    pthread_mutex_unlock(&append->session->lock);
    if (rc == FILEPROC_OK) {
        rc = take(append, data, size, &e);
        if (rc < 0)
            rc = fpi_session_explain(append->ups, append->session, rc, &e, err);
    }
    append->ended = rc < 0;
    if (rc == FILEPROC_OK)
        fpi_expiry_slide(append->ups, append->session);
    return rc;
}

fp_status fp_append_expect(fp_append *append, const char *algorithm, const void *digest,
                           size_t size, fp_error *err)
{
    if (!append || !algorithm || !digest)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return append->ended ? already_ended(err)
                         : fpi_expect_told(&append->expected, algorithm, digest, size, err);
}

/* ---- commit ---- */

static fp_status commit(fp_append *a, fp_upload **record, fp_error *err)
{
    fp_status rc = fpi_expectation_check(&a->expected, err);

    if (rc < 0)
        return rc;
    if (a->part)
        return commit_part(a, record, err);
    pthread_mutex_lock(&a->session->lock);
    rc = check_turn(a, err);
    pthread_mutex_unlock(&a->session->lock);
    return rc < 0 || !record ? rc : fpi_session_record(a->ups, a->session, record, err);
}

fp_status fp_append_commit(fp_append *append, fp_upload **out, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    bool written;
    fp_status rc;

    if (!append)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (append->ended)
        return already_ended(err);
    append->ended = true;
    fpi_expiry_slide(append->ups, append->session);
    written = append->part != NULL;
    rc = commit(append, out || append->ups->on_progress ? &record : NULL, err);
    if (rc < 0)
        return rc;
    if (written && record)
        fpi_upload_tell(append->ups, record);
    if (out)
        *out = fpi_steal(&record);
    return FILEPROC_OK;
}
