/* Owns: the file driver: its folders at the start, objects as a whole, its table of slots.
 * Must not know: uploads; staged objects are in storage_file_staging.c and beside it. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/uri.h"
#include "storage/storage_file_private.h"

static fp_status check_uri(const fpi_uri *uri, fp_error *err)
{
    if (uri->user || uri->port || uri->query || (uri->host && uri->host[0]))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a file store is file:///absolute/folder");
    if (uri->path[0] != '/')
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the folder of a file store must be absolute");
    return FILEPROC_OK;
}

static fp_status folder_failed(fp_error *err)
{
    return fpi_error_errno(err, errno, "storage folder");
}

/* Also for a descriptor that was opened with O_PATH. */
static fp_status sync_folder(int folder, fp_error *err)
{
    FPI_FD fd = openat(folder, ".", FPI_OPEN_FOLDER);

    if (fd < 0)
        return folder_failed(err);
    errno = fpi_sync_all(fd);
    return errno ? folder_failed(err) : FILEPROC_OK;
}

/* The folder `name`, made when it is missing. A folder that is made is synced into its parent, or a crash could take
 * the store with it; `always` does so too when it was there, perhaps made by a process that died before its sync. */
static fp_status make_folder(int parent, const char *name, int open_flags, bool always, int *out,
                             fp_error *err)
{
    bool made = mkdirat(parent, name, FPI_FOLDER_MODE) == 0;
    int error = errno;
    FPI_FD fd = openat(parent, name, open_flags | O_DIRECTORY | O_CLOEXEC);
    fp_status rc = FILEPROC_OK;

    if (fd < 0) {
        if (errno == ENOENT) /* then what kept it from being made tells more */
            errno = error;
        return folder_failed(err);
    }
    if (made || always)
        rc = sync_folder(parent, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal_fd(&fd);
    return rc;
}

/* These are the operator's folders: links in the path are his wish, and folders above may be closed to us
 * for reading. */
static fp_status open_root(char *path, int *out, fp_error *err)
{
    FPI_FD fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *name, *rest = path + strspn(path, "/");

    if (fd < 0)
        return folder_failed(err);
    while (*rest) {
        int child = -1;
        fp_status rc;

        name = rest;
        rest += strcspn(rest, "/");
        if (*rest)
            *rest++ = '\0';
        rest += strspn(rest, "/");
        rc = make_folder(fd, name, O_PATH, *rest == '\0', &child, err);
        if (rc < 0)
            return rc;
        close(fd);
        fd = child;
    }
    *out = fpi_steal_fd(&fd);
    return FILEPROC_OK;
}

static void warn_of_memory(const fpi_file_store *s)
{
    struct statfs fs;

    if (fstatfs(s->objects_fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
        fpi_log(s->ctx, FILEPROC_LOG_WARN, "storage",
                "the storage folder is in memory (tmpfs): its files are gone after a restart");
}

static int sync_staging(void *user_data)
{
    const fpi_file_store *s = user_data;

    return fpi_sync_all(s->staging_fd);
}

static void file_close(void *self)
{
    fpi_file_store *s = self;

    fpi_folder_table_dispose(&s->folders);
    fpi_sync_group_dispose(&s->staging_sync);
    if (s->staging_fd >= 0)
        fpi_spares_dispose(&s->spares);
    fpi_direct_pool_dispose(&s->direct);
    fpi_cleanup_fd(&s->objects_fd);
    fpi_cleanup_fd(&s->staging_fd);
    fpi_free(&s->ctx->a, s);
}

static void file_store_free(fpi_file_store *s)
{
    if (s)
        file_close(s);
}
FPI_DEFINE_CLEANUP(fpi_file_store, file_store_free)

/* Else nothing could be renamed from one to the other. */
static bool same_device(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev;
}

static fp_status open_folders(fpi_file_store *s, char *path, fp_error *err)
{
    FPI_FD root = -1;
    fp_status rc;

    rc = open_root(path, &root, err);
    if (rc == FILEPROC_OK)
        rc = make_folder(root, "objects", O_RDONLY | O_NOFOLLOW, true, &s->objects_fd, err);
    if (rc == FILEPROC_OK)
        rc = make_folder(root, "staging", O_RDONLY | O_NOFOLLOW, true, &s->staging_fd, err);
    if (rc == FILEPROC_OK && !same_device(s->objects_fd, s->staging_fd))
        rc = fp_error_setf(
            err, FILEPROC_ERR_IO,
            "objects and staging of the storage folder are on different file systems");
    if (s->staging_fd >= 0)
        fpi_spares_init(&s->spares, s->staging_fd);
    return rc;
}

static fp_status file_open(fp_context *ctx, const char *uri, const fp_storage_options *opts,
                           void **self, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) parts = { 0 };
    FPI_CLEANUP(fpi_file_store) s = NULL;
    fp_status rc;

    (void)opts;
    rc = fpi_uri_parse(ctx, uri, &parts, err);
    if (rc == FILEPROC_OK)
        rc = check_uri(&parts, err);
    if (rc < 0)
        return rc;
    s = fpi_calloc(&ctx->a, 1, sizeof(*s));
    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    s->objects_fd = s->staging_fd = -1;
    fpi_sync_group_init(&s->staging_sync, sync_staging, s, false);
    fpi_folder_table_init(&s->folders);
    fpi_direct_pool_init(&s->direct, &s->ctx->a);
    rc = open_folders(s, parts.path, err);
    if (rc < 0)
        return rc;
    warn_of_memory(s);
    s->no_unnamed = access("/proc/self/fd", X_OK) != 0;
    *self = fpi_steal(&s);
    return FILEPROC_OK;
}

int64_t fpi_file_modified_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

fp_status fpi_file_read_at(int fd, uint64_t offset, void *buf, size_t cap, size_t *got,
                           fp_error *err)
{
    char *at = buf;
    size_t done = 0;

    if (offset >= FPI_OBJECT_SIZE_MAX)
        cap = 0;
    else if (cap > FPI_OBJECT_SIZE_MAX - offset)
        cap = (size_t)(FPI_OBJECT_SIZE_MAX - offset);
    while (done < cap) {
        ssize_t n = pread(fd, at + done, cap - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fpi_error_errno(err, errno, "read");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return FILEPROC_OK;
}

fp_status fpi_file_write_at(int fd, uint64_t offset, const void *data, size_t size, fp_error *err)
{
    const char *at = data;

    while (size) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fpi_error_errno(err, n < 0 ? errno : ENOSPC, "write");
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return FILEPROC_OK;
}

static fp_status file_read(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                           size_t *got, uint32_t flags, fp_error *err)
{
    FPI_FD fd = -1;
    struct stat st;
    fp_status rc;

    (void)flags;
    rc = fpi_file_open_object(self, key, &fd, &st, err);
    if (rc == FILEPROC_OK)
        rc = fpi_file_read_at(fd, offset, buf, cap, got, err);
    return rc;
}

static fp_status file_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                           fp_error *err)
{
    FPI_FD fd = -1;
    struct stat st;
    fp_status rc;

    (void)flags;
    rc = fpi_file_open_object(self, key, &fd, &st, err);
    if (rc < 0)
        return rc;
    info->size = (uint64_t)st.st_size;
    info->modified_ms = fpi_file_modified_ms(&st);
    /* The time of modification is the context's and may stand still; this one is the kernel's, and what replaces an object is
     * another file while both exist. */
    snprintf(info->etag, sizeof(info->etag), "%llx-%llx.%lx-%llx", (unsigned long long)st.st_ino,
             (unsigned long long)st.st_ctim.tv_sec, (unsigned long)st.st_ctim.tv_nsec,
             (unsigned long long)st.st_size);
    return FILEPROC_OK;
}

static fp_status file_open_fd(void *self, const char *key, int32_t *out, uint32_t flags,
                              fp_error *err)
{
    FPI_FD fd = -1;
    struct stat st;
    fp_status rc;

    (void)flags;
    rc = fpi_file_open_object(self, key, &fd, &st, err);
    if (rc < 0)
        return rc;
    if (fcntl(fd, F_SETFL, 0) != 0) /* O_NONBLOCK has done its work */
        return fpi_error_errno(err, errno, "object");
    *out = fpi_steal_fd(&fd);
    return FILEPROC_OK;
}

/* Whether the folder was removed from the disk while we kept it open. */
static bool is_gone(const fpi_folder *folder)
{
    struct stat st;

    return fstat(folder->fd, &st) == 0 && st.st_nlink == 0;
}

/* *again when the folder turned out to be an old one. */
static fp_status remove_once(fpi_file_store *s, const char *key, bool *again, fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = NULL;
    const char *leaf;
    fp_status rc;

    *again = false;
    rc = fpi_folder_open(s, key, false, &folder, &leaf, err);
    if (rc < 0)
        return rc;
    if (unlinkat(folder->fd, leaf, 0) != 0 && errno != ENOENT && errno != EISDIR)
        return fpi_error_errno(err, errno, "object: remove");
    if (is_gone(folder)) {
        fpi_folder_forget(s, folder->path);
        *again = true;
        return FILEPROC_OK;
    }
    /* Also when the object was gone: whoever removed it may have died before his sync. */
    return fpi_folder_sync(folder, err);
}

static fp_status file_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    fp_error why = { 0 };
    bool again = true;
    fp_status rc = FILEPROC_OK;

    (void)flags;
    while (rc == FILEPROC_OK && again)
        rc = remove_once(self, key, &again, &why);
    if (rc == FILEPROC_ERR_NOTFOUND) /* not even a folder: good */
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = why;
    return rc;
}

static fp_status file_room(void *self, uint64_t *bytes, fp_error *err)
{
    const fpi_file_store *s = self;
    struct statvfs disk;

    if (fstatvfs(s->objects_fd, &disk) < 0)
        return fpi_error_errno(err, errno, "the folder of objects");
    *bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return FILEPROC_OK;
}

const fp_storage_driver fpi_storage_file_driver = {
    FILEPROC_STORAGE_DRIVER_INIT("file"),
    .open = file_open,
    .close = file_close,
    .read = file_read,
    .stat = file_stat,
    .remove = file_remove,
    .list = fpi_file_list,
    .open_fd = file_open_fd,
    .assembly_open = fpi_file_assembly_open,
    .assembly_close = fpi_file_assembly_close,
    .assembly_read = fpi_file_assembly_read,
    .assembly_publish = fpi_file_assembly_publish,
    .part_begin = fpi_file_part_begin,
    .part_write = fpi_file_part_write,
    .part_commit = fpi_file_part_commit,
    .part_free = fpi_file_part_free,
    .discard = fpi_file_discard,
    .list_staged = fpi_file_list_staged,
    .assembly_set_target = fpi_file_assembly_set_target,
    .room = file_room,
    .part_copy = fpi_file_part_copy,
};
