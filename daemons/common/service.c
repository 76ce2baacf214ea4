/* Owns: which services there are: names, ports, what each needs, and where it is when it is another process.
 * Must not know: how any of them works. */
#include "service.h"

const fpd_service fpd_services[FPD_SERVICES] = {
    { "upload", "fileproc-upload", "FILEPROC_PEER_UPLOAD", FPD_UPLOAD_NEEDS },
    { "metadata", "fileproc-metadata", "FILEPROC_PEER_METADATA", FPD_METADATA_NEEDS },
    { "ai", "fileproc-ai", "FILEPROC_PEER_AI", FPD_AI_NEEDS },
    { "storage", "fileproc-storage", "FILEPROC_PEER_STORAGE", FPD_STORAGE_NEEDS },
    { "processing", "fileproc-processing", "FILEPROC_PEER_PROCESSING", FPD_PROCESSING_NEEDS },
};
