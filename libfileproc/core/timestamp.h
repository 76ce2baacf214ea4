/* Owns: times as text: RFC 3339 in UTC with milliseconds.
 * Must not know: clocks; the context has one. */
#ifndef FPI_TIMESTAMP_H
#define FPI_TIMESTAMP_H

#include <stdint.h>

#include <fileproc/error.h>

/** "2026-11-23T10:20:30.123Z" and the NUL. */
#define FPI_TIMESTAMP_SIZE 32u

void fpi_timestamp_format(int64_t ms, char out[FPI_TIMESTAMP_SIZE]);

/** Reads what RFC 3339 allows: any offset, any number of fraction digits (cut to milliseconds). */
fp_status fpi_timestamp_parse(const char *text, int64_t *ms, fp_error *err);

#endif
