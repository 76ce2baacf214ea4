/* Owns: the SHA-256 of a whole upload whose chunks did not come in order, and whether it is the one that was said at the beginning.
 * Must not know: how chunks arrive, and what completion writes. */
#include "upload/upload_verify.h"

#include <string.h>

#include "core/ascii.h"
#include "core/hex.h"
#include "upload/upload_bytes.h"
#include "upload/upload_lease.h"

/* Large enough for a network, small enough for the processor's cache. */
#define READ_SIZE ((size_t)1024 * 1024)
#define HEX_SIZE (2 * (size_t)FPI_DIGEST_MAX)

/* Reading back, from where the chunks in order end. */
typedef struct hashing {
    fp_uploads *ups;
    fpi_session *session;
    unsigned char *buf;
    uint64_t at, size, epoch;
    fpi_digest sha256;
    bool published; /* from the object */
} hashing;

static void hashing_dispose(hashing *h)
{
    fpi_free(&h->ups->ctx->a, h->buf);
}
FPI_DEFINE_DISPOSE(hashing, hashing_dispose)

/* An upload that was published before a crash is staged no more, though its session is open. What is staged on a network can't be
 * read, so a published one there is read as the object that it is. */
static fp_status read_some(hashing *h, size_t size, size_t *got, fp_error *err)
{
    char key[FPI_UPLOAD_KEY_SIZE];

    if (!h->published)
        return fpi_session_read(h->ups, h->session, h->at, h->buf, size, got, err);
    fpi_upload_key(h->session->file_id, key);
    return fp_storage_read(h->ups->st, key, h->at, h->buf, size, got, err);
}

/* What was done is kept, so that who comes after a failure goes on behind it. */
static fp_status keep(hashing *h, fp_error *err)
{
    fpi_session *s = h->session;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    if (h->at > s->hashed) {
        s->sha256 = h->sha256;
        s->hashed = h->at;
    }
    rc = fpi_session_check_open(h->ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_lease_keep(h->ups, s, h->epoch, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Bytes that were staged and are gone are found by the publication, which knows what that means for the upload. */
static fp_status too_short(const hashing *h, fp_error *err)
{
    if (!h->published)
        return FILEPROC_OK;
    return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "what is stored is too short");
}

static fp_status hash_rest(hashing *h, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (h->at < h->size) {
        h->buf = fpi_alloc(&h->ups->ctx->a, READ_SIZE);
        if (!h->buf)
            return fpi_no_memory(err);
    }
    while (rc == FILEPROC_OK && h->at < h->size) {
        uint64_t left = h->size - h->at;
        size_t got = 0;

        rc = read_some(h, left < READ_SIZE ? (size_t)left : READ_SIZE, &got, err);
        if (rc == FILEPROC_OK && got == 0)
            return too_short(h, err);
        if (rc < 0)
            break;
        fpi_digest_update(&h->sha256, h->buf, got);
        h->at += got;
        rc = keep(h, err);
    }
    return rc;
}

/* With the lock held. */
static hashing begin(fp_uploads *ups, fpi_session *s, bool published)
{
    return (hashing){ .ups = ups,
                      .session = s,
                      .at = s->hashed,
                      .size = s->facts->size,
                      .epoch = s->lease.epoch,
                      .sha256 = s->sha256,
                      .published = published };
}

/* With the lock held. */
static bool is_wanted(const fp_uploads *ups, const fpi_session *s)
{
    return s->facts->expected_sha256 && s->state == FPI_UPLOAD_OPEN &&
           s->hashed != s->facts->size && fpi_reads_back(ups);
}

/* By one who has it pinned. One thread hashes, the others wait for what it comes to. */
static fp_status verify_pinned(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_DISPOSE(hashing) h = { .ups = ups };
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    while (s->verifying)
        pthread_cond_wait(&s->calmer, &s->lock);
    if (is_wanted(ups, s) && !s->facts->size_unknown && s->bytes == s->facts->size) {
        h = begin(ups, s, false);
        s->verifying = true;
        pthread_mutex_unlock(&s->lock);
        rc = hash_rest(&h, err);
        pthread_mutex_lock(&s->lock);
        s->verifying = false;
        pthread_cond_broadcast(&s->calmer);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fpi_verify_staged(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fp_error e = { 0 };
    bool wanted;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    wanted = is_wanted(ups, s);
    pthread_mutex_unlock(&s->lock);
    if (!wanted)
        return FILEPROC_OK;
    rc = fpi_session_pin(ups, s, 0, &e);
    if (rc ==
        FILEPROC_ERR_CONFLICT) /* it has ended meanwhile; completion knows what to say of that */
        return FILEPROC_OK;
    if (rc == FILEPROC_OK) {
        rc = verify_pinned(ups, s, &e);
        fpi_session_unpin(ups, s);
    }
    if (rc < 0 && err)
        *err = e;
    return rc;
}

fp_status fpi_verify_published(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    FPI_DISPOSE(hashing) h = { .ups = ups };

    pthread_mutex_lock(&s->lock);
    h = begin(ups, s, true);
    pthread_mutex_unlock(&s->lock);
    return hash_rest(&h, err);
}

bool fpi_verify_digest(fpi_session *s, char sha256[2 * FPI_DIGEST_MAX + 1])
{
    unsigned char digest[FPI_DIGEST_MAX];
    bool known;

    pthread_mutex_lock(&s->lock);
    known = s->hashed == s->facts->size;
    if (known) {
        fpi_digest_value(&s->sha256, digest);
        fpi_hex(digest, fpi_digest_size(FPI_DIGEST_SHA256), sha256);
    }
    pthread_mutex_unlock(&s->lock);
    return known;
}

bool fpi_verify_has_failed(const fp_upload *facts)
{
    return facts && facts->expected_sha256 && facts->sha256 &&
           strcmp(facts->expected_sha256, facts->sha256) != 0;
}

fp_status fpi_verify_mismatch(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_SHA256_MISMATCH,
                            "the bytes that arrived have another SHA-256 than was said at the "
                            "beginning; the upload has failed");
}

fp_status fpi_verify_normalise(const char *given, char sha256[2 * FPI_DIGEST_MAX + 1],
                               fp_error *err)
{
    size_t n = 0;

    for (; n < HEX_SIZE; n++) {
        if (fpi_hex_digit(given[n]) < 0)
            break;
        sha256[n] = fpi_ascii_lower(given[n]);
    }
    if (n < HEX_SIZE || given[n])
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID,
                                "sha256 must have %zu hex digits", HEX_SIZE);
    sha256[n] = 0;
    return FILEPROC_OK;
}
