/* Owns: reading Upload-Metadata of tus 1.0.0.
 * Must not know: what becomes of it. */
#ifndef FPD_TUS_METADATA_H
#define FPD_TUS_METADATA_H

#include <stdbool.h>

#include "text.h"

/** Bytes of the header. It comes back with every HEAD. */
#define FPD_TUS_METADATA_MAX 4096u

/** What the pairs say. The texts are empty when their key is not there, and have no NUL inside. */
typedef struct fpd_tus_metadata {
    fpd_text filename; /* "filename" or "name" */
    fpd_text type;     /* "filetype", "type" or "mime_type" */
    fpd_text owner;    /* "user_id" */
    fpd_text json;     /* an object of all other pairs; empty when there are none */
} fpd_tus_metadata;

#define FPD_TUS_METADATA_INIT                                                                      \
    {                                                                                              \
        FPD_TEXT_INIT(FPD_TUS_METADATA_MAX), FPD_TEXT_INIT(FPD_TUS_METADATA_MAX),                  \
            FPD_TEXT_INIT(FPD_TUS_METADATA_MAX), FPD_TEXT_INIT(8 * FPD_TUS_METADATA_MAX)           \
    }
void fpd_tus_metadata_dispose(fpd_tus_metadata *m);
FPD_DEFINE_DISPOSE(fpd_tus_metadata, fpd_tus_metadata_dispose)

typedef enum fpd_tus_metadata_result {
    FPD_TUS_METADATA_OK,
    FPD_TUS_METADATA_MALFORMED, /* no list of pairs, a key twice, no base64 */
    FPD_TUS_METADATA_TOO_LONG,
    FPD_TUS_METADATA_NO_MEMORY
} fpd_tus_metadata_result;

/** Takes the header apart. An empty one has no pairs. */
fpd_tus_metadata_result fpd_tus_metadata_parse(const char *header, fpd_tus_metadata *out);

#endif
