/* Owns: bytes that go from one staged file into another inside the kernel, or share their blocks where the file system can.
 * Must not know: whose bytes they are. */
#include <errno.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* So much at a time: the disk begins with what is there, and less is left to the sync. */
#define COPY_BYTES ((size_t)8 << 20)

/* What kernels and file systems answer that can't. */
static bool is_refusal(int error)
{
    return error == ENOSYS || error == EOPNOTSUPP || error == EXDEV || error == EINVAL ||
           error == EPERM;
}

static fp_status fail(fp_error *err, int error, bool begun)
{
    if (!begun && is_refusal(error))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the file system copies nothing by itself");
    return fpi_error_errno(err, error, "copy of staged data");
}

static fp_status copy_range(int from, uint64_t from_offset, int to, uint64_t offset,
                            uint64_t length, fp_error *err)
{
    off_t in = (off_t)from_offset, out = (off_t)offset;
    bool begun = false;

    while (length) {
        off_t at = out;
        ssize_t n = copy_file_range(from, &in, to, &out,
                                    length < COPY_BYTES ? (size_t)length : COPY_BYTES, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, errno, begun);
        if (n == 0 && !begun) /* some file systems say so when they can't */
            return fail(err, EOPNOTSUPP, false);
        if (n == 0)
            return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
        begun = true;
        length -= (uint64_t)n;
        (void)sync_file_range(to, at, (off_t)n, SYNC_FILE_RANGE_WRITE); /* a hint that may fail */
    }
    return FILEPROC_OK;
}

fp_status fpi_file_part_copy(void *self, void *assembly, void *part, uint64_t offset,
                             void *from_assembly, uint64_t from_offset, uint64_t length,
                             fp_error *err)
{
    fpi_staged_file *to = assembly, *from = from_assembly;
    fpi_file_part *p = part;
    fp_status rc;
    int fd;

    pthread_mutex_lock(&from->lock);
    rc = fpi_staged_open_data(from, false, err);
    fd = from->data_fd;
    pthread_mutex_unlock(&from->lock);
    if (rc < 0)
        return rc;
    if (p->direct && offset == p->offset)
        fpi_file_part_end_direct(self, to, p);
    if (p->direct) /* bytes that were written before go another way */
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the part is written past the page cache");
    return copy_range(fd, from_offset, to->data_fd, offset, length, err);
}
