/* Owns: the registry of operations, named pipelines, and the runner that takes one input through one pipeline.
 * Must not know: the database, jobs. A runner works without either. */
#ifndef FILEPROC_PIPELINE_H
#define FILEPROC_PIPELINE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/context.h>

FILEPROC_BEGIN_DECLS

/** The known operations and pipelines. Shared. */
typedef struct fp_pipelines fp_pipelines;
/** Runs pipelines one at a time in a helper process that is kept warm. One thread at a time, except for
 *  fp_runner_cancel(). */
typedef struct fp_runner fp_runner;

/** Settings for fp_pipelines_open(). Start from FILEPROC_PIPELINES_OPTIONS_INIT; 0 or NULL means default. */
typedef struct fp_pipelines_options {
    size_t struct_size;           /**< Filled by the initialiser; never by hand. */
    const char *helper_path;      /**< Copied. The fileproc-media program; default: where it was installed. @since 0.1 */
    const char *definitions;      /**< Copied. JSON array of pipelines that replace or add to the built-in ones. @since 0.1 */
    const char *temporary_folder; /**< Copied. For unnamed files; must be on a disk; default "/var/tmp". @since 0.1 */
    uint64_t max_pixels;          /**< width x height x frames of an image or a rendered page; default 100,000,000. @since 0.1 */
    uint64_t max_output_bytes;    /**< Of one derivative; default 256 MiB. @since 0.1 */
    uint64_t helper_memory_bytes; /**< Address space of a helper; default 4 GiB. @since 0.1 */
    uint64_t max_unpacked_bytes;  /**< What an archive may unpack to; default 10 GiB. @since 0.1 */
    uint32_t max_entries;         /**< Entries of an archive; default 100,000. @since 0.1 */
    uint32_t max_pages;           /**< Pages rendered or read per step; default 500. @since 0.1 */
    uint32_t wall_clock_ms;       /**< A helper is killed when one pipeline takes longer; default 120000. @since 0.1 */
    uint32_t jobs_per_helper;     /**< A helper is replaced after so many pipelines; default 100. @since 0.1 */
    const char *clamd_uri;        /**< Copied. tcp://host:port or unix:///path of a clamd: makes clamav.scan; NULL = none. @since 0.1 */
    uint64_t scan_max_bytes;      /**< Larger files are not sent to it; default 100 MiB. @since 0.1 */
    uint32_t scan_timeout_ms;     /**< How long it may say and take nothing; default 120000. @since 0.1 */
    uint32_t reserved;            /**< 0. */
} fp_pipelines_options;
/** All-default fp_pipelines_options. */
#define FILEPROC_PIPELINES_OPTIONS_INIT \
    { sizeof(fp_pipelines_options), NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0 }

/**
 * Collect the operations (built in, and added to the context) and the pipelines.
 *
 * A pipeline is `{"name": "...", "accepts": ["image/png", ...], "steps": [{"name": "thumb", "operation":
 * "image.resize", "params": {...}}, ...]}`. `accepts` makes it the default of these declared types
 * (`image/` with an asterisk works too). A step's name is unique in its pipeline: [a-z0-9_-]{1,40}; when absent it is the operation's.
 * A definition takes the place of a built-in one of its name. Of several defaults for a type the closest fit wins (the type itself
 * before `image/` with an asterisk before an asterisk alone), then the first; definitions win over what is built in. A pipeline is never the
 * default of a type that one of its operations doesn't take.
 *
 * @param ctx   Borrowed; must outlive the result.
 * @param opts  NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns it: fp_pipelines_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Ready.
 * @retval FILEPROC_ERR_INVALID  A definition is wrong (reason pipeline_invalid, operation_unknown or parameter_invalid;
 *                               the message names the place), or an option is newer than this library.
 * @retval FILEPROC_ERR_EXISTS   An operation that was added to the context has the name of a built-in one.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_pipelines_open(fp_context *ctx, const fp_pipelines_options *opts,
                                         fp_pipelines **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Release operations and pipelines.
 *
 * @param pls  Taken; NULL is allowed. No runner of it may be alive.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_pipelines_free(fp_pipelines *pls);

/**
 * Check a pipeline and complete it: the result is a pipeline object with every default written out, as
 * fp_runner_run() wants it and as jobs keep it.
 *
 * @param pls        Borrowed.
 * @param pipeline   Borrowed: the name of a pipeline, or a JSON object with `steps`. NULL picks the
 *                   default of mime_type.
 * @param mime_type  Borrowed; the declared type. NULL skips the check that each operation accepts it.
 * @param[in,out] out  Borrowed; the JSON text is appended. With NULL and no default for the type: nothing.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Appended, or there is no default.
 * @retval FILEPROC_ERR_INVALID   Reason pipeline_invalid, operation_unknown, parameter_invalid, or
 *                                media_unsupported when an operation doesn't take the type.
 * @retval FILEPROC_ERR_NOTFOUND  No pipeline of this name. Reason pipeline_unknown.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_pipelines_resolve(fp_pipelines *pls, const char *pipeline,
                                            const char *mime_type, fp_buf *out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Describe everything known: `{"operations": [{name, accepts, parameters, runs_in, info_key}], "pipelines": [...]}`,
 * operations sorted by name; runs_in is "helper" or "process".
 *
 * @param pls  Borrowed.
 * @param[in,out] out  Borrowed; the JSON text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Appended.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_pipelines_describe(fp_pipelines *pls, fp_buf *out, fp_error *err)
    FILEPROC_NODISCARD;

/** What a pipeline is run on. Start from FILEPROC_PIPELINE_INPUT_INIT. */
typedef struct fp_pipeline_input {
    size_t struct_size;             /**< Filled by the initialiser; never by hand. */
    const char *filename;           /**< Borrowed. For the names of outputs. */
    const char *mime_type;          /**< Borrowed. As declared. */
    const char *detected_mime_type; /**< Borrowed. NULL: the runner detects it first and tells sink.detected. */
    const char *skip_steps;         /**< Borrowed. JSON array of names of steps that are done already; NULL = none. */
    int32_t fd;                     /**< Borrowed: readable and seekable. */
    int32_t reserved;               /**< 0. */
} fp_pipeline_input;
/** An empty fp_pipeline_input. */
#define FILEPROC_PIPELINE_INPUT_INIT \
    { sizeof(fp_pipeline_input), NULL, NULL, NULL, NULL, -1, 0 }

/** A file that a step made. Valid during the call of sink.output. */
typedef struct fp_pipeline_output {
    size_t struct_size;    /**< The library's size of this record. */
    const char *step;      /**< Name of the step. */
    const char *operation; /**< Its operation. */
    const char *filename;  /**< For instance "photo-thumb.webp". */
    const char *mime_type; /**< Of the output. */
    const char *info;      /**< JSON object: facts about the output, such as width and height. */
    uint64_t size;         /**< Bytes. */
    uint32_t number;       /**< 0, 1, ... within the step. */
    int32_t fd;            /**< Borrowed: readable, seekable, closed after the call. */
} fp_pipeline_output;

/** Where results go. All run on the thread of fp_runner_run(); a failure ends the run and is returned. Start from
 *  FILEPROC_PIPELINE_SINK_INIT; NULL slots are skipped. */
typedef struct fp_pipeline_sink {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    void *user_data;    /**< Handed to all of them. */
    /** The type found in the bytes. */
    fp_status (*detected)(void *user_data, const char *mime_type, fp_error *err);
    /** A step made a file. Outputs count only once their step is done. */
    fp_status (*output)(void *user_data, const fp_pipeline_output *output, fp_error *err);
    /** A step is done; result is a JSON object; info_key says under which member of a file's info
     *  it belongs, NULL when it doesn't: its operation has none, or the step ran with other parameters than the
     *  operation's defaults (what `{}` stands for), such as a few pages only: that is no fact about the whole file.
     *  An operation that can't run without parameters has no defaults, so each of its results belongs there. */
    fp_status (*step_done)(void *user_data, const char *step, const char *operation,
                           const char *info_key, const char *result, fp_error *err);
    /** Called at least once a second while a step runs: the place to renew a lease. */
    fp_status (*tick)(void *user_data, fp_error *err);
} fp_pipeline_sink;
/** An empty fp_pipeline_sink. */
#define FILEPROC_PIPELINE_SINK_INIT \
    { sizeof(fp_pipeline_sink), NULL, NULL, NULL, NULL, NULL }

/**
 * Make a runner. Its helper process starts with the first run, on the thread of that run, and is killed by the
 * kernel when that thread ends: so use a runner from one thread.
 *
 * @param pls  Borrowed; must outlive the runner.
 * @param[out] out  Set only on success. The caller owns it: fp_runner_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Ready.
 * @retval FILEPROC_ERR_IO     No descriptors left.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_runner_new(fp_pipelines *pls, fp_runner **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * End a runner and its helper process.
 *
 * @param r  Taken; NULL is allowed.
 * @par Blocking  Milliseconds.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_runner_free(fp_runner *r);

/**
 * Take one input through one pipeline. Consecutive steps of the helper share one decode of the input.
 *
 * @param r         Borrowed.
 * @param pipeline  Borrowed: JSON as fp_pipelines_resolve() made it.
 * @param input     Borrowed.
 * @param sink      Borrowed.
 * @param[out] err  Filled only on failure. May be NULL. FILEPROC_ERROR_PERMANENT is set when this input can never succeed;
 *                  the reason is what a job's error code shows.
 * @retval FILEPROC_OK            All steps are done.
 * @retval FILEPROC_ERR_INVALID   The input or a parameter is wrong, permanently: reasons media_unsupported,
 *                                media_damaged, media_too_large, media_encrypted, media_type_mismatch, archive_bomb,
 *                                output_too_large, parameter_invalid.
 * @retval FILEPROC_ERR_IO        The helper died (reason helper_crashed, helper_memory) or can't start (helper_unavailable).
 * @retval FILEPROC_ERR_TIMEOUT   Killed on the wall clock. Reason helper_timeout.
 * @retval FILEPROC_ERR_CANCELLED fp_runner_cancel() was called.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Until done or killed.
 * @par Threads   One thread at a time per runner, always the same.
 * @since 0.1
 */
FILEPROC_API fp_status fp_runner_run(fp_runner *r, const char *pipeline,
                                     const fp_pipeline_input *input, const fp_pipeline_sink *sink,
                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * Stop the run in progress, and every later one: they answer FILEPROC_ERR_CANCELLED.
 *
 * @param r  Borrowed; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread, and from a signal handler.
 * @since 0.1
 */
FILEPROC_API void fp_runner_cancel(fp_runner *r);

FILEPROC_END_DECLS
#endif
