/* Owns: what the files of the runner share: one run in progress, its steps, the file a step is making.
 * Must not know: jobs, the database. */
#ifndef FPI_RUNNER_PRIVATE_H
#define FPI_RUNNER_PRIVATE_H

#include "pipeline/helper.h"
#include "pipeline/input_type.h"
#include "pipeline/output_name.h"
#include "pipeline/pipeline_private.h"

struct fp_runner {
    fp_pipelines *pls;
    fpi_helper helper;
    uint64_t last_id; /* of a request to the helper */
    int cancel_fd;
    atomic_bool cancelled;
    /* The last pipeline that was run, and what it means: many files in a row go through the same one. NULL = none. */
    char *known_text;
    json_t *known_definition;
};

typedef struct fpi_run_step {
    const char *name; /* in fpi_run.definition, as params */
    const fpi_operation *operation;
    json_t *params;
    bool skip; /* done already */
} fpi_run_step;

/** Longest extension of an output. */
#define FPI_EXTENSION_MAX 16u

/** The file that a step is making. It is held back until the step's next one, or the step's end, comes: so it is known by then whether
 *  it needs a number, and an embedder's operation is done writing. */
typedef struct fpi_output {
    int fd;          /* -1 = none */
    uint32_t number; /* how many of its step came before */
    bool complete;   /* described */
    char extension[FPI_EXTENSION_MAX + 1];
    char mime_type[FPI_MEDIA_TYPE_SIZE];
    char *info; /* of the context's allocator */
} fpi_output;

typedef struct fpi_run {
    fp_runner *runner;
    const fp_pipeline_input *input;
    const fp_pipeline_sink *sink;
    json_t *definition;
    fpi_run_step *steps;
    size_t count;
    fpi_input_type type;
    fpi_helper_wait wait;
    fpi_output output;
    uint32_t outputs; /* that the step in progress has made */
    int input_fd; /* for the helper: opened for reading only, with an offset of its own; -1 = not yet */
    bool detect; /* the type is still to be found */
} fpi_run;

/** Results to the sink. A slot that fails without filling err gets it filled. */
fp_status fpi_run_tell_detected(fpi_run *run, const char *mime_type, fp_error *err);
fp_status fpi_run_tell_step(fpi_run *run, const fpi_run_step *step, const char *result,
                            fp_error *err);
/** For the answer of any callback, with what it was for: OK and failures pass, an unfilled err is filled, numbers that are no status
 *  become USER. */
fp_status fpi_sink_answer(fp_status rc, const char *what, fp_error *err);
/** Also says CANCELLED when the run was cancelled. user_data is the run. */
fp_status fpi_run_tick(void *user_data, fp_error *err);

/** Has the helper do steps [from, to) in one request, and find the type first when that is to be done. */
fp_status fpi_run_helper(fpi_run *run, size_t from, size_t to, fp_error *err);
/** Calls an operation of the embedder. */
fp_status fpi_run_embedded(fpi_run *run, const fpi_run_step *step, fp_error *err);

/** An empty unnamed file for the next output of the step. What is held back must have been taken. */
fp_status fpi_output_open(fpi_run *run, fp_error *err);
/** Says what the file is; info is JSON text of the context's allocator and is taken. Type and extension are well-formed. */
void fpi_output_describe(fpi_run *run, const char *mime_type, const char *extension, char *info);
/** The output that is held back; the run has none afterwards. */
fpi_output fpi_output_take(fpi_run *run);
/** Hands it to the sink, under a number when the step makes several; releases it in any case. Nothing happens when there is none.
 *  INVALID with output_too_large when it is. */
fp_status fpi_output_deliver(fpi_run *run, fpi_output *output, const fpi_run_step *step,
                             bool several, fp_error *err);
void fpi_output_discard(const fp_context *ctx, fpi_output *output);

/** [a-z0-9], one to FPI_EXTENSION_MAX. */
bool fpi_extension_valid(const char *text);

/** INVALID with FILEPROC_ERROR_PERMANENT. */
fp_status fpi_run_permanent(fp_error *err, int32_t reason, const char *fmt, ...)
    FILEPROC_PRINTF(3, 4);

#endif
