/* Owns: how staged data become an object: the last checks, the rename, what is synced around it.
 * Must not know: which parts there are; the core has checked that they cover the size. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* How often folders may be pruned or vanish between two of our steps. */
#define TRIES 8

static fp_status sync_data(fpi_staged_file *f, fp_error *err)
{
    int error = fpi_sync_group_run(&f->data_sync);

    return error ? fpi_error_errno(err, error, "staged data: sync") : FILEPROC_OK;
}

/* The object's age counts from now on. No harm when it fails or is lost in a crash. */
static void set_time(const fpi_staged_file *f)
{
    int64_t now_ms = fpi_now_ms(f->store->ctx);
    struct timespec times[2] = {
        { .tv_nsec = UTIME_OMIT },
        { .tv_sec = (time_t)(now_ms / 1000), .tv_nsec = (long)(now_ms % 1000) * 1000000 },
    };

    (void)futimens(f->data_fd, times);
}

/* Exactly `size` bytes. What uncommitted parts left behind the end is cut off, and then the rest must be synced anew. */
static fp_status settle_data(fpi_staged_file *f, uint64_t size, bool unsynced, fp_error *err)
{
    struct stat st;

    if (fstat(f->data_fd, &st) != 0)
        return fpi_error_errno(err, errno, "staged data");
    if ((uint64_t)st.st_size < size)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
    if ((uint64_t)st.st_size > size) {
        if (ftruncate(f->data_fd, (off_t)size) != 0)
            return fpi_error_errno(err, errno, "staged data: cut");
        unsynced = true;
    }
    set_time(f);
    return unsynced ? sync_data(f, err) : FILEPROC_OK;
}

fp_status fpi_staged_settle_data(fpi_staged_file *f, uint64_t size, fp_error *err)
{
    return settle_data(f, size, true, err);
}

static fp_status prepare(fpi_staged_file *f, uint64_t size, fp_error *err)
{
    fp_status rc = fpi_staged_name_data(f, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&f->lock);
    rc = fpi_staged_open_data(f, size == 0, err);
    if (rc == FILEPROC_OK && !f->transient)
        rc = fpi_staged_open_parts(f, err); /* an empty object gets its record here */
    pthread_mutex_unlock(&f->lock);
    if (rc == FILEPROC_OK) {
        fpi_staged_drain(f, 0, FPI_OBJECT_SIZE_MAX);
        rc = settle_data(f, size, f->transient, err);
    }
    if (rc == FILEPROC_OK && !f->transient)
        rc = fpi_staged_sync_names(f, err);
    return rc;
}

/* One way of the data to a place in a folder. */
typedef struct publication {
    fpi_staged_file *f;
    const char *key;
    const char *leaf; /* key's last segment */
    uint64_t size;
    uint32_t flags;
    fpi_folder *folder;
    bool again; /* what stood in the way is gone */
} publication;

static fp_status rename_failed(int error, fp_error *err)
{
    return fpi_error_errno(err, error, "object: publish");
}

/* For file systems that can't rename exclusively. */
static int link_and_unlink(const publication *p)
{
    int staging = p->f->store->staging_fd;

    if (linkat(staging, p->f->data_name, p->folder->fd, p->leaf, 0) != 0)
        return errno;
    return unlinkat(staging, p->f->data_name, 0) != 0 ? errno : 0;
}

static int rename_once(const publication *p)
{
    int staging = p->f->store->staging_fd;

    if (!(p->flags & FILEPROC_STORAGE_EXCLUSIVE))
        return renameat(staging, p->f->data_name, p->folder->fd, p->leaf) != 0 ? errno : 0;
    if (renameat2(staging, p->f->data_name, p->folder->fd, p->leaf, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? link_and_unlink(p) : errno;
}

/* Whether the object there is what this publication makes: the same file when link_and_unlink() was interrupted; or
 * an empty one while our record tells of an empty object, so that it can't be told apart. */
static bool is_ours(const publication *p, const struct stat *theirs)
{
    struct stat ours;

    if (p->size == 0 && p->f->empty_record && S_ISREG(theirs->st_mode) && theirs->st_size == 0)
        return true;
    return fstat(p->f->data_fd, &ours) == 0 && ours.st_dev == theirs->st_dev &&
           ours.st_ino == theirs->st_ino;
}

/* Something has the object's name. */
static fp_status handle_taken(publication *p, int error, fp_error *err)
{
    struct stat theirs;

    if (fstatat(p->folder->fd, p->leaf, &theirs, AT_SYMLINK_NOFOLLOW) != 0) {
        p->again = errno == ENOENT;
        return p->again ? FILEPROC_OK : rename_failed(errno, err);
    }
    if (S_ISDIR(theirs.st_mode)) { /* removed objects leave folders behind */
        p->again = fpi_folder_prune(p->folder->fd, p->leaf);
        fpi_folder_forget(p->f->store, p->key);
        return p->again ? FILEPROC_OK
                        : fp_error_setf(err, FILEPROC_ERR_CONFLICT,
                                        "this key is a folder of other keys");
    }
    if (error == EEXIST && is_ours(p, &theirs))
        return unlinkat(p->f->store->staging_fd, p->f->data_name, 0) == 0
                   ? FILEPROC_OK
                   : rename_failed(errno, err);
    if (error == EEXIST)
        return fp_error_setf(err, FILEPROC_ERR_EXISTS, "an object has this key already");
    return rename_failed(error, err);
}

static fp_status move_once(publication *p, fp_error *err)
{
    int error = rename_once(p);
    struct stat st;

    p->again = false;
    if (!error)
        return FILEPROC_OK;
    if (error == EISDIR || error == EEXIST)
        return handle_taken(p, error, err);
    if (error == ENOENT && fstat(p->folder->fd, &st) == 0 && st.st_nlink == 0) {
        fpi_folder_forget(p->f->store, p->folder->path); /* the folder is gone from the disk */
        p->again = true;
        return FILEPROC_OK;
    }
    return rename_failed(error, err);
}

static fp_status move_into_place(publication *p, fp_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        FPI_CLEANUP(fpi_folder) folder = NULL;
        fp_status rc = fpi_folder_open(p->f->store, p->key, true, &folder, &p->leaf, err);

        p->folder = folder;
        if (rc == FILEPROC_OK)
            rc = move_once(p, err);
        if (rc < 0 || !p->again) {
            p->folder = rc < 0 ? NULL : fpi_steal(&folder);
            return rc;
        }
    }
    return fp_error_setf(err, FILEPROC_ERR_IO, "folders of the storage vanish");
}

/* Published before, by this handle or before a crash: but was it synced? */
static fp_status confirm(const fpi_staged_file *f, const char *key, uint64_t size, fp_error *err)
{
    FPI_CLEANUP(fpi_folder) folder = NULL;
    FPI_FD fd = -1;
    const char *leaf;
    struct stat st;
    fp_status rc;

    rc = fpi_file_open_object(f->store, key, &fd, &st, err);
    if (rc == FILEPROC_OK && (uint64_t)st.st_size != size)
        rc = fpi_object_not_found(err);
    if (rc == FILEPROC_OK)
        rc = fpi_folder_open(f->store, key, false, &folder, &leaf, err);
    return rc < 0 ? rc : fpi_folder_sync(folder, err);
}

fp_status fpi_staged_move(fpi_staged_file *f, const char *key, uint64_t size, uint32_t flags,
                          fp_error *err)
{
    publication p = { .f = f, .key = key, .size = size, .flags = flags };
    fp_status rc = move_into_place(&p, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&f->lock); /* somebody may be reading beside us: his descriptor stays open */
    f->published = true;
    pthread_mutex_unlock(&f->lock);
    /* Not the staging folder: should a crash bring the old name back beside the new one, which a file system without a journal
     * may do, that is a second link, something to discard. */
    rc = fpi_folder_sync(p.folder, err);
    fpi_folder_unref(p.folder);
    return rc;
}

fp_status fpi_file_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                    uint32_t flags, fp_error *err)
{
    fpi_staged_file *f = assembly;
    fp_status rc;

    (void)self;
    if (f->whole && f->size == size && strcmp(f->key, key) == 0)
        return FILEPROC_OK;
    if (f->whole)
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT,
                             "the assembly is the object of another key");
    if (f->published)
        return confirm(f, key, size, err);
    rc = prepare(f, size, err);
    return rc < 0 ? rc : fpi_staged_move(f, key, size, flags, err);
}
