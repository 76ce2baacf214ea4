/* Owns: one chunk on its way in: written to its place, or compared with what is there; its digest; its commit.
 * Must not know: how an upload begins and ends. docs/internals/uploads.md tells how writers get along. */
#include <string.h>

#include "core/options.h"
#include "upload/upload_commit.h"
#include "upload/upload_concat.h"
#include "upload/upload_expiry.h"
#include "upload/upload_lease.h"

struct fp_chunk {
    fp_uploads *ups;
    fpi_session *session; /* held and pinned */
    uint64_t index, offset, length, written;
    uint64_t chunk_size;
    uint64_t skip;  /* so many bytes were durable when it began: they are compared */
    uint64_t epoch; /* of the lease when it began */
    fp_part *part;  /* of the rest; NULL when there is none */
    unsigned char
        *compare;  /* FPI_COMPARE_SIZE bytes to read back into; NULL where the store can't */
    bool ended;    /* committed, or failed for good */
    bool checking; /* the digest must come to `recorded` */
    unsigned char recorded[FPI_DIGEST_MAX];
    fpi_expectation expected;
    fpi_part_digest
        digest; /* of the part; when there is none and it is checked, of the whole chunk */
};

static fp_status set_digest(fp_chunk *c, const fp_chunk_options *opts, fp_error *err)
{
    fp_chunk_options o = FILEPROC_CHUNK_OPTIONS_INIT;
    fp_status rc = fpi_options_import(&o, sizeof(o), opts, err);

    return rc < 0 ? rc : fpi_expect(&c->expected, o.digest_algorithm, o.digest, o.digest_size, err);
}

static fp_status set_place(fp_chunk *c, fp_error *err)
{
    const fp_upload *facts =
        c->session->facts; /* its size never changes, and the pin keeps it open */

    if (c->index >= facts->total_chunks)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_INDEX_INVALID,
                                "there is no chunk %llu: the upload has %llu",
                                (unsigned long long)c->index,
                                (unsigned long long)facts->total_chunks);
    c->chunk_size = facts->chunk_size;
    c->offset = c->index * facts->chunk_size;
    c->length = fpi_upload_chunk_length(facts, c->index);
    return FILEPROC_OK;
}

/* The digest that the chunk was stored with, and the state that leads to it: that of the whole up to its begin, or a fresh one.
 * Every chunk of a store that can't read back has one or the other in its note; what came by appending has not. */
static bool find_recorded(fp_chunk *c)
{
    const fp_assembly *a = c->session->assembly;
    fp_part_info part, before;
    fpi_digest end;

    fpi_digest_init(&c->digest.sha256, FPI_DIGEST_SHA256);
    if (!fpi_assembly_part_from(a, c->offset, &part) || part.length != c->length)
        return false;
    if (part.note_size == sizeof(c->recorded)) {
        memcpy(c->recorded, part.note, sizeof(c->recorded));
        return true;
    }
    if (part.note_size != FPI_SHA256_STATE_SIZE || fpi_sha256_load(&end, part.note, NULL) < 0)
        return false;
    fpi_digest_value(&end, c->recorded);
    if (c->offset == 0)
        return true;
    return fpi_assembly_part_from(a, c->offset - c->chunk_size, &before) &&
           before.length == c->chunk_size && before.note_size == FPI_SHA256_STATE_SIZE &&
           fpi_sha256_load(&c->digest.sha256, before.note, NULL) == FILEPROC_OK;
}

/* Of bytes that can neither be read back nor have a digest of their own nobody can say whether they are the same: they count as
 * sent again. */
static fp_status begin_compare(fp_chunk *c, fp_error *err)
{
    if (!fpi_reads_back(c->ups)) {
        c->checking = c->skip == c->length && find_recorded(c);
        return FILEPROC_OK;
    }
    c->compare = fpi_alloc(&c->ups->ctx->a, FPI_COMPARE_SIZE);
    return c->compare ? FILEPROC_OK : fpi_no_memory(err);
}

/* With the lock held: what of the chunk is there already. An append may have left off in the middle of it. */
static fp_status look(fp_chunk *c, fp_error *err)
{
    const fpi_ranges *durable = &c->session->durable;
    uint64_t end = c->offset + c->length, change = c->offset;

    c->skip = 0;
    c->digest.whole = c->digest.apart = false;
    if (fpi_ranges_have(durable, c->offset, c->offset + 1))
        change = fpi_ranges_change(durable, c->offset);
    if (change >= end) {
        c->skip = c->length;
        return FILEPROC_OK;
    }
    c->skip = change - c->offset;
    if (fpi_ranges_touch(durable, change, end))
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT,
                                "bytes in the middle of chunk %llu came by appending, which must "
                                "go on",
                                (unsigned long long)c->index);
    fpi_part_digest_begin(&c->digest, c->ups, c->session, change);
    return FILEPROC_OK;
}

/* With the session's lock not held. *again: something has become durable since it was looked for. */
static fp_status begin_part(fp_chunk *c, bool *again, fp_error *err)
{
    fpi_session *s = c->session;
    fp_error e = { 0 };
    fp_status rc =
        fp_part_begin(s->assembly, c->offset + c->skip, c->length - c->skip, &c->part, &e);

    if (rc == FILEPROC_ERR_CONFLICT && !*again) {
        *again = true;
        pthread_mutex_lock(&s->lock);
        fpi_session_wait(s);
        rc = fpi_session_check_open(c->ups, s, err);
        if (rc == FILEPROC_OK)
            rc = fpi_session_catch_up(c->ups, s, err);
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    *again = false;
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status begin(fp_chunk *c, fp_error *err)
{
    fpi_session *s = c->session;
    bool again = false;
    fp_status rc;

    do {
        pthread_mutex_lock(&s->lock);
        c->epoch = s->lease.epoch;
        rc = set_place(c, err);
        if (rc == FILEPROC_OK)
            rc = look(c, err);
        pthread_mutex_unlock(&s->lock);
        if (rc < 0 || c->skip == c->length)
            break;
        rc = begin_part(c, &again, err);
    } while (rc == FILEPROC_OK && again);
    return rc == FILEPROC_OK && c->skip ? begin_compare(c, err) : rc;
}

static void chunk_free(fp_chunk *c, bool pinned)
{
    fpi_part_digest_finish(&c->digest, c->ups);
    fp_part_free(c->part);
    if (pinned)
        fpi_session_unpin(c->ups, c->session);
    if (c->session)
        fpi_session_release(c->ups, c->session);
    fpi_free(&c->ups->ctx->a, c->compare);
    fpi_free(&c->ups->ctx->a, c);
}

fp_status fp_chunk_begin(fp_uploads *ups, const char *id, uint64_t index,
                         const fp_chunk_options *opts, fp_chunk **out, fp_error *err)
{
    bool pinned = false;
    fp_chunk *c;
    fp_status rc;

    if (!ups || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    c = fpi_calloc(&ups->ctx->a, 1, sizeof(*c));
    if (!c)
        return fpi_no_memory(err);
    c->ups = ups;
    c->index = index;
    rc = set_digest(c, opts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_open(ups, id, &c->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_concat_check_fillable(c->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_pin(ups, c->session, 0, err);
    pinned = rc == FILEPROC_OK;
    if (rc == FILEPROC_OK)
        rc = begin(c, err);
    if (rc < 0)
        chunk_free(c, pinned);
    else
        *out = c;
    return rc;
}

void fp_chunk_free(fp_chunk *chunk)
{
    if (chunk)
        chunk_free(chunk, true);
}

uint64_t fp_chunk_length(const fp_chunk *chunk)
{
    return chunk ? chunk->length : 0;
}

/* ---- writing ---- */

static bool is_summed(const fp_chunk *c)
{
    return c->checking || ((c->digest.whole || c->digest.apart) && c->written >= c->skip);
}

static fp_status take_slice(fp_chunk *c, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    fpi_expectation_add(&c->expected, data, size);
    if (is_summed(c))
        fpi_part_digest_add(&c->digest, c->ups, c->length, data, size);
    if (c->written >= c->skip)
        rc = fp_part_write(c->part, data, size, err);
    else if (c->compare)
        rc = fpi_session_compare(c->ups, c->session, c->offset + c->written, data, size, c->compare,
                                 err);
    if (rc == FILEPROC_OK)
        c->written += size;
    return rc;
}

/* As long as the bytes that follow have one and the same way. */
static size_t slice_size(const fp_chunk *c, size_t size)
{
    size_t n = size < FPI_SLICE ? size : FPI_SLICE;

    return c->written < c->skip && n > c->skip - c->written ? (size_t)(c->skip - c->written) : n;
}

static fp_status take(fp_chunk *c, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (size > c->length - c->written)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID,
                                "chunk %llu has %llu bytes, and more arrived",
                                (unsigned long long)c->index, (unsigned long long)c->length);
    while (rc == FILEPROC_OK && size) {
        size_t n = slice_size(c, size);

        rc = take_slice(c, data, n, err);
        data += n;
        size -= n;
    }
    return rc;
}

static fp_status already_ended(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "the chunk is committed or has failed");
}

fp_status fp_chunk_write(fp_chunk *chunk, const void *data, size_t size, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc;

    if (!chunk || (!data && size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (chunk->ended)
        return already_ended(err);
    pthread_mutex_lock(&chunk->session->lock);
    rc = fpi_session_check_open(chunk->ups, chunk->session, err);
    if (rc == FILEPROC_OK)
        rc = fpi_lease_keep(chunk->ups, chunk->session, chunk->epoch, err);
    pthread_mutex_unlock(&chunk->session->lock);
    if (rc == FILEPROC_OK) {
        rc = take(chunk, data, size, &e);
        if (rc < 0)
            rc = fpi_session_explain(chunk->ups, chunk->session, rc, &e, err);
    }
    chunk->ended = rc < 0;
    if (rc == FILEPROC_OK)
        fpi_expiry_slide(chunk->ups, chunk->session);
    return rc;
}

/* ---- commit ---- */

static bool is_recorded(const fp_chunk *c)
{
    unsigned char value[FPI_DIGEST_MAX];

    fpi_digest_value(&c->digest.sha256, value);
    return memcmp(value, c->recorded, sizeof(value)) == 0;
}

static fp_status check_whole(const fp_chunk *c, fp_error *err)
{
    if (c->written != c->length)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID,
                                "chunk %llu has %llu bytes, and only %llu arrived",
                                (unsigned long long)c->index, (unsigned long long)c->length,
                                (unsigned long long)c->written);
    if (c->checking && !is_recorded(c))
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT,
                                "chunk %llu was stored before, with other bytes",
                                (unsigned long long)c->index);
    return fpi_expectation_check(&c->expected, err);
}

/* record: NULL when nobody wants it. */
static fp_status commit(fp_chunk *c, fp_upload **record, fp_error *err)
{
    fpi_session *s = c->session;
    const fpi_commit what = {
        .ups = c->ups,
        .session = s,
        .epoch = c->epoch,
        .bytes = { c->offset + c->skip, c->offset + c->length },
        .part = c->part,
        .digest = &c->digest,
    };
    fp_status rc;

    fpi_part_digest_finish(&c->digest, c->ups);
    rc = check_whole(c, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = fpi_session_check_open(c->ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_commit_reserve(c->ups, s, record, err);
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? rc : fpi_commit_run(&what, record ? *record : NULL, err);
}

fp_status fp_chunk_commit(fp_chunk *chunk, fp_upload **out, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    fp_status rc;

    if (!chunk)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (chunk->ended)
        return already_ended(err);
    chunk->ended = true;
    fpi_expiry_slide(chunk->ups, chunk->session);
    rc = commit(chunk, out || chunk->ups->on_progress ? &record : NULL, err);
    if (rc < 0)
        return rc;
    if (chunk->part)
        fpi_upload_tell(chunk->ups, record);
    if (out)
        *out = fpi_steal(&record);
    return FILEPROC_OK;
}
