/* Owns: giving a new upload the bytes of a file that its owner has already.
 * Must not know: how an upload begins. */
#ifndef FPI_UPLOAD_REUSE_H
#define FPI_UPLOAD_REUSE_H

#include "upload/upload_private.h"

/** For an upload that was just made and is open: when its owner has a file of this size and SHA-256, its bytes are taken from there and it
 *  is completed; then *upload becomes the completed one. What can't be done is left to the client, who can always send the bytes. */
void fpi_upload_reuse(fp_uploads *ups, fp_upload **upload);

#endif
