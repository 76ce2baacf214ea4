/* Owns: one output file of a step: asking the library for it, writing within the limit, handing it back.
 * Must not know: what is written. */
#include "media/media_output.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/error_private.h"
#include "media/media_error.h"

static json_int_t step_number(const fpi_media_run *run)
{
    return run->steps[run->current].number;
}

fp_status fpi_media_output_open(fpi_media_output *out, fpi_media_run *run, fp_error *err)
{
    fpi_media_channel *ch = &run->helper->channel;
    FPI_CLEANUP(json_t) answer = NULL;
    FPI_FD fd = -1;
    const char *type;
    fp_status rc;

    rc = fpi_media_send(
        ch,
        json_pack("{s:s,s:I,s:I}", "type", "need_output", "id", run->id, "step", step_number(run)),
        err);
    if (rc < 0)
        return rc;
    rc = fpi_media_receive(ch, &answer, &fd, err);
    if (rc < 0)
        return rc;
    type = json_string_value(json_object_get(answer, "type"));
    if (!type || strcmp(type, "output_fd") != 0 ||
        json_integer_value(json_object_get(answer, "id")) != run->id || fd < 0) {
        ch->broken = true;
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "no output file was given");
    }
    *out = (fpi_media_output){ .run = run, .fd = fpi_steal_fd(&fd) };
    return FILEPROC_OK;
}

void fpi_media_output_dispose(fpi_media_output *out)
{
    if (out->fd >= 0)
        close(out->fd);
    out->fd = -1;
}

bool fpi_media_output_write(fpi_media_output *out, const void *data, size_t size)
{
    const char *at = data;

    if (out->failed)
        return false;
    if (size > out->run->limits.max_output_bytes ||
        out->position > out->run->limits.max_output_bytes - size) {
        out->failed = EFBIG;
        return false;
    }
    while (size) {
        ssize_t n = pwrite(out->fd, at, size, (off_t)out->position);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            out->failed = n < 0 ? errno : EIO;
            return false;
        }
        at += n;
        size -= (size_t)n;
        out->position += (uint64_t)n;
    }
    if (out->position > out->size)
        out->size = out->position;
    return true;
}

int64_t fpi_media_output_seek(fpi_media_output *out, int64_t offset, int whence)
{
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? (int64_t)out->position
                                        : (int64_t)out->size;
    int64_t target;

    if (__builtin_add_overflow(base, offset, &target) || target < 0)
        return -1;
    out->position = (uint64_t)target;
    return target;
}

ssize_t fpi_media_output_read(fpi_media_output *out, void *data, size_t size)
{
    ssize_t n;

    do
        n = pread(out->fd, data, size, (off_t)out->position);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        out->position += (uint64_t)n;
    return n;
}

fp_status fpi_media_output_failure(const fpi_media_output *out, fp_error *err)
{
    switch (out->failed) {
    case 0:
        return FILEPROC_OK;
    case EFBIG:
        return fpi_media_fail(err, FILEPROC_REASON_OUTPUT_TOO_LARGE,
                              "the result is larger than %" PRIu64 " bytes",
                              out->run->limits.max_output_bytes);
    default:
        return fpi_error_errno(err, out->failed, "can't write the result");
    }
}

fp_status fpi_media_output_done(fpi_media_output *out, const char *mime_type, const char *extension,
                                json_t *info, fp_error *err)
{
    fpi_media_run *run = out->run;
    FPI_CLEANUP(json_t) facts = info;
    json_t *message;

    if (!facts)
        return fpi_media_no_memory(err);
    message =
        json_pack("{s:s,s:I,s:I,s:s,s:s,s:O}", "type", "output", "id", run->id, "step",
                  step_number(run), "mime_type", mime_type, "extension", extension, "info", facts);
    fpi_media_output_dispose(out);
    return fpi_media_send(&run->helper->channel, message, err);
}
