/* Owns: putting the bytes of a final upload together from those of its partial ones.
 * Must not know: how an upload begins, and what completion writes. */
#ifndef FPI_UPLOAD_JOIN_H
#define FPI_UPLOAD_JOIN_H

#include "upload/upload_concat.h"

/** Before an upload is completed: when it is a final one whose partial uploads are whole, all its bytes are durable when this
 *  succeeds; one thread does it, the others wait. INVALID with upload_incomplete while some bytes have not come. When a partial upload
 *  is gone it has failed. Nothing for all other uploads. */
fp_status fpi_join(fp_uploads *ups, fpi_session *s, fp_error *err);

/** After it was completed: nobody needs the partial uploads any more. What can't be removed now expires. */
void fpi_join_drop_sources(fp_uploads *ups, fpi_session *s);

#endif
