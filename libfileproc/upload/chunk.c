/* Owns: one chunk on its way in: written to its place, or compared with what is there; its digest; its commit.
 * Must not know: how an upload begins and ends. docs/internals/uploads.md tells how writers get along. */
#include <assert.h>
#include <string.h>

#include "core/options.h"
#include "upload/upload_lease.h"
#include "upload/upload_private.h"

/* Bytes pass through the digests and into the file in slices that stay in the processor's cache from the first to the
 * last who reads them. */
#define SLICE (128u * 1024u)
#define COMPARE_SIZE (64u * 1024u)
/* Shorter chunks are not worth waking another thread for. */
#define HASHER_MIN (1024u * 1024u)

struct fp_chunk {
    fp_uploads *ups;
    fpi_session *session; /* held and pinned */
    uint64_t index, offset, length, written;
    uint64_t epoch;         /* of the lease when it began */
    fp_part *part;          /* NULL: the chunk is durable, and compared */
    unsigned char *compare; /* COMPARE_SIZE bytes to read back into; NULL: `recorded` tells */
    bool ended;             /* committed, or failed for good */
    bool hashing;           /* `sha256` goes on from where the session's was at the beginning */
    bool apart;             /* `sha256` is of this chunk alone: the store can't read it back */
    unsigned char recorded[FPI_DIGEST_MAX]; /* the value that `sha256` must come to */
    bool digesting;                         /* the caller gave a digest */
    size_t expected_size;
    unsigned char expected[FPI_DIGEST_MAX];
    fpi_digest digest;
    fpi_digest sha256; /* the hasher's until it has finished */
};

static fp_status set_digest(fp_chunk *c, const fp_chunk_options *opts, fp_error *err)
{
    fp_chunk_options o = FILEPROC_CHUNK_OPTIONS_INIT;
    fpi_digest_algorithm algorithm;
    fp_status rc = fpi_options_import(&o, sizeof(o), opts, err);

    if (rc < 0 || !o.digest_algorithm)
        return rc;
    rc = fpi_digest_by_name(o.digest_algorithm, &algorithm, err);
    if (rc < 0)
        return rc;
    if (!o.digest || o.digest_size != fpi_digest_size(algorithm))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a %s digest has %zu bytes",
                             o.digest_algorithm, fpi_digest_size(algorithm));
    memcpy(c->expected, o.digest, o.digest_size);
    c->expected_size = o.digest_size;
    c->digesting = true;
    fpi_digest_init(&c->digest, algorithm);
    return FILEPROC_OK;
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
    c->offset = c->index * facts->chunk_size;
    c->length = fpi_upload_chunk_length(facts, c->index);
    return FILEPROC_OK;
}

static bool reads_back(const fp_chunk *c)
{
    return !(c->ups->st->flags & FILEPROC_STORAGE_DRIVER_UNREADABLE);
}

/* The digest that the chunk was stored with, and the state that leads to it: that of the whole up to its begin, or a fresh one.
 * Every chunk of a store that can't read back has one or the other in its note. */
static bool find_recorded(fp_chunk *c)
{
    const fp_assembly *a = c->session->assembly;
    fp_part_info part, before;
    fpi_digest end;

    fpi_digest_init(&c->sha256, FPI_DIGEST_SHA256);
    if (!fpi_assembly_part_from(a, c->offset, &part))
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
    return fpi_assembly_part_from(a, c->offset - c->session->facts->chunk_size, &before) &&
           before.note_size == FPI_SHA256_STATE_SIZE &&
           fpi_sha256_load(&c->sha256, before.note, NULL) == FILEPROC_OK;
}

static fp_status begin_compare(fp_chunk *c, fp_error *err)
{
    if (!reads_back(c) && find_recorded(c)) {
        c->hashing = c->apart = false;
        return FILEPROC_OK;
    }
    c->compare = fpi_alloc(&c->ups->ctx->a, COMPARE_SIZE);
    return c->compare ? FILEPROC_OK : fpi_no_memory(err);
}

/* The digest of the whole goes on with a chunk that begins where the hashed bytes end. */
static void begin_hashing(fp_chunk *c)
{
    const fpi_session *s = c->session;

    c->hashing = s->hashed == c->offset;
    c->apart = !c->hashing && !reads_back(c);
    if (c->hashing)
        c->sha256 = s->sha256;
    else if (c->apart)
        fpi_digest_init(&c->sha256, FPI_DIGEST_SHA256);
}

/* With the session's lock not held. A conflict says that the chunk has become durable since it was looked for. */
static fp_status begin_part(fp_chunk *c, fp_error *err)
{
    fpi_session *s = c->session;
    fp_error e = { 0 };
    fp_status rc = fp_part_begin(s->assembly, c->offset, c->length, &c->part, &e);

    if (rc == FILEPROC_ERR_CONFLICT) {
        pthread_mutex_lock(&s->lock);
        fpi_session_wait(s);
        rc = fpi_session_check_open(c->ups, s, err);
        pthread_mutex_unlock(&s->lock);
        return rc < 0 ? rc : begin_compare(c, err);
    }
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status begin(fp_chunk *c, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status rc = FILEPROC_OK;
    bool durable = false;

    pthread_mutex_lock(&s->lock);
    c->epoch = s->lease.epoch;
    rc = set_place(c, err);
    if (rc == FILEPROC_OK)
        durable = fpi_session_has_chunk(s, c->index);
    if (rc == FILEPROC_OK && !durable)
        begin_hashing(c);
    pthread_mutex_unlock(&s->lock);
    if (rc < 0)
        return rc;
    return durable ? begin_compare(c, err) : begin_part(c, err);
}

static void chunk_free(fp_chunk *c, bool pinned)
{
    fpi_hasher_finish(&c->ups->hasher, &c->sha256);
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
        rc = fpi_session_pin(ups, c->session, err);
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

static fp_status chunk_conflict(const fp_chunk *c, fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT,
                            "chunk %llu was stored before, with other bytes",
                            (unsigned long long)c->index);
}

/* The upload may be published meanwhile; then its bytes are the object's. */
static fp_status read_back(const fp_chunk *c, uint64_t offset, size_t size, size_t *got,
                           fp_error *err)
{
    char key[FPI_UPLOAD_KEY_SIZE];
    fp_status rc = fp_assembly_read(c->session->assembly, offset, c->compare, size, got, err);

    if (rc != FILEPROC_ERR_NOTFOUND)
        return rc;
    fpi_upload_key(c->session->file_id, key);
    return fp_storage_read(c->ups->st, key, offset, c->compare, size, got, err);
}

static fp_status compare_slice(const fp_chunk *c, const unsigned char *data, size_t size,
                               fp_error *err)
{
    for (size_t done = 0; done < size;) {
        size_t n = size - done < COMPARE_SIZE ? size - done : COMPARE_SIZE, got = 0;
        fp_status rc = read_back(c, c->offset + c->written + done, n, &got, err);

        if (rc < 0)
            return rc;
        if (got != n || memcmp(c->compare, data + done, n) != 0)
            return chunk_conflict(c, err);
        done += n;
    }
    return FILEPROC_OK;
}

static bool is_summed(const fp_chunk *c)
{
    return c->hashing || c->apart || (!c->part && !c->compare);
}

/* Behind a copy that another thread hashes, or else here. */
static void hash_slice(fp_chunk *c, const unsigned char *data, size_t size)
{
    if (!is_summed(c))
        return;
    if (c->length < HASHER_MIN || !fpi_hasher_add(&c->ups->hasher, &c->sha256, data, size))
        fpi_digest_update(&c->sha256, data, size);
}

static fp_status take_slice(fp_chunk *c, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (c->digesting)
        fpi_digest_update(&c->digest, data, size);
    hash_slice(c, data, size);
    if (c->part)
        rc = fp_part_write(c->part, data, size, err);
    else if (c->compare)
        rc = compare_slice(c, data, size, err);
    if (rc == FILEPROC_OK)
        c->written += size;
    return rc;
}

static fp_status take(fp_chunk *c, const unsigned char *data, size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (size > c->length - c->written)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID,
                                "chunk %llu has %llu bytes, and more arrived",
                                (unsigned long long)c->index, (unsigned long long)c->length);
    while (rc == FILEPROC_OK && size) {
        size_t n = size < SLICE ? size : SLICE;

        rc = take_slice(c, data, n, err);
        data += n;
        size -= n;
    }
    return rc;
}

/* What storage says about a part may have its reason in the upload, which has ended meanwhile. */
static fp_status explain(const fp_chunk *c, fp_status rc, const fp_error *cause, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status ended = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (rc == FILEPROC_ERR_CONFLICT || rc == FILEPROC_ERR_NOTFOUND) {
        if (cause->cause != FILEPROC_REASON_CHUNK_SUPERSEDED)
            fpi_session_wait(s);
        ended = fpi_session_check_open(c->ups, s, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (ended < 0)
        return ended;
    if (err)
        *err = *cause;
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
            rc = explain(chunk, rc, &e, err);
    }
    chunk->ended = rc < 0;
    return rc;
}

/* ---- commit ---- */

static fp_status check_digest(const fp_chunk *c, fp_error *err)
{
    unsigned char value[FPI_DIGEST_MAX];

    if (!c->digesting)
        return FILEPROC_OK;
    fpi_digest_value(&c->digest, value);
    if (memcmp(value, c->expected, c->expected_size) == 0)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_DIGEST_MISMATCH,
                            "the digest of chunk %llu is another", (unsigned long long)c->index);
}

static bool is_recorded(const fp_chunk *c)
{
    unsigned char value[FPI_DIGEST_MAX];

    fpi_digest_value(&c->sha256, value);
    return memcmp(value, c->recorded, sizeof(value)) == 0;
}

static fp_status check_whole(const fp_chunk *c, fp_error *err)
{
    if (c->written != c->length)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID,
                                "chunk %llu has %llu bytes, and only %llu arrived",
                                (unsigned long long)c->index, (unsigned long long)c->length,
                                (unsigned long long)c->written);
    if (!c->part && !c->compare && !is_recorded(c))
        return chunk_conflict(c, err);
    return check_digest(c, err);
}

/* The state of the digest of the whole behind this chunk, or the digest of the chunk alone. */
static size_t make_note(const fp_chunk *c, unsigned char note[FPI_SHA256_STATE_SIZE])
{
    if (c->hashing)
        fpi_sha256_save(&c->sha256, note);
    else if (c->apart)
        fpi_digest_value(&c->sha256, note);
    return c->hashing ? FPI_SHA256_STATE_SIZE : c->apart ? FPI_DIGEST_MAX : 0;
}

static fp_status commit_part(fp_chunk *c, fp_error *err)
{
    unsigned char note[FPI_SHA256_STATE_SIZE];
    fp_error e = { 0 };
    size_t size;
    fp_status rc;

    if (!c->part)
        return FILEPROC_OK;
    size = make_note(c, note);
    rc = fp_part_commit(c->part, size ? note : NULL, size, &e);
    if (rc == FILEPROC_ERR_IO ||
        rc == FILEPROC_ERR_QUOTA) { /* of a sync, perhaps: then no other can succeed */
        pthread_mutex_lock(&c->session->lock);
        c->session->broken = true;
        pthread_mutex_unlock(&c->session->lock);
    }
    return rc < 0 ? explain(c, rc, &e, err) : FILEPROC_OK;
}

/* The chunk is durable. But when the upload has ended meanwhile its bytes go with it. */
static fp_status note_commit(fp_chunk *c, fp_upload *record, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (s->state != FPI_UPLOAD_OPEN)
        rc = fpi_session_check_open(c->ups, s, err);
    if (rc == FILEPROC_OK) {
        fpi_session_note_chunk(s, c->index, c->length, fpi_now_ms(c->ups->ctx));
        if (c->hashing && s->hashed == c->offset) {
            s->sha256 = c->sha256;
            s->hashed += c->length;
        }
        if (record)
            fpi_session_show(s, record);
        fpi_lease_tell(c->ups, s);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* All that can fail for want of memory comes before the chunk is durable. */
static fp_status commit(fp_chunk *c, bool wanted, fp_upload **record, fp_error *err)
{
    fpi_session *s = c->session;
    fp_status rc;

    fpi_hasher_finish(&c->ups->hasher, &c->sha256);
    rc = check_whole(c, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = fpi_session_check_open(c->ups, s, err);
    if (rc == FILEPROC_OK && wanted)
        rc = fpi_upload_copy(c->ups->ctx, s->facts, record, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK && c->part)
        rc = fpi_lease_fence(c->ups, s, c->epoch, err);
    if (rc == FILEPROC_OK)
        rc = commit_part(c, err);
    return rc < 0 ? rc : note_commit(c, *record, err);
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
    rc = commit(chunk, out || chunk->ups->on_progress, &record, err);
    if (rc < 0)
        return rc;
    if (chunk->part)
        fpi_upload_tell(chunk->ups, record);
    if (out)
        *out = fpi_steal(&record);
    return FILEPROC_OK;
}
