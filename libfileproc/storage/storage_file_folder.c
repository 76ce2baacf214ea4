/* Owns: the file driver's way from a key to a folder or file, step by step, never through a symbolic link.
 * Must not know: what is done there. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* Open descriptors for folders that nobody uses at the moment. */
#define FOLDERS_MAX 32u
/* How often a folder may vanish under our hands before we give up. */
#define TRIES 8

void fpi_folder_table_init(fpi_folder_table *t)
{
    *t = (fpi_folder_table){ 0 };
    pthread_mutex_init(&t->lock, NULL);
}

static int sync_folder_fd(void *user_data)
{
    const fpi_folder *folder = user_data;

    return fpi_sync_all(folder->fd);
}

static fp_status folder_new(const fp_allocator *a, const char *path, size_t size, fpi_folder **out,
                            fp_error *err)
{
    fpi_folder *folder = fpi_calloc(a, 1, sizeof(*folder) + size + 1);

    if (!folder)
        return fpi_no_memory(err);
    folder->a = a;
    folder->refs = 1;
    folder->fd = -1;
    memcpy(folder->path, path, size);
    fpi_sync_group_init(&folder->sync, sync_folder_fd, folder, false);
    *out = folder;
    return FILEPROC_OK;
}

static void folder_free(fpi_folder *folder)
{
    fpi_cleanup_fd(&folder->fd);
    fpi_sync_group_dispose(&folder->sync);
    fpi_free(folder->a, folder);
}

void fpi_folder_unref(fpi_folder *folder)
{
    if (folder && __atomic_sub_fetch(&folder->refs, 1, __ATOMIC_ACQ_REL) == 0)
        folder_free(folder);
}

static fpi_folder *folder_ref(fpi_folder *folder)
{
    __atomic_add_fetch(&folder->refs, 1, __ATOMIC_RELAXED);
    return folder;
}

void fpi_folder_table_dispose(fpi_folder_table *t)
{
    while (t->newest) {
        fpi_folder *next = t->newest->next;

        fpi_folder_unref(t->newest);
        t->newest = next;
    }
    pthread_mutex_destroy(&t->lock);
}

fp_status fpi_folder_sync(fpi_folder *folder, fp_error *err)
{
    int error = fpi_sync_group_run(&folder->sync);

    return error ? fpi_error_errno(err, error, "object folder: sync") : FILEPROC_OK;
}

/* A counted reference, and to the front with it; NULL when it is not there. With the lock held. */
static fpi_folder *table_find(fpi_folder_table *t, const char *path, size_t size)
{
    for (fpi_folder **link = &t->newest; *link; link = &(*link)->next) {
        fpi_folder *folder = *link;

        if (strncmp(folder->path, path, size) == 0 && folder->path[size] == '\0') {
            *link = folder->next;
            folder->next = t->newest;
            t->newest = folder;
            return folder_ref(folder);
        }
    }
    return NULL;
}

static void table_drop_oldest(fpi_folder_table *t)
{
    fpi_folder **link = &t->newest, *oldest;

    while ((*link)->next)
        link = &(*link)->next;
    oldest = *link;
    *link = NULL;
    t->count--;
    fpi_folder_unref(oldest);
}

/* Takes folder's first reference for the table, and gives back a counted one: another folder if somebody
 * was faster. */
static fpi_folder *table_add(fpi_folder_table *t, fpi_folder *folder)
{
    fpi_folder *other;

    pthread_mutex_lock(&t->lock);
    other = table_find(t, folder->path, strlen(folder->path));
    if (!other) {
        folder_ref(folder);
        folder->next = t->newest;
        t->newest = folder;
        if (++t->count > FOLDERS_MAX)
            table_drop_oldest(t);
    }
    pthread_mutex_unlock(&t->lock);
    if (!other)
        return folder;
    fpi_folder_unref(folder);
    return other;
}

static bool is_below(const char *path, const char *folder)
{
    size_t size = strlen(folder);

    return strncmp(path, folder, size) == 0 &&
           (size == 0 || path[size] == '\0' || path[size] == '/');
}

void fpi_folder_forget(fpi_file_store *s, const char *path)
{
    fpi_folder_table *t = &s->folders;
    fpi_folder **link = &t->newest;

    pthread_mutex_lock(&t->lock);
    while (*link) {
        fpi_folder *folder = *link;

        if (is_below(folder->path, path)) {
            *link = folder->next;
            t->count--;
            fpi_folder_unref(folder);
        } else {
            link = &folder->next;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

/* What stands where a folder should be. */
static fp_status not_a_folder(int parent, const char *name, fp_error *err)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "another key is a folder of this one");
    return fpi_error_causef(err, FILEPROC_ERR_IO, "errno", ENOTDIR,
                            "something in the storage folder is no folder of ours");
}

/* NOTFOUND without create; with it, when the parent itself is gone from the disk. */
static fp_status open_child_fd(const fpi_folder *parent, const char *name, bool create, int *fd,
                               fp_error *err)
{
    assert(parent);
    *fd = openat(parent->fd, name, FPI_OPEN_FOLDER);
    if (*fd < 0 && errno == ENOENT && create) {
        if (mkdirat(parent->fd, name, FPI_FOLDER_MODE) != 0 && errno != EEXIST && errno != ENOENT)
            return fpi_error_errno(err, errno, "object folder");
        *fd = openat(parent->fd, name, FPI_OPEN_FOLDER);
    }
    if (*fd >= 0)
        return FILEPROC_OK;
    if (errno == ENOENT || (!create && fpi_file_is_absence(errno)))
        return fpi_object_not_found(err);
    if (fpi_file_is_absence(errno))
        return not_a_folder(parent->fd, name, err);
    return fpi_error_errno(err, errno, "object folder");
}

/* A way to a folder of keys. */
typedef struct journey {
    fpi_file_store *s;
    const char *path;
    size_t size;
    bool create;
} journey;

/* The folder that the first `size` bytes of the path name, below parent. */
static fp_status open_child(const journey *j, fpi_folder *parent, size_t size, fpi_folder **out,
                            fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = NULL;
    const char *slash;
    fp_status rc;

    rc = folder_new(&j->s->ctx->a, j->path, size, &folder, err);
    if (rc < 0)
        return rc;
    slash = strrchr(folder->path, '/');
    rc = open_child_fd(parent, slash ? slash + 1 : folder->path, j->create, &folder->fd, err);
    /* Also when it was there: whoever made it may not have synced it yet. Once it is in the table, it is durable. */
    if (rc == FILEPROC_OK)
        rc = fpi_folder_sync(parent, err);
    if (rc == FILEPROC_OK)
        *out = table_add(&j->s->folders, fpi_steal(&folder));
    return rc;
}

static fp_status open_top(fpi_file_store *s, fpi_folder **out, fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = NULL;
    fp_status rc = folder_new(&s->ctx->a, "", 0, &folder, err);

    if (rc < 0)
        return rc;
    folder->fd = openat(s->objects_fd, ".", FPI_OPEN_FOLDER);
    if (folder->fd < 0)
        return fpi_error_errno(err, errno, "object folder");
    *out = table_add(&s->folders, fpi_steal(&folder));
    return FILEPROC_OK;
}

static fpi_folder *find_open(fpi_file_store *s, const char *path, size_t size)
{
    fpi_folder *folder;

    pthread_mutex_lock(&s->folders.lock);
    folder = table_find(&s->folders, path, size);
    pthread_mutex_unlock(&s->folders.lock);
    return folder;
}

/* The next '/' in path behind the first `from` bytes, or its end. */
static size_t next_end(const char *path, size_t from, size_t size)
{
    const char *slash = from < size ? memchr(path + from, '/', size - from) : NULL;

    return slash ? (size_t)(slash - path) : size;
}

static fp_status walk(const journey *j, fpi_folder **out, fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = find_open(j->s, "", 0);
    fp_status rc = folder ? FILEPROC_OK : open_top(j->s, &folder, err);

    for (size_t end = 0; rc == FILEPROC_OK && end < j->size;) {
        fpi_folder *child;

        end = next_end(j->path, end ? end + 1 : 0, j->size);
        child = find_open(j->s, j->path, end);
        if (!child)
            rc = open_child(j, folder, end, &child, err);
        if (rc == FILEPROC_ERR_NOTFOUND && j->create)
            fpi_folder_forget(j->s, folder->path);
        if (rc == FILEPROC_OK) {
            fpi_folder_unref(folder);
            folder = child;
        }
    }
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&folder);
    return rc;
}

fp_status fpi_folder_open(fpi_file_store *s, const char *key, bool create, fpi_folder **out,
                          const char **leaf, fp_error *err)
{
    const char *slash = strrchr(key, '/');
    journey j = { s, key, slash ? (size_t)(slash - key) : 0, create };
    fp_status rc = FILEPROC_ERR_NOTFOUND;

    *leaf = slash ? slash + 1 : key;
    *out = find_open(s, key, j.size);
    if (*out)
        return FILEPROC_OK;
    for (int i = 0; i < (create ? TRIES : 1) && rc == FILEPROC_ERR_NOTFOUND; i++)
        rc = walk(&j, out, err);
    if (rc == FILEPROC_ERR_NOTFOUND && create)
        return fp_error_setf(err, FILEPROC_ERR_IO, "folders of the storage vanish");
    return rc;
}

/* Depth first; stops at the first file. Folders made meanwhile make rmdir fail, which is as it should be. */
bool fpi_folder_prune(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, FPI_OPEN_FOLDER);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    bool empty = true;

    if (!dir) {
        fpi_cleanup_fd(&fd);
        return false;
    }
    while (empty &&
           (e = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe): nobody else has dir */
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            empty = fpi_folder_prune(fd, e->d_name);
    closedir(dir);
    return empty && unlinkat(parent_fd, name, AT_REMOVEDIR) == 0;
}

int fpi_file_open_folder(fpi_file_store *s, const char *path)
{
    int fd = openat(s->objects_fd, ".", FPI_OPEN_FOLDER);
    size_t size = strlen(path);

    for (size_t at = 0; fd >= 0 && at < size;) {
        char name[FPI_KEY_SEGMENT_MAX + 1];
        size_t end = next_end(path, at, size);
        int child, error;

        memcpy(name, path + at, end - at);
        name[end - at] = '\0';
        child = openat(fd, name, FPI_OPEN_FOLDER);
        error = errno;
        close(fd);
        errno = error;
        fd = child;
        at = end + 1;
    }
    return fd;
}

/* The object's file itself. O_NONBLOCK: should somebody have put a pipe there, open must not wait. */
static int open_object_fd(fpi_file_store *s, const char *key)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const char *slash = strrchr(key, '/');
    char path[FPI_KEY_MAX + 1];
    FPI_FD folder = -1;

    if (!slash)
        return openat(s->objects_fd, key, flags);
    memcpy(path, key, (size_t)(slash - key));
    path[slash - key] = '\0';
    folder = fpi_file_open_folder(s, path);
    return folder < 0 ? -1 : openat(folder, slash + 1, flags);
}

bool fpi_file_is_absence(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

fp_status fpi_file_open_object(fpi_file_store *s, const char *key, int *fd, struct stat *st,
                               fp_error *err)
{
    FPI_FD opened = open_object_fd(s, key);

    if (opened < 0) /* ENXIO: a socket or a device, no object either */
        return fpi_file_is_absence(errno) || errno == ENXIO ? fpi_object_not_found(err)
                                                            : fpi_error_errno(err, errno, "object");
    if (fstat(opened, st) != 0)
        return fpi_error_errno(err, errno, "object");
    if (!S_ISREG(st->st_mode))
        return fpi_object_not_found(err);
    *fd = fpi_steal_fd(&opened);
    return FILEPROC_OK;
}
