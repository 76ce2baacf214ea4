/* Owns: until when an unfinished upload is kept, and what moves that.
 * Must not know: what becomes of one that is not. */
#ifndef FPI_UPLOAD_EXPIRY_H
#define FPI_UPLOAD_EXPIRY_H

#include "upload/upload_session.h"

/** For one that begins now. A piece waits for others without being idle, and so does what it is a piece of. */
int64_t fpi_expiry_first(const fp_uploads *ups, int64_t now_ms, bool waits);

/** Bytes of an open upload have arrived, or are about to become durable: when there is an idle timeout the upload is kept for that
 *  from now on, durably. Without the lock. A failure is only told: the next bytes try again. */
void fpi_expiry_slide(fp_uploads *ups, fpi_session *s);

/** With the lock held: another engine has stored bytes at that time, and so has moved it. */
void fpi_expiry_hear(const fp_uploads *ups, fpi_session *s, int64_t touched_ms);

#endif
