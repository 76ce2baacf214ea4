/* Owns: what one owner may have: bytes, and uploads that are not finished.
 * Must not know: how an upload goes on. */
#ifndef FPI_OWNER_QUOTA_H
#define FPI_OWNER_QUOTA_H

#include "upload/upload_row.h"

/** Inside the transaction that makes the upload, before anything else in it: QUOTA with quota_exceeded or too_many_uploads. Until the
 *  transaction ends nobody else begins an upload of this owner. */
fp_status fpi_owner_quota_check(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                fp_error *err);

#endif
