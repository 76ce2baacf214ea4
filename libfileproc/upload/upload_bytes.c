/* Owns: what chunks and appends have in common on the way of their bytes into storage.
 * Must not know: which bytes belong together. */
#include "upload/upload_bytes.h"

#include <string.h>

static fp_status set(fpi_expectation *e, const char *algorithm, const void *digest, size_t size,
                     fpi_digest_algorithm *number, fp_error *err)
{
    fp_status rc = fpi_digest_by_name(algorithm, number, err);

    if (rc < 0)
        return rc;
    if (!digest || size != fpi_digest_size(*number))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a %s digest has %zu bytes", algorithm,
                             fpi_digest_size(*number));
    memcpy(e->value, digest, size);
    e->size = size;
    e->wanted = true;
    return FILEPROC_OK;
}

fp_status fpi_expect(fpi_expectation *e, const char *algorithm, const void *digest, size_t size,
                     fp_error *err)
{
    fpi_digest_algorithm number;
    fp_status rc;

    if (!algorithm)
        return FILEPROC_OK;
    rc = set(e, algorithm, digest, size, &number, err);
    if (rc == FILEPROC_OK)
        fpi_digest_init(&e->digest, number);
    return rc;
}

/* In the order of their numbers, which are from 1 on. */
fp_status fpi_expect_later(fpi_expectation *e, const fp_allocator *a, fp_error *err)
{
    e->each = fpi_calloc(a, FPI_DIGEST_CRC32C, sizeof(*e->each));
    if (!e->each)
        return fpi_no_memory(err);
    e->a = a;
    e->wanted = e->later = true;
    for (int i = 0; i < FPI_DIGEST_CRC32C; i++)
        fpi_digest_init(&e->each[i], (fpi_digest_algorithm)(i + 1));
    return FILEPROC_OK;
}

fp_status fpi_expect_told(fpi_expectation *e, const char *algorithm, const void *digest,
                          size_t size, fp_error *err)
{
    fpi_digest_algorithm number;
    fp_status rc;

    if (!e->later || !algorithm)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "no digest was to be told");
    rc = set(e, algorithm, digest, size, &number, err);
    if (rc < 0)
        return rc;
    e->digest = e->each[number - 1];
    e->later = false;
    return FILEPROC_OK;
}

void fpi_expectation_dispose(fpi_expectation *e)
{
    if (e->each)
        fpi_free(e->a, fpi_steal(&e->each));
}

void fpi_expectation_add(fpi_expectation *e, const void *data, size_t size)
{
    if (e->later)
        for (int i = 0; i < FPI_DIGEST_CRC32C; i++)
            fpi_digest_update(&e->each[i], data, size);
    else if (e->wanted)
        fpi_digest_update(&e->digest, data, size);
}

fp_status fpi_expectation_check(const fpi_expectation *e, fp_error *err)
{
    unsigned char value[FPI_DIGEST_MAX];

    if (!e->wanted)
        return FILEPROC_OK;
    if (e->later)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the digest was not told");
    fpi_digest_value(&e->digest, value);
    if (memcmp(value, e->value, e->size) == 0)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_DIGEST_MISMATCH,
                            "the digest of the bytes is another");
}

bool fpi_reads_back(const fp_uploads *ups)
{
    return !(ups->st->flags & FILEPROC_STORAGE_DRIVER_UNREADABLE);
}

fp_status fpi_session_read(fp_uploads *ups, const fpi_session *s, uint64_t offset, void *buffer,
                           size_t size, size_t *got, fp_error *err)
{
    char key[FPI_UPLOAD_KEY_SIZE];
    fp_error e = { 0 };
    fp_status rc = fp_assembly_read(s->assembly, offset, buffer, size, got, &e);

    if (rc != FILEPROC_ERR_NOTFOUND) {
        if (rc < 0 && err)
            *err = e;
        return rc;
    }
    fpi_upload_key(s->file_id, key);
    return fp_storage_read(ups->st, key, offset, buffer, size, got, err);
}

fp_status fpi_session_compare(fp_uploads *ups, const fpi_session *s, uint64_t offset,
                              const unsigned char *data, size_t size, unsigned char *buffer,
                              fp_error *err)
{
    for (size_t done = 0; done < size;) {
        size_t n = size - done < FPI_COMPARE_SIZE ? size - done : FPI_COMPARE_SIZE, got = 0;
        fp_status rc = fpi_session_read(ups, s, offset + done, buffer, n, &got, err);

        if (rc < 0)
            return rc;
        if (got != n || memcmp(buffer, data + done, n) != 0)
            return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT,
                                    "these bytes were stored before, and are others");
        done += n;
    }
    return FILEPROC_OK;
}

fp_status fpi_session_explain(fp_uploads *ups, fpi_session *s, fp_status rc, const fp_error *cause,
                              fp_error *err)
{
    fp_status ended = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (rc == FILEPROC_ERR_CONFLICT || rc == FILEPROC_ERR_NOTFOUND) {
        if (cause->cause != FILEPROC_REASON_CHUNK_SUPERSEDED)
            fpi_session_wait(s);
        ended = fpi_session_check_open(ups, s, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (ended < 0)
        return ended;
    if (err)
        *err = *cause;
    return rc;
}

void fpi_part_digest_begin(fpi_part_digest *d, const fp_uploads *ups, const fpi_session *s,
                           uint64_t offset)
{
    d->whole = s->hashed == offset;
    d->apart = !d->whole && !fpi_reads_back(ups);
    if (d->whole)
        d->sha256 = s->sha256;
    else if (d->apart)
        fpi_digest_init(&d->sha256, FPI_DIGEST_SHA256);
}

void fpi_part_digest_add(fpi_part_digest *d, fp_uploads *ups, uint64_t length, const void *data,
                         size_t size)
{
    if (length < FPI_HASHER_MIN || !fpi_hasher_add(&ups->hasher, &d->sha256, data, size))
        fpi_digest_update(&d->sha256, data, size);
}

void fpi_part_digest_finish(fpi_part_digest *d, fp_uploads *ups)
{
    fpi_hasher_finish(&ups->hasher, &d->sha256);
}

size_t fpi_part_digest_note(const fpi_part_digest *d, unsigned char note[FPI_SHA256_STATE_SIZE])
{
    if (d->whole)
        fpi_sha256_save(&d->sha256, note);
    else if (d->apart)
        fpi_digest_value(&d->sha256, note);
    return d->whole ? FPI_SHA256_STATE_SIZE : d->apart ? FPI_DIGEST_MAX : 0;
}

fp_status fpi_session_catch_up(const fp_uploads *ups, fpi_session *s, fp_error *err)
{
    size_t count = fp_assembly_part_count(s->assembly);
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fp_part_info part = FILEPROC_PART_INFO_INIT;

        rc = fp_assembly_part_at(s->assembly, i, &part, err);
        if (rc == FILEPROC_OK)
            rc = fpi_ranges_reserve(&s->durable, &ups->ctx->a, s->pins + 1, err);
        if (rc == FILEPROC_OK)
            fpi_session_note_part(s, part.offset, part.length, part.committed_ms);
    }
    return rc;
}
