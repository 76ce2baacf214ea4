/* Owns: reading Upload-Checksum of tus 1.0.0.
 * Must not know: how a digest is computed. */
#ifndef FPD_TUS_CHECKSUM_H
#define FPD_TUS_CHECKSUM_H

#include "content_digest.h"

/** What Tus-Checksum-Algorithm says. */
#define FPD_TUS_CHECKSUMS "sha1,sha256,md5,crc32c"

/** The algorithm's name in *out is the library's. */
fpd_digest_result fpd_tus_checksum_parse(const char *header, fpd_digest *out);

#endif
