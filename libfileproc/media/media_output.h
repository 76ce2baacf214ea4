/* Owns: one output file of a step: asking the library for it, writing within the limit, handing it back.
 * Must not know: what is written. */
#ifndef FPI_MEDIA_OUTPUT_H
#define FPI_MEDIA_OUTPUT_H

#include <sys/types.h>

#include "media/media_run.h"

typedef struct fpi_media_output {
    fpi_media_run *run;
    uint64_t size;     /* bytes up to the end of the file */
    uint64_t position; /* where the next write goes */
    int fd;
    int failed; /* errno of the first failed write, EFBIG when the limit was passed; 0 = none */
} fpi_media_output;

#define FPI_MEDIA_OUTPUT_INIT                                                                      \
    {                                                                                              \
        NULL, 0, 0, -1, 0                                                                          \
    }

/** Asks the library for an empty file. */
fp_status fpi_media_output_open(fpi_media_output *out, fpi_media_run *run, fp_error *err);
/** Closes; nothing is told to the library. */
void fpi_media_output_dispose(fpi_media_output *out);
FPI_DEFINE_DISPOSE(fpi_media_output, fpi_media_output_dispose)

/** All or nothing; after a failure only fpi_media_output_failure() is of use. False = failed. */
bool fpi_media_output_write(fpi_media_output *out, const void *data, size_t size);
/** For encoders that go back (TIFF). The new position, or -1. */
int64_t fpi_media_output_seek(fpi_media_output *out, int64_t offset, int whence);
ssize_t fpi_media_output_read(fpi_media_output *out, void *data, size_t size);

/** The error for a failed write: output_too_large, storage_full, or IO. OK when no write failed. */
fp_status fpi_media_output_failure(const fpi_media_output *out, fp_error *err);

/** Tells the library that the file is complete, with facts about it; takes info. */
fp_status fpi_media_output_done(fpi_media_output *out, const char *mime_type, const char *extension,
                                json_t *info, fp_error *err);

#endif
