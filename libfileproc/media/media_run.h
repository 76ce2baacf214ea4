/* Owns: one run: a request taken apart, its steps in order, what they share, and how it ends.
 * Must not know: how any operation works; media_operation.c has the table. */
#ifndef FPI_MEDIA_RUN_H
#define FPI_MEDIA_RUN_H

#include <magic.h>

#include "core/media_type.h"
#include "media/media_channel.h"

/** What one helper process has for all of its runs. */
typedef struct fpi_media_helper {
    fp_context *ctx;
    fpi_media_channel channel;
    magic_t magic;
    uint64_t cpu_seconds; /* for one run; 0 = no limit */
    int memory_fd;        /* /proc/self/statm, opened before the process is confined */
} fpi_media_helper;

typedef struct fpi_media_limits {
    uint64_t max_pixels;
    uint64_t max_output_bytes;
    uint64_t max_unpacked_bytes;
    uint64_t max_entries;
    uint64_t max_pages;
} fpi_media_limits;

typedef struct fpi_media_step {
    json_int_t number;
    const char *operation; /* borrowed from the request, as params */
    const json_t *params;
} fpi_media_step;

#define FPI_MEDIA_STEPS_MAX 64u

struct fpi_media_images;
struct fpi_media_pdf;

typedef struct fpi_media_run {
    fpi_media_helper *helper;
    json_t *request;
    json_int_t id;
    fpi_media_limits limits;
    fpi_media_step steps[FPI_MEDIA_STEPS_MAX];
    size_t step_count;
    size_t current; /* index of the step being done */
    uint64_t input_size;
    int input_fd;
    int reserved;
    char declared_type[FPI_MEDIA_TYPE_SIZE]; /* "" = none */
    char detected_type[FPI_MEDIA_TYPE_SIZE]; /* "" = not known yet */
    struct fpi_media_images *images;         /* kept between steps by media_image.c */
    struct fpi_media_pdf *pdf;               /* kept between steps by media_pdf.c */
} fpi_media_run;

/** Does one step and makes its result, a new JSON object. */
typedef fp_status (*fpi_media_operation)(fpi_media_run *run, const fpi_media_step *step,
                                         json_t **result, fp_error *err);

/** NULL for an unknown name. */
fpi_media_operation fpi_media_operation_find(const char *name);

/** Does a whole run: takes the request, closes the descriptor, tells the library everything. A failure means that the library
 *  can't be talked to any more; a failed step is not one. */
fp_status fpi_media_run_request(fpi_media_helper *helper, json_t *request, int input_fd,
                                fp_error *err);

/** size bytes at offset, fewer only at the end of the input. IO when the disk fails. */
fp_status fpi_media_input_read(const fpi_media_run *run, uint64_t offset, void *buf, size_t size,
                               size_t *got, fp_error *err);

#endif
