/* Owns: one request to the helper: its steps, its outputs, and the checking of every word that comes back.
 * Must not know: how packets travel (helper.c); embedders' operations.
 *
 * The helper reads strangers' files, so by now it may be a stranger itself. It gets nothing but a yes or no to what it says: steps only in
 * order, files only one at a time and only while their step runs, names and types well-formed, everything limited in number and size. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/error_private.h"
#include "media/protocol.h"
#include "pipeline/runner_private.h"

#define DETECT_OPERATION "file.type"

/* One request. Its steps are numbered from 0; with `detect`, 0 is the question for the type and 1 is run->steps[from]. */
typedef struct request {
    fpi_run *run;
    size_t steps[64]; /* indexes into run->steps */
    size_t count;     /* the question for the type included */
    size_t next;      /* the first that is not answered */
    uint64_t id;
    bool detect;
    bool ended; /* the helper is ready for another request */
} request;

static fpi_helper *helper_of(const request *q)
{
    return &q->run->runner->helper;
}

static bool is_detection(const request *q, size_t number)
{
    return q->detect && number == 0;
}

/* NULL for the question for the type. */
static const fpi_run_step *step_of(const request *q, size_t number)
{
    return is_detection(q, number) ? NULL : &q->run->steps[q->steps[number]];
}

static const char *step_name(const request *q, size_t number)
{
    const fpi_run_step *step = number < q->count ? step_of(q, number) : NULL;

    return step ? step->name : DETECT_OPERATION;
}

/* What the request has room for; json_t integers end at INT64_MAX. */
static json_t *number_json(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static json_t *type_json(const char *type)
{
    return *type ? json_string(type) : json_null();
}

static json_t *limits_json(const fp_pipelines_options *o)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "max_pixels", number_json(o->max_pixels),
                     "max_output_bytes", number_json(o->max_output_bytes), "max_unpacked_bytes",
                     number_json(o->max_unpacked_bytes), "max_entries", number_json(o->max_entries),
                     "max_pages", number_json(o->max_pages));
}

static json_t *steps_json(const request *q)
{
    FPI_CLEANUP(json_t) list = json_array();

    for (size_t i = 0; i < q->count; i++) {
        const fpi_run_step *step = step_of(q, i);
        json_t *one = step ? json_pack("{s:I,s:s,s:O}", "step", (json_int_t)i, "operation",
                                       step->operation->name, "params", step->params)
                           : json_pack("{s:I,s:s,s:{}}", "step", (json_int_t)i, "operation",
                                       DETECT_OPERATION, "params");

        if (json_array_append_new(list, one) != 0)
            return NULL;
    }
    return fpi_steal(&list);
}

static json_t *request_json(const request *q)
{
    const fpi_input_type *type = &q->run->type;

    return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o}", "type", "run", "id", (json_int_t)q->id,
                     "declared_type", type_json(type->declared), "detected_type",
                     type_json(type->detected), "limits", limits_json(&q->run->runner->pls->o),
                     "steps", steps_json(q));
}

/* The caller's descriptor may allow writing, and its offset is the caller's: the helper gets one of its own. */
static fp_status open_input(fpi_run *run, fp_error *err)
{
    int fd = run->input->fd, flags = fcntl(fd, F_GETFL);
    char path[40];

    if (run->input_fd >= 0)
        return FILEPROC_OK;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    run->input_fd = open(path, O_RDONLY | O_CLOEXEC);
    /* No /proc, or rights that were given up since. */
    if (run->input_fd < 0 && flags >= 0 && (flags & O_ACCMODE) == O_RDONLY)
        run->input_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return run->input_fd < 0 ? fpi_error_errno(err, errno, "opening the input for the helper")
                             : FILEPROC_OK;
}

static fp_status send_request(request *q, fp_error *err)
{
    FPI_CLEANUP(json_t) packet = request_json(q);
    fp_status rc;

    if (!packet)
        return fpi_no_memory(err);
    rc = open_input(q->run, err);
    if (rc < 0)
        return rc;
    return fpi_helper_request(helper_of(q), &q->run->wait, packet, q->run->input_fd, err);
}

static fp_status give_output(request *q, fp_error *err)
{
    FPI_CLEANUP(json_t)
    packet = json_pack("{s:s,s:I}", "type", "output_fd", "id", (json_int_t)q->id);
    fp_status rc;

    if (!packet)
        return fpi_no_memory(err);
    rc = fpi_output_open(q->run, err);
    if (rc < 0)
        return rc;
    return fpi_helper_send(helper_of(q), packet, q->run->output.fd, err);
}

/* The helper goes on writing while the sink takes the file before. */
static fp_status on_need_output(request *q, fp_error *err)
{
    fpi_run *run = q->run;
    const fpi_run_step *step = step_of(q, q->next);
    fpi_output before;
    fp_status rc;

    if (!step)
        return fpi_helper_violation(helper_of(q), err, "an output of %s", DETECT_OPERATION);
    if (run->output.fd >= 0 && !run->output.complete)
        return fpi_helper_violation(helper_of(q), err, "two outputs at a time");
    if (run->outputs >= run->runner->pls->o.max_pages)
        return fpi_helper_violation(helper_of(q), err, "more than %u outputs of one step",
                                    run->runner->pls->o.max_pages);
    before = fpi_output_take(run);
    rc = give_output(q, err);
    if (rc == FILEPROC_OK)
        return fpi_output_deliver(run, &before, step, true, err);
    fpi_output_discard(run->runner->pls->ctx, &before);
    return rc;
}

static fp_status on_output(request *q, const json_t *packet, fp_error *err)
{
    const fp_context *ctx = q->run->runner->pls->ctx;
    const char *type = json_string_value(json_object_get(packet, "mime_type"));
    const char *extension = json_string_value(json_object_get(packet, "extension"));
    const json_t *info = json_object_get(packet, "info");
    char *text;

    if (q->run->output.fd < 0 || q->run->output.complete)
        return fpi_helper_violation(helper_of(q), err, "an output that it did not ask for");
    if (!type || !fpi_media_type_valid(type) || !extension || !fpi_extension_valid(extension) ||
        !json_is_object(info))
        return fpi_helper_violation(helper_of(q), err, "an output that is not well described");
    text = fpi_json_text(ctx, info);
    if (!text)
        return fpi_no_memory(err);
    fpi_output_describe(q->run, type, extension, text);
    return FILEPROC_OK;
}

static fp_status on_detected(request *q, const json_t *result, fp_error *err)
{
    const char *type = json_string_value(json_object_get(result, "mime_type"));

    if (!type || !fpi_media_type_valid(type))
        return fpi_helper_violation(helper_of(q), err, "a type that is none");
    return fpi_run_tell_detected(q->run, type, err);
}

static fp_status finish_step(request *q, const fpi_run_step *step, const json_t *result,
                             fp_error *err)
{
    const fp_context *ctx = q->run->runner->pls->ctx;
    fpi_output last = fpi_output_take(q->run);
    char *text = fpi_json_text(ctx, result);
    fp_status rc;

    if (!text) {
        fpi_output_discard(ctx, &last);
        return fpi_no_memory(err);
    }
    rc = fpi_output_deliver(q->run, &last, step, false, err);
    if (rc == FILEPROC_OK)
        rc = fpi_run_tell_step(q->run, step, text, err);
    fpi_free(&ctx->a, text);
    return rc;
}

static fp_status on_step(request *q, const json_t *packet, fp_error *err)
{
    const json_t *result = json_object_get(packet, "result");
    const fpi_run_step *step = step_of(q, q->next);
    fp_status rc;

    if (!json_is_object(result))
        return fpi_helper_violation(helper_of(q), err, "a step without a result");
    if (q->run->output.fd >= 0 && !q->run->output.complete)
        return fpi_helper_violation(helper_of(q), err, "a step without the output it asked for");
    rc = step ? finish_step(q, step, result, err) : on_detected(q, result, err);
    q->next++;
    q->run->outputs = 0;
    q->run->wait.step = step_name(q, q->next < q->count ? q->next : q->count - 1);
    return rc;
}

static bool code_allowed(int32_t reason)
{
    switch (reason) {
    case FILEPROC_REASON_OPERATION_UNKNOWN:
    case FILEPROC_REASON_PARAMETER_INVALID:
    case FILEPROC_REASON_STORAGE_FULL:
        return true;
    default:
        return (reason >= FILEPROC_REASON_MEDIA_UNSUPPORTED &&
                reason <= FILEPROC_REASON_OUTPUT_TOO_LARGE) ||
               (reason >= FILEPROC_REASON_HELPER_CRASHED &&
                reason <= FILEPROC_REASON_HELPER_UNAVAILABLE);
    }
}

static fp_status code_of(int32_t reason)
{
    switch (reason) {
    case FILEPROC_REASON_STORAGE_FULL:
        return FILEPROC_ERR_QUOTA;
    case FILEPROC_REASON_HELPER_TIMEOUT:
        return FILEPROC_ERR_TIMEOUT;
    case FILEPROC_REASON_HELPER_CRASHED:
    case FILEPROC_REASON_HELPER_MEMORY:
    case FILEPROC_REASON_HELPER_UNAVAILABLE:
        return FILEPROC_ERR_IO;
    default:
        return FILEPROC_ERR_INVALID;
    }
}

static fp_status on_error(request *q, const json_t *packet, fp_error *err)
{
    const json_t *number = json_object_get(packet, "step");
    const char *name = json_string_value(json_object_get(packet, "code"));
    const char *detail = json_string_value(json_object_get(packet, "detail"));
    const json_t *permanent = json_object_get(packet, "permanent");
    int32_t reason = name ? fpi_reason_by_name(name) : FILEPROC_REASON_NONE;
    fp_status rc;

    if (!json_is_integer(number) || json_integer_value(number) < (json_int_t)q->next ||
        json_integer_value(number) >= (json_int_t)q->count || !detail ||
        !json_is_boolean(permanent) || !code_allowed(reason))
        return fpi_helper_violation(helper_of(q), err, "an error that is none of its own");
    q->ended = true;
    rc = fp_error_reasonf(err, code_of(reason), reason, "%s", detail);
    if (err && rc == FILEPROC_ERR_INVALID && json_is_true(permanent))
        err->flags |= FILEPROC_ERROR_PERMANENT;
    return rc;
}

static fp_status on_done(request *q, const json_t *packet, fp_error *err)
{
    const json_t *rss = json_object_get(packet, "rss_bytes");

    if (q->next != q->count || !json_is_integer(rss) || json_integer_value(rss) < 0)
        return fpi_helper_violation(helper_of(q), err, "an end before the end");
    q->ended = true;
    fpi_helper_weigh(helper_of(q), (uint64_t)json_integer_value(rss));
    return FILEPROC_OK;
}

static fp_status on_packet(request *q, const json_t *packet, fp_error *err)
{
    const char *type = json_string_value(json_object_get(packet, "type"));
    const json_t *id = json_object_get(packet, "id"), *step = json_object_get(packet, "step");

    if (!json_is_integer(id) || json_integer_value(id) != (json_int_t)q->id)
        return fpi_helper_violation(helper_of(q), err, "an answer to what was not asked");
    if (strcmp(type, "error") == 0)
        return on_error(q, packet, err);
    if (strcmp(type, "done") == 0)
        return on_done(q, packet, err);
    if (!json_is_integer(step) || q->next >= q->count ||
        json_integer_value(step) != (json_int_t)q->next)
        return fpi_helper_violation(helper_of(q), err, "a step that is not its turn");
    if (strcmp(type, "need_output") == 0)
        return on_need_output(q, err);
    if (strcmp(type, "output") == 0)
        return on_output(q, packet, err);
    if (strcmp(type, "step") == 0)
        return on_step(q, packet, err);
    return fpi_helper_violation(helper_of(q), err, "a packet of an unknown type");
}

static fp_status converse(request *q, fp_error *err)
{
    fp_status rc;

    q->id = ++q->run->runner->last_id;
    q->run->outputs = 0;
    q->run->wait.step = step_name(q, 0);
    rc = send_request(q, err);
    while (rc == FILEPROC_OK && !q->ended) {
        FPI_CLEANUP(json_t) packet = NULL;

        rc = fpi_helper_receive(helper_of(q), &q->run->wait, &packet, err);
        if (rc == FILEPROC_OK)
            rc = on_packet(q, packet, err);
    }
    /* Whatever ended the conversation in between, what the helper would say next belongs to no other run. */
    if (!q->ended)
        fpi_helper_break_off(helper_of(q));
    return rc;
}

fp_status fpi_run_helper(fpi_run *run, size_t from, size_t to, fp_error *err)
{
    request q = { .run = run, .detect = run->detect };
    fp_status rc;

    q.count = q.detect ? 1 : 0;
    for (size_t i = from; i < to; i++)
        if (!run->steps[i].skip)
            q.steps[q.count++] = i;
    rc = converse(&q, err);
    /* Killed by somebody between the runs, but not seen to be dead yet when the request was sent. */
    if (rc < 0 && fpi_helper_died_idle(helper_of(&q)))
        rc = converse(&q, err);
    run->detect = run->detect && rc < 0;
    return rc;
}
