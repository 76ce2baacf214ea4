/* Owns: the SHA-256 of a whole upload whose chunks did not come in order, and whether it is the one that was said at the beginning.
 * Must not know: how chunks arrive, and what completion writes. */
#ifndef FPI_UPLOAD_VERIFY_H
#define FPI_UPLOAD_VERIFY_H

#include "upload/upload_session.h"

/** Without the lock, before completion: reads what was not hashed on its way in back from what is staged, when the digest is asked
 *  for and all chunks are there. Nobody is kept from looking at the upload, or from cancelling it; a second caller waits for the
 *  first. FILEPROC_OK does not say that the digest is right. Nothing to do for a store that can't read back. */
fp_status fpi_verify_staged(fp_uploads *ups, fpi_session *s, fp_error *err);

/** By whoever is busy: the same for an upload that was published, from its object. FILEPROC_OK says that the digest is known. */
fp_status fpi_verify_published(fp_uploads *ups, fpi_session *s, fp_error *err);

/** Without the lock. False when the digest is not known. */
bool fpi_verify_digest(fpi_session *s, char sha256[2 * FPI_DIGEST_MAX + 1]);

/** Whether an upload has failed because of its digest. */
bool fpi_verify_has_failed(const fp_upload *facts);
/** INVALID with sha256_mismatch. */
fp_status fpi_verify_mismatch(fp_error *err);

/** 64 hex digits to lower case; INVALID with parameter_invalid. */
fp_status fpi_verify_normalise(const char *given, char sha256[2 * FPI_DIGEST_MAX + 1],
                               fp_error *err);

#endif
