/* Owns: an assembly's two files: opening them when needed, what of them counts after a crash, their end.
 * Must not know: how parts get into them (storage_file_part.c) or out (storage_file_publish.c). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

static int sync_data_file(void *user_data)
{
    fpi_staged_file *f = user_data;
    int error = fpi_sync_data(f->data_fd);

    if (error) {
        pthread_mutex_lock(&f->lock);
        f->broken = true;
        pthread_mutex_unlock(&f->lock);
    }
    return error;
}

/* A record whose sync failed may be gone on disk and still be seen in the file: it is cut off, lest a later reader take
 * for durable what is not. Under the lock, so that none is appended in between. */
static void cut_unsynced_records(fpi_staged_file *f)
{
    f->broken = true;
    if (ftruncate(f->parts_fd, (off_t)(f->durable * FPI_RECORD_SIZE)) == 0)
        f->written = f->durable;
    (void)fpi_sync_data(f->parts_fd);
}

static int sync_parts_file(void *user_data)
{
    fpi_staged_file *f = user_data;
    uint64_t written;
    int error;

    pthread_mutex_lock(&f->lock);
    written = f->written;
    pthread_mutex_unlock(&f->lock);
    error = fpi_sync_data(f->parts_fd);
    pthread_mutex_lock(&f->lock);
    if (error)
        cut_unsynced_records(f);
    else
        f->durable = written;
    pthread_mutex_unlock(&f->lock);
    return error;
}

static fp_status staged_new(fpi_file_store *s, const char *id, uint32_t flags,
                            fpi_staged_file **out, fp_error *err)
{
    fpi_staged_file *f = fpi_calloc(&s->ctx->a, 1, sizeof(*f));
    size_t size = strlen(id);

    if (!f)
        return fpi_no_memory(err);
    f->store = s;
    memcpy(f->data_name, id, size);
    memcpy(f->data_name + size, ".data", sizeof(".data"));
    memcpy(f->parts_name, id, size);
    memcpy(f->parts_name + size, ".parts", sizeof(".parts"));
    f->seed = fpi_record_seed(id);
    f->transient = (flags & FILEPROC_ASSEMBLY_TRANSIENT) != 0;
    f->data_fd = f->parts_fd = -1;
    pthread_mutex_init(&f->lock, NULL);
    fpi_sync_group_init(&f->data_sync, sync_data_file, f, true);
    fpi_sync_group_init(&f->parts_sync, sync_parts_file, f, true);
    *out = f;
    return FILEPROC_OK;
}

void fpi_staged_close_files(fpi_staged_file *f)
{
    fpi_cleanup_fd(&f->data_fd);
    fpi_cleanup_fd(&f->parts_fd);
    f->data_fd = f->parts_fd = -1;
}

static void fpi_staged_file_free(fpi_staged_file *f)
{
    if (!f)
        return;
    fpi_staged_close_files(f);
    fpi_sync_group_dispose(&f->data_sync);
    fpi_sync_group_dispose(&f->parts_sync);
    pthread_mutex_destroy(&f->lock);
    fpi_free(&f->store->ctx->a, f->key);
    fpi_free(&f->store->ctx->a, f);
}

FPI_DEFINE_CLEANUP(fpi_staged_file, fpi_staged_file_free)

fp_status fpi_staged_open_data(fpi_staged_file *f, bool create, fp_error *err)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
    struct stat st;

    if (f->data_fd >= 0)
        return FILEPROC_OK;
    if (f->whole)
        return fpi_file_open_object(f->store, f->key, &f->data_fd, &st, err);
    /* After publication the descriptor, if there is one, shows the object; nobody writes to it any more. */
    if (f->published || (!f->data_exists && !create))
        return fpi_object_not_found(err);
    /* O_EXCL: a file that we don't know of is another handle's. */
    f->data_fd = openat(f->store->staging_fd, f->data_name,
                        f->data_exists ? flags : flags | O_CREAT | O_EXCL, FPI_FILE_MODE);
    if (f->data_fd < 0)
        return errno == ENOENT ? fpi_object_not_found(err)
                               : fpi_error_errno(err, errno, "staged data");
    if (!f->data_exists)
        f->names_synced = false;
    f->data_exists = true;
    return FILEPROC_OK;
}

fp_status fpi_staged_open_parts(fpi_staged_file *f, fp_error *err)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
    bool found;

    if (f->parts_fd >= 0)
        return FILEPROC_OK;
    found = f->parts_exist || fpi_spare_take(&f->store->spares, f->parts_name);
    f->parts_fd = openat(f->store->staging_fd, f->parts_name,
                         found ? flags : flags | O_CREAT | O_EXCL, FPI_FILE_MODE);
    if (f->parts_fd < 0)
        return fpi_error_errno(err, errno, "part record");
    if (!f->parts_exist)
        f->names_synced = false;
    f->parts_exist = true;
    return FILEPROC_OK;
}

fp_status fpi_staged_sync_names(fpi_staged_file *f, fp_error *err)
{
    bool synced;
    int error;

    pthread_mutex_lock(&f->lock);
    synced = f->names_synced;
    pthread_mutex_unlock(&f->lock);
    if (synced)
        return FILEPROC_OK;
    error = fpi_sync_group_run(&f->store->staging_sync);
    if (error)
        return fpi_error_errno(err, error, "staging folder: sync");
    pthread_mutex_lock(&f->lock);
    f->names_synced = true;
    pthread_mutex_unlock(&f->lock);
    return FILEPROC_OK;
}

/* Whether a name is in the staging folder, and the size of its file. */
static fp_status look_up(const fpi_file_store *s, const char *name, bool *exists, uint64_t *size,
                         fp_error *err)
{
    struct stat st;

    *exists = fstatat(s->staging_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*exists)
        return errno == ENOENT ? FILEPROC_OK : fpi_error_errno(err, errno, "staged data");
    if (!S_ISREG(st.st_mode))
        return fp_error_setf(err, FILEPROC_ERR_IO,
                             "something in the staging folder is no file of ours");
    *size = (uint64_t)st.st_size;
    return FILEPROC_OK;
}

static fp_status judge_records(fpi_staged_file *f, const fpi_records *found, uint64_t data_size,
                               fp_error *err)
{
    if (found->damaged && found->followed && found->count == 0)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the record of the parts is damaged");
    if (f->data_exists && data_size < found->end)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
    if (found->damaged && found->followed)
        fpi_log(f->store->ctx, FILEPROC_LOG_WARN, "storage",
                "%s is damaged behind entry %llu: what follows is cut off", f->parts_name,
                (unsigned long long)found->count);
    return FILEPROC_OK;
}

/* An entry may have been written by a process that died before its sync: what is told to be committed must be on
 * disk first. */
static fp_status settle_records(fpi_staged_file *f, const fpi_records *found, fp_error *err)
{
    int error;

    if (found->damaged && ftruncate(f->parts_fd, (off_t)(found->count * FPI_RECORD_SIZE)) != 0)
        return fpi_error_errno(err, errno, "part record: cut");
    error = fpi_sync_data(f->parts_fd); /* not as a group: its failure would cut good entries */
    if (error)
        return fpi_error_errno(err, error, "part record: sync");
    f->written = f->durable = found->count;
    return fpi_staged_sync_names(f, err);
}

static fp_status load_parts(fpi_staged_file *f, uint64_t data_size, fpi_records *found,
                            fp_error *err)
{
    fp_status rc = fpi_staged_open_parts(f, err);

    found->seed = f->seed;
    if (rc == FILEPROC_OK)
        rc = fpi_records_load(f->parts_fd, found, err);
    if (rc == FILEPROC_OK)
        rc = judge_records(f, found, data_size, err);
    if (rc == FILEPROC_OK)
        rc = settle_records(f, found, err);
    /* No entry is written before both names are on disk: so entries without data mean that the data were published. */
    f->published = rc == FILEPROC_OK && !f->data_exists && found->count > 0;
    f->empty_record = rc == FILEPROC_OK && found->count == 0;
    fpi_staged_close_files(f); /* an idle assembly holds no descriptors */
    return rc;
}

fp_status fpi_file_assembly_open(void *self, const char *id, uint32_t flags,
                                 fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                      fp_error *err),
                                 void *user_data, void **assembly, fp_error *err)
{
    FPI_CLEANUP(fpi_staged_file) f = NULL;
    fpi_records found = { .on_part = on_part, .user_data = user_data };
    uint64_t data_size = 0, parts_size = 0;
    fp_status rc = staged_new(self, id, flags, &f, err);

    if (rc == FILEPROC_OK && !f->transient)
        rc = look_up(f->store, f->data_name, &f->data_exists, &data_size, err);
    if (rc == FILEPROC_OK && !f->transient)
        rc = look_up(f->store, f->parts_name, &f->parts_exist, &parts_size, err);
    if (rc < 0)
        return rc;
    if (!f->data_exists && !f->parts_exist && !(flags & FILEPROC_ASSEMBLY_CREATE))
        return fpi_object_not_found(err);
    if (f->parts_exist)
        rc = load_parts(f, data_size, &found, err);
    if (rc == FILEPROC_OK)
        *assembly = fpi_steal(&f);
    return rc;
}

void fpi_file_assembly_close(void *self, void *assembly)
{
    fpi_staged_file *f = assembly;

    (void)self;
    if (f->transient && f->data_exists && !f->published)
        (void)unlinkat(f->store->staging_fd, f->data_name, 0); /* else list_staged shows it */
    fpi_staged_file_free(f);
}

fp_status fpi_file_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                                 size_t *got, uint32_t flags, fp_error *err)
{
    fpi_staged_file *f = assembly;
    fp_status rc;
    int fd;

    (void)self;
    (void)flags;
    pthread_mutex_lock(&f->lock);
    rc = fpi_staged_open_data(f, false, err);
    fd = f->data_fd;
    pthread_mutex_unlock(&f->lock);
    return rc < 0 ? rc : fpi_file_read_at(fd, offset, buf, cap, got, err);
}

fp_status fpi_file_discard(void *self, const char *id, uint32_t flags, fp_error *err)
{
    static const char *const suffixes[] = { ".parts", ".data" }; /* alone, parts look published */
    fpi_file_store *s = self;
    char name[FPI_STAGED_NAME_SIZE];
    size_t size = strlen(id);

    (void)flags;
    memcpy(name, id, size);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        memcpy(name + size, suffixes[i], strlen(suffixes[i]) + 1);
        if (i == 0 && fpi_spare_give(&s->spares, name))
            continue;
        if (unlinkat(s->staging_fd, name, 0) != 0 && errno != ENOENT)
            return fpi_error_errno(err, errno, "discard");
    }
    return FILEPROC_OK;
}
