/* Owns: one run: a request taken apart, its steps in order, what they share, and how it ends.
 * Must not know: how any operation works; media_operation.c has the table. */
#include "media/media_run.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error_private.h"
#include "media/media_error.h"
#include "media/media_image.h"
#include "media/media_pdf.h"

static fp_status bad_request(fp_error *err, const char *what)
{
    return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the request to run has no valid %s", what);
}

static fp_status read_limits(fpi_media_run *run, fp_error *err)
{
    const json_t *limits = json_object_get(run->request, "limits");
    const struct {
        const char *name;
        uint64_t *value;
    } all[] = {
        { "max_pixels", &run->limits.max_pixels },
        { "max_output_bytes", &run->limits.max_output_bytes },
        { "max_unpacked_bytes", &run->limits.max_unpacked_bytes },
        { "max_entries", &run->limits.max_entries },
        { "max_pages", &run->limits.max_pages },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        const json_t *j = json_object_get(limits, all[i].name);

        if (!json_is_integer(j) || json_integer_value(j) <= 0)
            return bad_request(err, all[i].name);
        *all[i].value = (uint64_t)json_integer_value(j);
    }
    return FILEPROC_OK;
}

static fp_status read_steps(fpi_media_run *run, fp_error *err)
{
    const json_t *steps = json_object_get(run->request, "steps");

    if (!json_is_array(steps) || json_array_size(steps) > FPI_MEDIA_STEPS_MAX)
        return bad_request(err, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *j = json_array_get(steps, i);
        const json_t *number = json_object_get(j, "step");
        fpi_media_step *step = &run->steps[i];

        step->operation = json_string_value(json_object_get(j, "operation"));
        step->params = json_object_get(j, "params");
        if (!json_is_integer(number) || !step->operation ||
            (step->params && !json_is_object(step->params)))
            return bad_request(err, "step");
        step->number = json_integer_value(number);
    }
    run->step_count = json_array_size(steps);
    return FILEPROC_OK;
}

static fp_status read_request(fpi_media_run *run, fp_error *err)
{
    const char *declared = json_string_value(json_object_get(run->request, "declared_type"));
    const char *detected = json_string_value(json_object_get(run->request, "detected_type"));
    const json_t *id = json_object_get(run->request, "id");
    struct stat st;
    fp_status rc;

    if (!json_is_integer(id))
        return bad_request(err, "id");
    run->id = json_integer_value(id);
    if (run->input_fd < 0 || fstat(run->input_fd, &st) != 0 || !S_ISREG(st.st_mode))
        return bad_request(err, "input file");
    run->input_size = (uint64_t)st.st_size;
    fpi_media_type_normalise(declared ? declared : "", run->declared_type);
    fpi_media_type_normalise(detected ? detected : "", run->detected_type);
    rc = read_limits(run, err);
    return rc < 0 ? rc : read_steps(run, err);
}

fp_status fpi_media_input_read(const fpi_media_run *run, uint64_t offset, void *buf, size_t size,
                               size_t *got, fp_error *err)
{
    char *at = buf;

    *got = 0;
    while (*got < size) {
        ssize_t n = pread(run->input_fd, at + *got, size - *got, (off_t)(offset + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fpi_error_errno(err, errno, "can't read the input");
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return FILEPROC_OK;
}

/* The limit counts from the start of the process, and processes are used again: so it is raised before each run. */
static void allow_cpu_time(const fpi_media_helper *helper)
{
    struct rusage used;
    struct rlimit limit;

    if (helper->cpu_seconds == 0 || getrusage(RUSAGE_SELF, &used) != 0 ||
        getrlimit(RLIMIT_CPU, &limit) != 0)
        return;
    limit.rlim_cur =
        (rlim_t)used.ru_utime.tv_sec + (rlim_t)used.ru_stime.tv_sec + 1 + helper->cpu_seconds;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_CPU, &limit);
}

static uint64_t resident_bytes(const fpi_media_helper *helper)
{
    char text[128];
    ssize_t n = pread(helper->memory_fd, text, sizeof(text) - 1, 0);
    unsigned long long total, resident;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (sscanf(text, "%llu %llu", &total, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The names that protocol.h promises; what has no reason of its own is this side's trouble, not the file's. */
static const char *error_code(const fp_error *e)
{
    if (strcmp(e->domain, "fileproc") == 0)
        return fp_error_reason(e);
    return e->code == FILEPROC_ERR_NOMEM ? "helper_memory" : "helper_unavailable";
}

static fp_status send_error(fpi_media_run *run, const fp_error *failure, fp_error *err)
{
    bool permanent = (failure->flags & FILEPROC_ERROR_PERMANENT) != 0;
    json_int_t step = run->current < run->step_count ? run->steps[run->current].number : 0;

    return fpi_media_send(&run->helper->channel,
                          json_pack("{s:s,s:I,s:I,s:s,s:s,s:b}", "type", "error", "id", run->id,
                                    "step", step, "code", error_code(failure), "detail",
                                    failure->message, "permanent", permanent),
                          err);
}

static fp_status do_step(fpi_media_run *run, fp_error *err)
{
    const fpi_media_step *step = &run->steps[run->current];
    fpi_media_operation operation = fpi_media_operation_find(step->operation);
    FPI_CLEANUP(json_t) result = NULL;
    fp_status rc;

    if (!operation)
        return fpi_media_fail(err, FILEPROC_REASON_OPERATION_UNKNOWN, "there is no operation %.64s",
                              step->operation);
    rc = operation(run, step, &result, err);
    if (rc < 0)
        return rc;
    rc = fpi_media_send(&run->helper->channel,
                        json_pack("{s:s,s:I,s:I,s:o}", "type", "step", "id", run->id, "step",
                                  step->number, "result", fpi_steal(&result)),
                        err);
    if (rc == FILEPROC_ERR_QUOTA)
        return fpi_media_fail(err, FILEPROC_REASON_OUTPUT_TOO_LARGE,
                              "the result of %s is too large", step->operation);
    return rc;
}

static fp_status do_steps(fpi_media_run *run, fp_error *err)
{
    for (run->current = 0; run->current < run->step_count; run->current++) {
        fp_status rc = do_step(run, err);

        if (rc < 0)
            return rc;
    }
    return FILEPROC_OK;
}

/* Before the answer, so that rss_bytes says what stays. */
static void release(fpi_media_run *run)
{
    fpi_media_images_free(run->images);
    fpi_media_pdf_free(run->pdf);
    if (run->input_fd >= 0)
        close(run->input_fd);
    malloc_trim(0);
}

static fp_status send_done(fpi_media_run *run, fp_error *err)
{
    return fpi_media_send(&run->helper->channel,
                          json_pack("{s:s,s:I,s:I}", "type", "done", "id", run->id, "rss_bytes",
                                    (json_int_t)resident_bytes(run->helper)),
                          err);
}

fp_status fpi_media_run_request(fpi_media_helper *helper, json_t *request, int input_fd,
                                fp_error *err)
{
    fpi_media_run run = { .helper = helper, .request = request, .input_fd = input_fd };
    fp_error failure = { 0 };
    fp_status rc = read_request(&run, &failure);

    if (rc == FILEPROC_OK) {
        allow_cpu_time(helper);
        rc = do_steps(&run, &failure);
    } else {
        helper->channel.broken = true;
    }
    release(&run);
    if (helper->channel.broken)
        *err = failure;
    else
        rc = rc < 0 ? send_error(&run, &failure, err) : send_done(&run, err);
    json_decref(request);
    return rc;
}
