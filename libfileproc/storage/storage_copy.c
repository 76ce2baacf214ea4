/* Owns: descriptors on objects that have no file of their own: a copy in a file without a name.
 * Must not know: any driver. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error_private.h"
#include "storage/storage_private.h"

#define COPY_BYTES ((size_t)128 * 1024)
#define COPY_TRIES 3

fp_status fpi_unnamed_file(int *fd, fp_error *err)
{
    /* By custom /tmp may be memory, /var/tmp is disk: objects can be larger than memory. */
    static const char *const folders[] = { "/var/tmp", "/tmp" };

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        *fd = open(folders[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
        if (*fd >= 0)
            return FILEPROC_OK;
    }
    return fpi_error_errno(err, errno, "temporary file");
}

const char *fpi_fd_path(int fd, char path[FPI_FD_PATH_SIZE])
{
    snprintf(path, FPI_FD_PATH_SIZE, "/proc/self/fd/%d", fd);
    return path;
}

fp_status fpi_reopen_read_only(int fd, int *out, fp_error *err)
{
    char path[FPI_FD_PATH_SIZE];

    *out = open(fpi_fd_path(fd, path), O_RDONLY | O_CLOEXEC);
    if (*out < 0)
        return fpi_error_errno(err, errno, "temporary file");
    return FILEPROC_OK;
}

fp_status fpi_write_fully(int fd, const void *data, size_t size, fp_error *err)
{
    const char *at = data;

    while (size) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fpi_error_errno(err, n < 0 ? errno : ENOSPC, "temporary file");
        at += n;
        size -= (size_t)n;
    }
    return FILEPROC_OK;
}

static fp_status copy_object(fp_storage *st, const char *key, int fd, void *buf, fp_error *err)
{
    uint64_t offset = 0;
    size_t got = 0;
    fp_status rc;

    do {
        rc = st->drv->read(st->self, key, offset, buf, COPY_BYTES, &got, 0, err);
        if (rc == FILEPROC_OK && got)
            rc = fpi_write_fully(fd, buf, got, err);
        offset += got;
    } while (rc == FILEPROC_OK && got == COPY_BYTES);
    return rc;
}

/* An object replaced while it is read piece by piece would give a mixture: then *same is false. */
static fp_status copy_checked(fp_storage *st, const char *key, int fd, void *buf, bool *same,
                              fp_error *err)
{
    fp_storage_info before = FILEPROC_STORAGE_INFO_INIT, after = FILEPROC_STORAGE_INFO_INIT;
    off_t copied;
    fp_status rc;

    rc = st->drv->stat(st->self, key, &before, 0, err);
    if (rc == FILEPROC_OK)
        rc = copy_object(st, key, fd, buf, err);
    if (rc == FILEPROC_OK)
        rc = st->drv->stat(st->self, key, &after, 0, err);
    if (rc < 0)
        return rc;
    copied = lseek(fd, 0, SEEK_CUR);
    *same = before.size == after.size && before.modified_ms == after.modified_ms && copied >= 0 &&
            (uint64_t)copied == after.size;
    return FILEPROC_OK;
}

static fp_status copy_with_buffer(fp_storage *st, const char *key, void *buf, int *out,
                                  fp_error *err)
{
    for (int i = 0; i < COPY_TRIES; i++) {
        FPI_FD fd = -1;
        bool same = false;
        fp_status rc = fpi_unnamed_file(&fd, err);

        if (rc == FILEPROC_OK)
            rc = copy_checked(st, key, fd, buf, &same, err);
        if (rc < 0)
            return rc;
        if (same)
            return fpi_reopen_read_only(fd, out, err);
    }
    return fp_error_setf(err, FILEPROC_ERR_BUSY, "the object is replaced again and again");
}

fp_status fpi_object_copy_to_file(fp_storage *st, const char *key, int *fd, fp_error *err)
{
    void *buf = fpi_alloc(&st->ctx->a, COPY_BYTES);
    fp_status rc;

    if (!buf)
        return fpi_no_memory(err);
    rc = copy_with_buffer(st, key, buf, fd, err);
    fpi_free(&st->ctx->a, buf);
    return rc;
}
