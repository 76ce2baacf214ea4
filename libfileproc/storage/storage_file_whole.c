/* Owns: the short way of an object that arrives as one part: its commit is its publication, and needs no record.
 * Must not know: assemblies of several parts. docs/internals/storage-file.md tells what a crash leaves. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* An object of this size under the key is the part: its bytes were on disk before it got the name, and nobody else uses the
 * key. But it may have been named by a process that died before the folder's sync. */
static fp_status find_object(fpi_staged_file *f, fp_part_info *whole, fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = NULL;
    const char *leaf;
    struct stat st;
    fp_status rc = fpi_folder_open(f->store, f->key, false, &folder, &leaf, err);

    if (rc < 0)
        return rc;
    if (fstatat(folder->fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fpi_file_is_absence(errno) ? fpi_object_not_found(err)
                                          : fpi_error_errno(err, errno, "object");
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->size)
        return fpi_object_not_found(err);
    rc = fpi_folder_sync(folder, err);
    if (rc < 0)
        return rc;
    f->published = f->whole = true;
    whole->length = f->size;
    whole->committed_ms = fpi_file_modified_ms(&st);
    return FILEPROC_OK;
}

fp_status fpi_file_assembly_set_target(void *self, void *assembly, const char *key, uint64_t size,
                                       fp_part_info *whole, fp_error *err)
{
    fpi_staged_file *f = assembly;
    fp_error e = { 0 };
    fp_status rc;
    char *copy;

    (void)self;
    if (f->whole ||
        f->transient) /* `whole` was told of, or the commit of parts is of no interest */
        return FILEPROC_OK;
    copy = fpi_strdup(&f->store->ctx->a, key);
    if (!copy)
        return fpi_no_memory(err);
    fpi_free(&f->store->ctx->a, f->key);
    f->key = copy;
    f->size = size;
    if (size == 0 || f->written) /* it has a record */
        return FILEPROC_OK;
    rc = find_object(f, whole, &e);
    if (rc == FILEPROC_ERR_NOTFOUND)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = e;
    return rc;
}

void fpi_staged_open_unnamed(fpi_staged_file *f)
{
    const fpi_file_store *s = f->store;

    if (f->data_fd >= 0 || f->data_exists || f->published || s->no_unnamed)
        return;
    f->data_fd = openat(s->staging_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FPI_FILE_MODE);
    f->unnamed = f->data_fd >= 0;
    if (!f->unnamed)
        f->data_fd = -1;
}

fp_status fpi_staged_name_data(fpi_staged_file *f, fp_error *err)
{
    char path[FPI_FD_PATH_SIZE];
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&f->lock);
    if (f->unnamed && linkat(AT_FDCWD, fpi_fd_path(f->data_fd, path), f->store->staging_fd,
                             f->data_name, AT_SYMLINK_FOLLOW) != 0) {
        rc = fpi_error_errno(err, errno, "staged data: name");
    } else if (f->unnamed) {
        f->unnamed = f->names_synced = false;
        f->data_exists = true;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

bool fpi_staged_is_whole(const fpi_staged_file *f, const fp_part_info *part)
{
    return f->key && part->offset == 0 && part->length == f->size;
}

/* The file gets a name before its sync, not after: without a journal nothing else would bring its count of links to disk, and
 * fsck takes a file that no link counts for a deleted one. The name itself need not survive. */
fp_status fpi_staged_commit_whole(fpi_staged_file *f, fp_error *err)
{
    fp_status rc;

    if (f->broken)
        return fp_error_setf(err, FILEPROC_ERR_IO, "a sync of this assembly has failed before");
    rc = fpi_staged_name_data(f, err);
    if (rc == FILEPROC_OK)
        rc = fpi_staged_settle_data(f, f->size, err);
    if (rc == FILEPROC_OK)
        rc = fpi_staged_move(f, f->key, f->size, 0, err);
    pthread_mutex_lock(&f->lock);
    f->whole = rc == FILEPROC_OK;
    f->broken = rc < 0;
    pthread_mutex_unlock(&f->lock);
    return rc;
}
