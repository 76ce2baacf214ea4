/* Owns: the rows of upload sessions: how they are written and read.
 * Must not know: chunks, and what is staged. */
#ifndef FPI_UPLOAD_ROW_H
#define FPI_UPLOAD_ROW_H

#include "core/uuid.h"
#include "database/database_private.h"
#include "upload/upload_record.h"

/** What a row says of a session. Whether an open one has chunks is not in it. */
typedef enum fpi_upload_state {
    FPI_UPLOAD_OPEN,
    FPI_UPLOAD_COMPLETED,
    FPI_UPLOAD_FAILED,
    FPI_UPLOAD_CANCELLED,
    FPI_UPLOAD_EXPIRED
} fpi_upload_state;

/** A row as it was read. */
typedef struct fpi_upload_row {
    fp_upload *upload; /* as a caller may see it, without chunks */
    fpi_upload_state state;
    char file_id[FPI_UUID_SIZE]; /* also of one that is not completed */
    bool reused;                 /* completed when it was created, without bytes of the client's */
    uint64_t claimed;            /* without a size: bytes that its owner's limit has set aside */
} fpi_upload_row;

void fpi_upload_row_dispose(fpi_upload_row *row);
FPI_DEFINE_DISPOSE(fpi_upload_row, fpi_upload_row_dispose)

/** The status that callers see, a literal. */
const char *fpi_upload_status(fpi_upload_state state, uint64_t bytes);

/** The state of a row's status; CORRUPT when it is none. */
fp_status fpi_upload_state_read(const char *name, fpi_upload_state *state, fp_error *err);

/** NOTFOUND with upload_not_found. */
fp_status fpi_upload_not_found(fp_error *err);

struct fpi_idempotency;
struct fpi_upload_sources;
/** EXISTS when its idempotency key is used. sources: of a final upload; else NULL. */
fp_status fpi_upload_row_insert(fp_uploads *ups, const fp_upload *upload, const char *file_id,
                                const struct fpi_idempotency *key,
                                const struct fpi_upload_sources *sources, fp_error *err);

/** Inside a transaction, or in one of its own. */
fp_status fpi_upload_row_select(fp_uploads *ups, fp_tx *tx, const char *id, fpi_upload_row *out,
                                fp_error *err);
fp_status fpi_upload_row_read(fp_uploads *ups, const char *id, fpi_upload_row *out, fp_error *err);

/** Inside a transaction: an open session becomes a completed one; *changed is 0 when it was not open. */
fp_status fpi_upload_row_complete(fp_tx *tx, const fp_upload *upload, uint64_t *changed,
                                  fp_error *err);

/** An open session without a size gets it; *changed is 0 when it was not open, or had one. */
fp_status fpi_upload_row_set_size(fp_uploads *ups, const fp_upload *upload, uint64_t *changed,
                                  fp_error *err);

/** Inside a transaction: an open session ends in another way. */
fp_status fpi_upload_row_end(fp_tx *tx, const char *id, fpi_upload_state state, int64_t now_ms,
                             uint64_t *changed, fp_error *err);
/** The same for one whose time is over, unless that was moved meanwhile. */
fp_status fpi_upload_row_expire(fp_tx *tx, const char *id, int64_t now_ms, uint64_t *changed,
                                fp_error *err);
/** The same in a transaction of its own. When the session was not open, *instead is what its row says. */
fp_status fpi_upload_row_finish(fp_uploads *ups, const char *id, fpi_upload_state state,
                                fpi_upload_row *instead, fp_error *err);

/** The same for one whose bytes are others than was said: it has failed, and these are their SHA-256. */
fp_status fpi_upload_row_mismatch(fp_uploads *ups, const char *id, const char *sha256,
                                  fpi_upload_row *instead, fp_error *err);

/** Nothing is stored any more for a session that ended without a file. */
fp_status fpi_upload_row_clear(fp_uploads *ups, const char *id, fp_error *err);

#endif
