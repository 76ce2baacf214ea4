/* Owns: what one owner may have: bytes, and uploads that are not finished.
 * Must not know: how an upload goes on. */
#ifndef FPI_OWNER_QUOTA_H
#define FPI_OWNER_QUOTA_H

#include "upload/upload_row.h"

/** Inside the transaction that makes the upload, before anything else in it: QUOTA with quota_exceeded or too_many_uploads. Until the
 *  transaction ends nobody else begins an upload of this owner. */
fp_status fpi_owner_quota_check(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                fp_error *err);

/** Inside the transaction that declares the size of an upload that began without one: QUOTA with quota_exceeded. */
fp_status fpi_owner_quota_check_size(const fp_uploads *ups, fp_tx *tx, const fp_upload *upload,
                                     fp_error *err);

/** Whether an upload without a size may have only bytes that were set aside for it. */
bool fpi_owner_quota_metered(const fp_uploads *ups, const fp_upload *upload);
/** Sets aside for one all in all `wanted` bytes, or fewer when its owner has no more left, but `needed`: else QUOTA with
 *  quota_exceeded. Durable, and counted as if the upload had them. */
fp_status fpi_owner_quota_claim(fp_uploads *ups, const fp_upload *upload, uint64_t needed,
                                uint64_t wanted, uint64_t *granted, fp_error *err);

/** Removes what is kept of owners who have begun nothing for a day: only who begins something at the moment needs it. */
fp_status fpi_owner_quota_forget(const fp_uploads *ups, fp_error *err);

#endif
