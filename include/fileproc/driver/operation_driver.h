/* Owns: what an embedder writes to add an operation of its own, run in its own process.
 * Must not know: any operation. Less stable than the other headers: a minor release may extend it. */
#ifndef FILEPROC_DRIVER_OPERATION_DRIVER_H
#define FILEPROC_DRIVER_OPERATION_DRIVER_H

#include <fileproc/pipeline.h>

FILEPROC_BEGIN_DECLS

/** One call of an operation. Valid during run. */
typedef struct fp_operation_call {
    size_t struct_size;    /**< The library's size of this record. */
    const char *params;    /**< JSON object, checked against the schema, defaults written out. */
    const char *filename;  /**< Of the input. */
    const char *mime_type; /**< Of the input, as detected, else as declared. */
    void *handle;          /**< For `output` and `tick`. */
    fp_context *ctx;       /**< Borrowed: for fp_buf_append(). */
    /** Make an unnamed file for an output; write to *fd (borrowed, do not close). Its name is made from the step's and
     *  the extension, which is given without its dot: 1 to 16 characters of [a-z0-9]. info_json is a JSON object of facts
     *  about the output; NULL = none. */
    fp_status (*output)(void *handle, const char *mime_type, const char *extension,
                        const char *info_json, int32_t *fd, fp_error *err);
    /** To be called at least once a second in a long operation: renews the job's lease. A failure means: stop. */
    fp_status (*tick)(void *handle, fp_error *err);
    int32_t fd;                     /**< Borrowed: the input, readable and seekable, at offset 0. */
    int32_t reserved;               /**< 0. */
    const char *declared_mime_type; /**< Of the input, as its sender said; NULL = he said nothing that is a type. */
    const char *detected_mime_type; /**< Of the input, as found in its bytes; NULL = not known. */
} fp_operation_call;

/** An operation. Start from FILEPROC_OPERATION_INIT: fp_context_add_operation() refuses one without its struct_size. */
typedef struct fp_operation {
    size_t struct_size;     /**< Filled by FILEPROC_OPERATION_INIT. */
    const char *name;       /**< "noun.verb": [a-z0-9_]+ with one dot. */
    const char *accepts;    /**< Required. Comma-separated types; "image/" with an asterisk works; an asterisk alone = all. */
    const char *parameters; /**< JSON Schema (type, properties, required, enum, minimum, maximum, default, minLength,
                             *   maxLength, pattern, const, items, minItems, maxItems, additionalProperties, anyOf) of the params object.
                             *   A pattern is a POSIX extended regular expression; anyOf takes `{"required": [...]}` only.
                             *   Unlike in the standard, additionalProperties is false when absent and default is
                             *   written into the params. Other words are refused. NULL = no parameters. */
    const char *info_key;   /**< Where its result goes in a file's info when it ran with its default parameters (see
                             *   fp_pipeline_sink.step_done); NULL = nowhere. */
    void *user_data;        /**< Handed to run. */
    /** Does the work on the caller's thread and appends a JSON object to result with fp_buf_append(call->ctx, result,
     *  ...); nothing appended is an empty object. FILEPROC_ERROR_PERMANENT in err->flags says that trying again is useless;
     *  a result that is no JSON object is such a failure, too. */
    fp_status (*run)(const fp_operation_call *call, void *user_data, fp_buf *result, fp_error *err);
} fp_operation;
/** The first two members; designated initialisers for the rest follow. */
#define FILEPROC_OPERATION_INIT(op_name) .struct_size = sizeof(fp_operation), .name = (op_name)

/**
 * Append text to a result buffer.
 *
 * @param ctx   Borrowed: the `ctx` of the call.
 * @param buf   Borrowed.
 * @param text  Borrowed.
 * @param size  Bytes of text.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Appended.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; buf is unchanged.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per buffer.
 * @since 0.1
 */
FILEPROC_API fp_status fp_buf_append(fp_context *ctx, fp_buf *buf, const void *text, size_t size,
                                     fp_error *err) FILEPROC_NODISCARD;

FILEPROC_END_DECLS
#endif
