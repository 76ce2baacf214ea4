/* Owns: calling an operation of the embedder, and what it may ask for meanwhile.
 * Must not know: the helper. */
#include <errno.h>
#include <string.h>

#include "core/error_private.h"
#include "pipeline/runner_private.h"

/* A result is kept in the job and in the file's info, and read with each of them. */
#define RESULT_MAX (8u << 20)

typedef struct embedded_call {
    fpi_run *run;
    const fpi_run_step *step;
    fp_status failed; /* of an answer that the operation got and may not have passed on */
    fp_error error;
} embedded_call;

/* An operation that is told to stop can't make the run go on by not saying so. */
static fp_status answer(embedded_call *call, fp_status rc, fp_error *failure, fp_error *err)
{
    if (rc < 0 && call->failed == FILEPROC_OK) {
        call->failed = rc;
        call->error = *failure;
    }
    if (rc < 0 && err)
        *err = *failure;
    return rc;
}

static fp_status open_output(embedded_call *call, const char *mime_type, const char *extension,
                             const char *info, fp_error *err)
{
    const fp_context *ctx = call->run->runner->pls->ctx;
    FPI_CLEANUP(json_t) facts = NULL;
    fpi_output before;
    fp_status rc;
    char *text;

    if (!mime_type || !fpi_media_type_valid(mime_type) || !extension ||
        !fpi_extension_valid(extension))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "an output needs a media type and an extension in lower case");
    rc = fpi_json_parse(info ? info : "{}", info ? strlen(info) : 2, "info of an output", &facts,
                        err);
    if (rc == FILEPROC_OK && !json_is_object(facts))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "info of an output: not an object");
    if (rc < 0)
        return rc;
    before = fpi_output_take(call->run);
    rc = fpi_output_deliver(call->run, &before, call->step, true, err);
    if (rc < 0)
        return rc;
    text = fpi_json_text(ctx, facts);
    if (!text)
        return fpi_no_memory(err);
    rc = fpi_output_open(call->run, err);
    if (rc < 0)
        fpi_free(&ctx->a, text);
    else
        fpi_output_describe(call->run, mime_type, extension, text);
    return rc;
}

static fp_status on_output(void *handle, const char *mime_type, const char *extension,
                           const char *info, int32_t *fd, fp_error *err)
{
    embedded_call *call = handle;
    fp_error failure = { 0 };
    fp_status rc;

    if (!call || !fd)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = open_output(call, mime_type, extension, info, &failure);
    if (rc == FILEPROC_OK)
        *fd = call->run->output.fd;
    return answer(call, rc, &failure, err);
}

static fp_status on_tick(void *handle, fp_error *err)
{
    embedded_call *call = handle;
    fp_error failure = { 0 };

    if (!call)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "handle is NULL");
    return answer(call, fpi_run_tick(call->run, &failure), &failure, err);
}

static fp_status check_result(fpi_run *run, const fpi_run_step *step, fp_buf *result, fp_error *err)
{
    FPI_CLEANUP(json_t) json = NULL;
    fp_status rc;

    if (result->size == 0)
        return fpi_buf_text(run->runner->pls->ctx, result, "{}", err);
    if (result->size > RESULT_MAX)
        return fpi_run_permanent(err, FILEPROC_REASON_OUTPUT_TOO_LARGE,
                                 "the result of operation %.64s is over 8 MiB",
                                 step->operation->name);
    rc = fpi_json_parse(result->data, result->size, "result", &json, err);
    if (rc == FILEPROC_ERR_NOMEM)
        return rc;
    if (rc == FILEPROC_OK && json_is_object(json))
        return FILEPROC_OK;
    /* A mistake in a program: it would do the same next time. */
    rc = fp_error_setf(err, FILEPROC_ERR_PROTOCOL,
                       "the result of operation %.64s is no JSON object", step->operation->name);
    if (err)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    return rc;
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static fp_status call_operation(embedded_call *call, const char *params, const char *type,
                                fp_buf *result, fp_error *err)
{
    const fp_operation *op = call->step->operation->embedded;
    fp_operation_call c = { .struct_size = sizeof(c),
                            .params = params,
                            .filename = call->run->input->filename,
                            .mime_type = type,
                            .handle = call,
                            .ctx = call->run->runner->pls->ctx,
                            .output = on_output,
                            .tick = on_tick,
                            .fd = call->run->input->fd,
                            .declared_mime_type = or_null(call->run->type.declared),
                            .detected_mime_type = or_null(call->run->type.detected) };
    fp_status rc;

    if (!c.filename)
        c.filename = "";
    if (lseek(c.fd, 0, SEEK_SET) != 0)
        return fpi_error_errno(err, errno, "reading the input");
    rc = op->run(&c, op->user_data, result, err);
    if (call->failed < 0 && rc >= 0) {
        *err = call->error;
        return call->failed;
    }
    return fpi_sink_answer(rc, op->name, err);
}

static fp_status do_step(fpi_run *run, const fpi_run_step *step, const char *params, fp_error *err)
{
    const fp_context *ctx = run->runner->pls->ctx;
    embedded_call call = { .run = run, .step = step };
    FPI_DISPOSE(fp_buf) result = FILEPROC_BUF_INIT;
    const char *type = NULL;
    fpi_output last;
    fp_status rc;

    result.alloc = &ctx->a;
    rc = fpi_input_type_for(&run->type, step->operation, &type, err);
    if (rc == FILEPROC_OK)
        rc = fpi_run_tick(run, err);
    if (rc == FILEPROC_OK)
        rc = call_operation(&call, params, type, &result, err);
    if (rc == FILEPROC_OK)
        rc = check_result(run, step, &result, err);
    if (rc < 0)
        return rc;
    last = fpi_output_take(run);
    rc = fpi_output_deliver(run, &last, step, false, err);
    return rc < 0 ? rc : fpi_run_tell_step(run, step, result.data, err);
}

fp_status fpi_run_embedded(fpi_run *run, const fpi_run_step *step, fp_error *err)
{
    const fp_context *ctx = run->runner->pls->ctx;
    char *params = fpi_json_text(ctx, step->params);
    fp_error failure = { 0 };
    fp_status rc;

    if (!params)
        return fpi_no_memory(err);
    run->outputs = 0;
    rc = do_step(run, step, params, &failure);
    fpi_free(&ctx->a, params);
    if (rc < 0 && err)
        *err = failure;
    return rc;
}
