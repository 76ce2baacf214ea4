/* Owns: the ways to fill an error that only the library needs.
 * Must not know: any other noun. */
#ifndef FPI_ERROR_PRIVATE_H
#define FPI_ERROR_PRIVATE_H

#include <fileproc/error.h>

/** An error of another domain: "sqlite", "magic", ... */
fp_status fpi_error_causef(fp_error *err, fp_status code, const char *domain, int32_t cause,
                           const char *fmt, ...) FILEPROC_PRINTF(5, 6);

/** From errno: no space answers QUOTA with storage_full, no memory NOMEM, the rest IO. */
fp_status fpi_error_errno(fp_error *err, int number, const char *what);

/** FILEPROC_REASON_NONE when unknown. */
int32_t fpi_reason_by_name(const char *name);

#endif
