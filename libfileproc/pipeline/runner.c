/* Owns: taking one input through one pipeline: which steps go together, in which order, and who is told.
 * Must not know: how a step is done (run_helper.c, run_embedded.c). */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <fileproc/version.h>

#include "core/error_private.h"
#include "core/options.h"
#include "core/utf8.h"
#include "pipeline/definition.h"
#include "pipeline/runner_private.h"

#define SKIP_TEXT_MAX (64u * 1024u)

static void run_dispose(fpi_run *run)
{
    const fp_context *ctx = run->runner->pls->ctx;

    fpi_output_discard(ctx, &run->output);
    fpi_cleanup_fd(&run->input_fd);
    fpi_free(&ctx->a, run->steps);
    json_decref(run->definition);
}

FPI_DEFINE_DISPOSE(fpi_run, run_dispose)

fp_status fp_runner_new(fp_pipelines *pls, fp_runner **out, fp_error *err)
{
    FPI_CLEANUP(fp_runner) r = NULL;
    fp_status rc;

    if (!pls || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    r = fpi_calloc(&pls->ctx->a, 1, sizeof(*r));
    if (!r)
        return fpi_no_memory(err);
    r->pls = pls;
    r->helper.fd = -1;
    atomic_init(&r->cancelled, false);
    r->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->cancel_fd < 0)
        return fpi_error_errno(err, errno, "making a runner");
    rc = fpi_helper_init(pls, &r->helper, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&r);
    return rc;
}

void fp_runner_free(fp_runner *r)
{
    if (!r)
        return;
    fpi_helper_dispose(&r->helper);
    fpi_cleanup_fd(&r->cancel_fd);
    json_decref(r->known_definition);
    fpi_free(&r->pls->ctx->a, r->known_text);
    fpi_free(&r->pls->ctx->a, r);
}

void fp_runner_cancel(fp_runner *r)
{
    const uint64_t one = 1;
    int before = errno; /* a signal handler must leave it alone */

    if (!r)
        return;
    atomic_store(&r->cancelled, true);
    (void)!write(r->cancel_fd, &one, sizeof(one));
    errno = before;
}

fp_status fpi_run_permanent(fp_error *err, int32_t reason, const char *fmt, ...)
{
    char what[sizeof(((fp_error *)0)->message)];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    fp_error_reasonf(err, FILEPROC_ERR_INVALID, reason, "%s", what);
    if (err)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    return FILEPROC_ERR_INVALID;
}

/* A callback may have written the record by hand; its texts end up in the database and in JSON. */
static void clean_error(fp_error *err)
{
    err->domain[sizeof(err->domain) - 1] = '\0';
    err->message[sizeof(err->message) - 1] = '\0';
    fpi_utf8_clean(err->domain, false);
    fpi_utf8_clean(err->message, false);
}

fp_status fpi_sink_answer(fp_status rc, const char *what, fp_error *err)
{
    if (rc == FILEPROC_OK)
        return rc;
    if (rc > 0 || rc < FILEPROC_ERR_USER) /* a code of the caller's own */
        return fpi_error_causef(err, FILEPROC_ERR_USER, "user", rc, "%.100s failed", what);
    if (err && err->code == rc)
        clean_error(err);
    else if (err)
        fp_error_setf(err, rc, "%.100s failed", what);
    return rc;
}

fp_status fpi_run_tell_detected(fpi_run *run, const char *mime_type, fp_error *err)
{
    const fp_pipeline_sink *sink = run->sink;

    memcpy(run->type.detected, mime_type, strlen(mime_type) + 1);
    if (!sink->detected)
        return FILEPROC_OK;
    return fpi_sink_answer(sink->detected(sink->user_data, mime_type, err), "taking the type", err);
}

/* What an operation finds out of its own accord holds for the whole file; what it finds out when told to look at some pages doesn't. */
static const char *info_key_of(const fpi_run_step *step)
{
    const fpi_operation *op = step->operation;

    return !op->defaults || json_equal(step->params, op->defaults) ? op->info_key : NULL;
}

fp_status fpi_run_tell_step(fpi_run *run, const fpi_run_step *step, const char *result,
                            fp_error *err)
{
    const fp_pipeline_sink *sink = run->sink;
    fp_status rc;

    if (!sink->step_done)
        return FILEPROC_OK;
    rc = sink->step_done(sink->user_data, step->name, step->operation->name, info_key_of(step),
                         result, err);
    return fpi_sink_answer(rc, "taking a result", err);
}

fp_status fpi_run_tick(void *user_data, fp_error *err)
{
    fpi_run *run = user_data;
    const fp_pipeline_sink *sink = run->sink;
    fp_status rc = FILEPROC_OK;

    if (atomic_load(&run->runner->cancelled))
        return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "the run was cancelled");
    if (sink->tick)
        rc = fpi_sink_answer(sink->tick(sink->user_data, err), "a tick", err);
    run->wait.last_tick_ms = fpi_monotonic_ms();
    return rc;
}

/* Without memory it is only forgotten. */
static void remember(fp_runner *r, const char *pipeline, json_t *definition)
{
    const fp_allocator *a = &r->pls->ctx->a;

    json_decref(fpi_steal(&r->known_definition));
    fpi_free(a, fpi_steal(&r->known_text));
    r->known_text = fpi_strdup(a, pipeline);
    if (r->known_text)
        r->known_definition = json_incref(definition);
}

/* Jobs keep resolved pipelines, and this library may be newer than the one that resolved it: so it is completed again. */
static fp_status complete(fp_runner *r, const char *pipeline, json_t **definition, fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t) given = NULL;
    fp_status rc;

    if (r->known_text && strcmp(r->known_text, pipeline) == 0) {
        *definition = json_incref(r->known_definition);
        return FILEPROC_OK;
    }
    rc = fpi_definition_parse(pipeline, FPI_DEFINITION_TEXT_MAX, "pipeline", &given, err);
    if (rc == FILEPROC_OK)
        rc = fpi_definition_complete(&r->pls->ops, given, true, &root, definition, err);
    if (rc == FILEPROC_ERR_INVALID && err)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    if (rc == FILEPROC_OK)
        remember(r, pipeline, *definition);
    return rc;
}

static fp_status read_definition(fpi_run *run, const char *pipeline, fp_error *err)
{
    const fpi_operations *ops = &run->runner->pls->ops;
    const json_t *steps;
    fp_status rc = complete(run->runner, pipeline, &run->definition, err);

    if (rc < 0)
        return rc;
    steps = json_object_get(run->definition, "steps");
    run->count = json_array_size(steps);
    run->steps = fpi_calloc(&ops->ctx->a, run->count, sizeof(*run->steps));
    if (!run->steps)
        return fpi_no_memory(err);
    for (size_t i = 0; i < run->count; i++) {
        const json_t *step = json_array_get(steps, i);

        run->steps[i] = (fpi_run_step){
            .name = json_string_value(json_object_get(step, "name")),
            .operation =
                fpi_operations_find(ops, json_string_value(json_object_get(step, "operation"))),
            .params = json_object_get(step, "params"),
        };
    }
    return FILEPROC_OK;
}

/* Names of steps that the pipeline doesn't have (any more) are no mistake. */
static fp_status read_skipped(fpi_run *run, const char *text, fp_error *err)
{
    FPI_CLEANUP(json_t) names = NULL;
    const json_t *name;
    fp_status rc;
    size_t n;

    if (!text)
        return FILEPROC_OK;
    if (strnlen(text, SKIP_TEXT_MAX) == SKIP_TEXT_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "skip_steps is too long");
    rc = fpi_json_parse(text, strlen(text), "skip_steps", &names, err);
    if (rc == FILEPROC_OK && !json_is_array(names))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "skip_steps: not an array");
    if (rc < 0)
        return rc;
    json_array_foreach(names, n, name)
        for (size_t i = 0; i < run->count; i++)
            if (json_is_string(name) && strcmp(run->steps[i].name, json_string_value(name)) == 0)
                run->steps[i].skip = true;
    return FILEPROC_OK;
}

static fp_status read_input(fpi_run *run, fp_error *err)
{
    const fp_pipeline_input *in = run->input;
    struct stat st;

    if (fstat(in->fd, &st) != 0)
        return fpi_error_errno(err, errno, "the input");
    if (!S_ISREG(st.st_mode))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the input is no regular file");
    fpi_media_type_normalise(in->mime_type ? in->mime_type : "", run->type.declared);
    fpi_media_type_normalise(in->detected_mime_type ? in->detected_mime_type : "",
                             run->type.detected);
    /* A build without the helper finds no types: its operations go by what was declared. */
    run->detect = !in->detected_mime_type && fp_feature("media");
    return FILEPROC_OK;
}

/* How many steps from `at` on the helper can do in one go; those that are skipped part nothing. */
static size_t helper_end(const fpi_run *run, size_t at)
{
    while (at < run->count && (run->steps[at].skip || !run->steps[at].operation->embedded))
        at++;
    return at;
}

static fp_status do_steps(fpi_run *run, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    size_t at = 0;

    while (rc == FILEPROC_OK && (at < run->count || run->detect)) {
        while (at < run->count && run->steps[at].skip)
            at++;
        if (run->detect || (at < run->count && !run->steps[at].operation->embedded)) {
            size_t end = helper_end(run, at);

            rc = fpi_run_helper(run, at, end, err);
            at = end;
        } else if (at < run->count) {
            rc = fpi_run_embedded(run, &run->steps[at++], err);
        }
    }
    return rc;
}

static fp_status run_pipeline(fp_runner *r, const char *pipeline, const fp_pipeline_input *input,
                              const fp_pipeline_sink *sink, fp_error *err)
{
    FPI_DISPOSE(fpi_run)
    run = { .runner = r, .input = input, .sink = sink, .output = { .fd = -1 }, .input_fd = -1 };
    fp_status rc = read_input(&run, err);

    if (rc == FILEPROC_OK)
        rc = read_definition(&run, pipeline, err);
    if (rc == FILEPROC_OK)
        rc = read_skipped(&run, input->skip_steps, err);
    if (rc < 0)
        return rc;
    run.wait = (fpi_helper_wait){ .cancelled = &r->cancelled,
                                  .cancel_fd = r->cancel_fd,
                                  .left_ms = r->pls->o.wall_clock_ms,
                                  .last_tick_ms = fpi_monotonic_ms(),
                                  .tick = fpi_run_tick,
                                  .user_data = &run };
    fpi_helper_begin(&r->helper);
    rc = do_steps(&run, err);
    fpi_helper_finish(&r->helper);
    return rc;
}

fp_status fp_runner_run(fp_runner *r, const char *pipeline, const fp_pipeline_input *input,
                        const fp_pipeline_sink *sink, fp_error *err)
{
    fp_pipeline_input in = FILEPROC_PIPELINE_INPUT_INIT;
    fp_pipeline_sink to = FILEPROC_PIPELINE_SINK_INIT;
    fp_error failure = { 0 };
    fp_status rc;

    if (!r || !pipeline || !input || !sink)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&in, sizeof(in), input, &failure);
    if (rc == FILEPROC_OK)
        rc = fpi_options_import(&to, sizeof(to), sink, &failure);
    if (rc == FILEPROC_OK && atomic_load(&r->cancelled))
        rc = fp_error_setf(&failure, FILEPROC_ERR_CANCELLED, "the run was cancelled");
    if (rc == FILEPROC_OK)
        rc = run_pipeline(r, pipeline, &in, &to, &failure);
    if (rc < 0 && err)
        *err = failure;
    return rc;
}
