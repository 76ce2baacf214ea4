/* Owns: what the idempotency keys of clients were used for, and the first answer to such a request.
 * Must not know: HTTP, and how uploads grow. */
#ifndef FPI_IDEMPOTENCY_H
#define FPI_IDEMPOTENCY_H

#include <stdbool.h>

#include "core/digest.h"
#include "upload/upload_row.h"

#define FPI_IDEMPOTENCY_HEX (2 * FPI_DIGEST_MAX + 1)

/** A key with its request, as they are stored. */
typedef struct fpi_idempotency {
    char key[FPI_IDEMPOTENCY_HEX]; /* empty: none was given */
    char request[FPI_IDEMPOTENCY_HEX];
} fpi_idempotency;

struct fpi_upload_sources;
/** Of fp_upload_create(), whose request has a key or none, or of fp_upload_concat(), which has sources, too. INVALID with
 *  parameter_invalid for a key that is none. */
fp_status fpi_idempotency_of_create(const fp_upload_request *req,
                                    const struct fpi_upload_sources *sources, fpi_idempotency *out,
                                    fp_error *err);
/** Of fp_upload_complete_keyed(). */
fp_status fpi_idempotency_of_complete(const char *key, const char *owner, const char *id,
                                      fpi_idempotency *out, fp_error *err);

/** Inside the transaction that makes the upload: EXISTS when the key was used meanwhile. Nothing without a key. */
fp_status fpi_idempotency_insert(fp_tx *tx, const fpi_idempotency *i, const fp_upload *upload,
                                 fp_error *err);

/** What fp_upload_create() answered to this request under this key before; NULL when the key is new. INVALID with
 *  idempotency_reused when it was another request. */
fp_status fpi_idempotency_replay(fp_uploads *ups, const fpi_idempotency *i, fp_upload **out,
                                 fp_error *err);

/** The key is free again, when it still stands for this upload. */
fp_status fpi_idempotency_forget(fp_uploads *ups, const fpi_idempotency *i, const char *upload_id,
                                 fp_error *err);

/** Notes a key for what is done to an upload; *fresh tells whether it is new. Errors as above. */
fp_status fpi_idempotency_claim(fp_uploads *ups, const fpi_idempotency *i, const char *id,
                                bool *fresh, fp_error *err);

/** CONFLICT with request_in_progress. */
fp_status fpi_idempotency_in_progress(fp_error *err);

#endif
