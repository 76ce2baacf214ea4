/* Owns: the unnamed file in which a step's output is made, until the sink has it.
 * Must not know: who writes it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error_private.h"
#include "pipeline/runner_private.h"

/* Network file systems and old overlays have no unnamed files; one whose name is taken away at once is nearly as good: only a crash between
 * the two lines leaves an empty file behind. */
static int open_and_unlink(const fp_context *ctx, const char *folder)
{
    char *path = fpi_printf(&ctx->a, "%s/fileproc-XXXXXX", folder);
    int fd = -1, failed = ENOMEM;

    if (path) {
        fd = mkostemp(path, O_CLOEXEC);
        failed = errno;
        if (fd >= 0)
            (void)unlink(path);
        fpi_free(&ctx->a, path);
    }
    errno = failed;
    return fd;
}

fp_status fpi_output_open(fpi_run *run, fp_error *err)
{
    const fp_pipelines *pls = run->runner->pls;
    int fd = open(pls->temporary_folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        fd = open_and_unlink(pls->ctx, pls->temporary_folder);
    if (fd < 0)
        return fpi_error_errno(err, errno, "making a temporary file");
    run->output = (fpi_output){ .fd = fd, .number = run->outputs++ };
    return FILEPROC_OK;
}

void fpi_output_describe(fpi_run *run, const char *mime_type, const char *extension, char *info)
{
    fpi_output *out = &run->output;

    memcpy(out->mime_type, mime_type, strlen(mime_type) + 1);
    memcpy(out->extension, extension, strlen(extension) + 1);
    out->info = info;
    out->complete = true;
}

fpi_output fpi_output_take(fpi_run *run)
{
    fpi_output taken = run->output;

    run->output = (fpi_output){ .fd = -1 };
    return taken;
}

void fpi_output_discard(const fp_context *ctx, fpi_output *output)
{
    if (output->fd >= 0)
        close(output->fd);
    fpi_free(&ctx->a, output->info);
    *output = (fpi_output){ .fd = -1 };
}

static fp_status check_size(const fpi_run *run, const fpi_output *output, const fpi_run_step *step,
                            uint64_t *size, fp_error *err)
{
    uint64_t most = run->runner->pls->o.max_output_bytes;
    struct stat st;

    if (fstat(output->fd, &st) != 0 || lseek(output->fd, 0, SEEK_SET) != 0)
        return fpi_error_errno(err, errno, "reading an output");
    *size = (uint64_t)st.st_size;
    if (*size > most)
        return fpi_run_permanent(err, FILEPROC_REASON_OUTPUT_TOO_LARGE,
                                 "step %.64s made a file of more than %" PRIu64 " bytes",
                                 step->name, most);
    return FILEPROC_OK;
}

static fp_status tell(const fpi_run *run, const fpi_output *output, const fpi_run_step *step,
                      fp_pipeline_output *o, fp_error *err)
{
    fp_status rc = check_size(run, output, step, &o->size, err);

    if (rc < 0 || !run->sink->output)
        return rc;
    o->struct_size = sizeof(*o);
    o->step = step->name;
    o->operation = step->operation->name;
    o->mime_type = output->mime_type;
    o->info = output->info;
    o->number = output->number;
    o->fd = output->fd;
    return run->sink->output(run->sink->user_data, o, err);
}

fp_status fpi_output_deliver(fpi_run *run, fpi_output *output, const fpi_run_step *step,
                             bool several, fp_error *err)
{
    fp_pipeline_output o = { 0 };
    char name[FPI_OUTPUT_NAME_SIZE];
    fp_status rc = FILEPROC_OK;

    if (output->fd >= 0) {
        several = several || output->number > 0;
        fpi_output_name(run->input->filename, step->name, several ? output->number + 1 : 0,
                        output->extension, name);
        o.filename = name;
        rc = fpi_sink_answer(tell(run, output, step, &o, err), "taking an output", err);
    }
    fpi_output_discard(run->runner->pls->ctx, output);
    return rc;
}

bool fpi_extension_valid(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");

    return size > 0 && size <= FPI_EXTENSION_MAX && text[size] == '\0';
}
