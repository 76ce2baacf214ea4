/* Owns: which services there are: names, ports, what each needs, and where it is when it is another process.
 * Must not know: how any of them works. */
#ifndef FPD_SERVICE_H
#define FPD_SERVICE_H

#include "app.h"

#define FPD_UPLOAD_NEEDS                                                                           \
    (FPD_NEEDS_STORAGE | FPD_NEEDS_DATABASE | FPD_NEEDS_QUEUE | FPD_NEEDS_CATALOG |                \
     FPD_NEEDS_JOBS | FPD_NEEDS_UPLOADS)
#define FPD_METADATA_NEEDS (FPD_NEEDS_STORAGE | FPD_NEEDS_DATABASE | FPD_NEEDS_CATALOG)
/** Nothing yet: this release analyses nothing. */
#define FPD_AI_NEEDS 0u
#define FPD_STORAGE_NEEDS FPD_NEEDS_STORAGE
#define FPD_PROCESSING_NEEDS                                                                       \
    (FPD_NEEDS_STORAGE | FPD_NEEDS_DATABASE | FPD_NEEDS_QUEUE | FPD_NEEDS_CATALOG |                \
     FPD_NEEDS_JOBS | FPD_NEEDS_WORKERS)

typedef struct fpd_service {
    const char *name;    /* "upload" */
    const char *program; /* "fileproc-upload" */
    const char *setting; /* of its address: "FILEPROC_PEER_UPLOAD" */
    unsigned needs;
} fpd_service;

#define FPD_SERVICES 5u
extern const fpd_service fpd_services[FPD_SERVICES];

#endif
