/* Owns: the table of the storage drivers in this build.
 * Must not know: what they do. The only file of this folder with feature conditions. */
#include "fileproc_config.h"
#include "storage/storage_private.h"

const fp_storage_driver *const fpi_storage_drivers[] = {
    &fpi_storage_file_driver,
    &fpi_storage_mem_driver,
#ifdef FPI_WITH_S3
    &fpi_storage_s3_driver,
#endif
    NULL,
};
