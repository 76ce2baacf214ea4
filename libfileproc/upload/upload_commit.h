/* Owns: the last step of bytes into an upload: from staged to durable, known, and fit to be acknowledged.
 * Must not know: which way they came.
 *
 * Nobody may write who has lost the lease, so it is asked for before, and until it is over whoever takes the upload over waits; and what was
 * written after it was lost may not be acknowledged, so it is looked at again behind. Only then the session takes note. */
#ifndef FPI_UPLOAD_COMMIT_H
#define FPI_UPLOAD_COMMIT_H

#include "upload/upload_bytes.h"

/** Bytes that are to count. With neither part nor adoption they count already. */
typedef struct fpi_commit {
    fp_uploads *ups;
    fpi_session *session; /* pinned */
    uint64_t epoch;       /* of the lease when they began to come */
    fpi_range bytes;
    fp_part *part;                 /* that was written here; or */
    const fp_adoption *adoption;   /* what was written to the store by others */
    const fpi_part_digest *digest; /* finished */
} fpi_commit;

/** With the lock held: all that may fail for want of memory, so before anything is durable. record: to be shown; NULL when nobody
 *  wants it. */
fp_status fpi_commit_reserve(fp_uploads *ups, fpi_session *s, fp_upload **record, fp_error *err);

/** Without the lock. Brings record, unless NULL, up to date; telling of it is left to the caller. But when the upload has ended meanwhile
 *  the bytes go with it. A failure that may be that of a sync is noted. */
fp_status fpi_commit_run(const fpi_commit *c, fp_upload *record, fp_error *err);

#endif
