/* Owns: what chunks and appends have in common on the way of their bytes into storage.
 * Must not know: which bytes belong together. */
#ifndef FPI_UPLOAD_BYTES_H
#define FPI_UPLOAD_BYTES_H

#include "upload/upload_private.h"

/** Bytes pass through the digests and into the file in slices that stay in the processor's cache from the first to the
 *  last who reads them. */
#define FPI_SLICE ((size_t)128 * 1024)
/** Size of the buffer that stored bytes are read back into. */
#define FPI_COMPARE_SIZE ((size_t)64 * 1024)
/** Shorter runs of bytes are not worth waking another thread for. */
#define FPI_HASHER_MIN ((uint64_t)1024 * 1024)

/** A digest that the caller gave. */
typedef struct fpi_expectation {
    bool wanted;
    bool later;       /* it is not known yet, and neither is the algorithm */
    fpi_digest *each; /* then: one of each algorithm, with `a` */
    const fp_allocator *a;
    size_t size;
    unsigned char value[FPI_DIGEST_MAX];
    fpi_digest digest;
} fpi_expectation;

/** INVALID: an algorithm that we don't have, or a digest of another size. algorithm may be NULL. */
fp_status fpi_expect(fpi_expectation *e, const char *algorithm, const void *digest, size_t size,
                     fp_error *err);
/** One that fpi_expect_told() will tell. */
fp_status fpi_expect_later(fpi_expectation *e, const fp_allocator *a, fp_error *err);
/** INVALID as fpi_expect(), or when nothing was to be told. */
fp_status fpi_expect_told(fpi_expectation *e, const char *algorithm, const void *digest,
                          size_t size, fp_error *err);
void fpi_expectation_dispose(fpi_expectation *e);
void fpi_expectation_add(fpi_expectation *e, const void *data, size_t size);
/** INVALID with digest_mismatch. */
fp_status fpi_expectation_check(const fpi_expectation *e, fp_error *err);

/** Whether what is staged can be read. */
bool fpi_reads_back(const fp_uploads *ups);
/** From what is staged, or from the object when the upload is published meanwhile. */
fp_status fpi_session_read(fp_uploads *ups, const fpi_session *s, uint64_t offset, void *buffer,
                           size_t size, size_t *got, fp_error *err);

/** SHA-256 of the bytes of one part. {0} is none. */
typedef struct fpi_part_digest {
    bool whole;        /* it goes on from the session's, which ends where the part begins */
    bool apart;        /* it is of this part alone: the store can't read it back */
    fpi_digest sha256; /* the hasher's until fpi_part_digest_finish() */
} fpi_part_digest;

/** With the lock held: for a part that begins at `offset`. */
void fpi_part_digest_begin(fpi_part_digest *d, const fp_uploads *ups, const fpi_session *s,
                           uint64_t offset);
/** Behind a copy that another thread hashes, or else here. `length` is what is to come at the most, all in all. */
void fpi_part_digest_add(fpi_part_digest *d, fp_uploads *ups, uint64_t length, const void *data,
                         size_t size);
void fpi_part_digest_finish(fpi_part_digest *d, fp_uploads *ups);
/** Finished: what the part's record keeps of it. Answers its size. */
size_t fpi_part_digest_note(const fpi_part_digest *d, unsigned char note[FPI_SHA256_STATE_SIZE]);

/** CONFLICT with chunk_conflict when the stored bytes at `offset` are others. `buffer` has FPI_COMPARE_SIZE bytes. */
fp_status fpi_session_compare(fp_uploads *ups, const fpi_session *s, uint64_t offset,
                              const unsigned char *data, size_t size, unsigned char *buffer,
                              fp_error *err);

/** What storage says about a part may have its reason in the upload, which has ended meanwhile. */
fp_status fpi_session_explain(fp_uploads *ups, fpi_session *s, fp_status rc, const fp_error *cause,
                              fp_error *err);

/** With the lock held: takes note of parts that are committed and whose writers have not come to say so yet. */
fp_status fpi_session_catch_up(const fp_uploads *ups, fpi_session *s, fp_error *err);

#endif
