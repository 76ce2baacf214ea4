/* Owns: how parts get into an assembly's files, and what must be on disk before one counts as committed.
 * Must not know: which ranges parts may have; the core sees to that. */
#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* Writing to disk begins when so much has gathered, so that little is left to do at the commit. Measured with 5 MiB
 * parts: 0.5 to 2 MiB are about equal and nearly twice as fast as not doing it; at 4 MiB the gain is gone. */
#define WRITEBACK_BYTES (UINT64_C(1) << 20)

/* So much of the file system is left alone by parts: deleting and cancelling make room, and they need some, for the database
 * mostly, which is often on the same disk. */
#define FREE_BYTES_KEPT (UINT64_C(8) << 20)

/* Said before the bytes come. Parts begun at the same time may see the same room; then their writes fail instead. */
static fp_status check_room(int fd, uint64_t length, fp_error *err)
{
    struct statvfs disk;
    uint64_t room;

    if (fstatvfs(fd, &disk) < 0)
        return FILEPROC_OK; /* the write will tell */
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room < FREE_BYTES_KEPT || room - FREE_BYTES_KEPT < length)
        return fpi_error_errno(err, ENOSPC, "staged data");
    return FILEPROC_OK;
}

/* A file without a name has nothing but what earlier writers of the whole have left, who write no more. */
static fp_status make_room(const fpi_staged_file *f, bool again, uint64_t length, fp_error *err)
{
    if (again && f->unnamed)
        (void)ftruncate(f->data_fd, 0);
    return check_room(f->data_fd, length, err);
}

static void write_directly(fpi_file_store *s, fpi_staged_file *f, fpi_file_part *p)
{
    p->direct = fpi_direct_begin(&s->direct, f->data_fd, p->offset, p->length);
    if (!p->direct)
        return;
    pthread_mutex_lock(&f->lock);
    p->next = f->direct;
    f->direct = p;
    pthread_mutex_unlock(&f->lock);
}

void fpi_staged_drain(fpi_staged_file *f, uint64_t offset, uint64_t length)
{
    pthread_mutex_lock(&f->lock);
    for (fpi_file_part *p = f->direct; p; p = p->next)
        if (p->offset < offset + length && offset < p->offset + p->length)
            fpi_direct_drain(p->direct);
    pthread_mutex_unlock(&f->lock);
}

void fpi_file_part_end_direct(fpi_file_store *s, fpi_staged_file *f, fpi_file_part *p)
{
    if (!p->direct)
        return;
    fpi_direct_drain(p->direct); /* before nobody finds it any more */
    pthread_mutex_lock(&f->lock);
    for (fpi_file_part **at = &f->direct; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    pthread_mutex_unlock(&f->lock);
    fpi_direct_end(&s->direct, fpi_steal(&p->direct));
}

fp_status fpi_file_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                              void **part, fp_error *err)
{
    fpi_file_store *s = self;
    fpi_staged_file *f = assembly;
    bool whole = f->key && offset == 0 && length == f->size, again;
    fpi_file_part *p;
    fp_status rc;

    if (f->published)
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
    p = fpi_calloc(&s->ctx->a, 1, sizeof(*p));
    if (!p)
        return fpi_no_memory(err);
    p->offset = p->started = offset;
    p->length = length;
    pthread_mutex_lock(&f->lock);
    again = whole && f->data_fd >= 0;
    if (whole)
        fpi_staged_open_unnamed(f);
    rc = fpi_staged_open_data(f, true, err);
    pthread_mutex_unlock(&f->lock);
    if (rc == FILEPROC_OK) {
        fpi_staged_drain(f, offset, length);
        rc = make_room(f, again, length, err);
    }
    if (rc < 0) {
        fpi_free(&s->ctx->a, p);
        return rc;
    }
    if (!f->transient)
        write_directly(s, f, p);
    *part = p;
    return FILEPROC_OK;
}

static fp_status write_cached(const fpi_staged_file *f, fpi_file_part *p, uint64_t offset,
                              const void *data, size_t size, fp_error *err)
{
    uint64_t end = offset + size;
    fp_status rc = fpi_file_write_at(f->data_fd, offset, data, size, err);

    if (rc == FILEPROC_OK && end - p->started >= WRITEBACK_BYTES) {
        /* A hint that may fail. Only to begin: waiting here would take the error from the sync to come. */
        (void)sync_file_range(f->data_fd, (off_t)p->started, (off_t)(end - p->started),
                              SYNC_FILE_RANGE_WRITE);
        p->started = end;
    }
    return rc;
}

fp_status fpi_file_part_write(void *self, void *assembly, void *part, uint64_t offset,
                              const void *data, size_t size, fp_error *err)
{
    fpi_file_part *p = part;
    int error;

    (void)self;
    if (!p->direct)
        return write_cached(assembly, p, offset, data, size, err);
    error = fpi_direct_write(p->direct, data, size);
    return error ? fpi_error_errno(err, error, "write") : FILEPROC_OK;
}

static fp_status make_record(fpi_staged_file *f, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&f->lock);
    rc = fpi_staged_open_parts(f, err);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static fp_status append_record(fpi_staged_file *f, const fp_part_info *info, fp_error *err)
{
    unsigned char record[FPI_RECORD_SIZE];
    fp_status rc;

    pthread_mutex_lock(&f->lock);
    if (f->broken) {
        rc = fp_error_setf(err, FILEPROC_ERR_IO, "a sync of this assembly has failed before");
    } else {
        /* One behind the other under the lock: a sync that covers an entry covers those before it, so after a crash
         * the entries that were answered for are the first ones, without a hole. */
        fpi_record_encode(info, f->seed, f->written, record);
        rc = fpi_file_write_at(f->parts_fd, f->written * FPI_RECORD_SIZE, record, sizeof(record),
                               err);
        if (rc == FILEPROC_OK)
            f->written++;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static fp_status sync_group(fpi_sync_group *group, const char *what, fp_error *err)
{
    int error = fpi_sync_group_run(group);

    return error ? fpi_error_errno(err, error, what) : FILEPROC_OK;
}

/* Somebody who clears the staging folder takes the names, not the open files: bytes in them are durable and lost. */
static fp_status check_names(fpi_staged_file *f, fp_error *err)
{
    struct stat data, parts;
    bool gone;

    if (fstat(f->data_fd, &data) != 0 || fstat(f->parts_fd, &parts) != 0)
        return fpi_error_errno(err, errno, "staged data");
    gone = data.st_nlink == 0 || parts.st_nlink == 0;
    if (!gone)
        return FILEPROC_OK;
    pthread_mutex_lock(&f->lock);
    f->broken = true;
    pthread_mutex_unlock(&f->lock);
    return fp_error_setf(err, FILEPROC_ERR_IO, "the files of this assembly were removed");
}

/* The order is the promise: data, then the names of the files, then the entry that vouches for them. */
fp_status fpi_file_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                               fp_error *err)
{
    fpi_staged_file *f = assembly;
    const fpi_file_part *p = part;
    int error = p->direct ? fpi_direct_flush(p->direct) : 0;
    fp_status rc;

    (void)self;
    if (error)
        return fpi_error_errno(err, error, "write");
    if (f->transient) /* durable at publication */
        return FILEPROC_OK;
    if (fpi_staged_is_whole(f, info))
        return fpi_staged_commit_whole(f, err);
    rc = fpi_staged_name_data(f, err);
    if (rc == FILEPROC_OK)
        rc = make_record(f, err);
    if (rc == FILEPROC_OK)
        rc = sync_group(&f->data_sync, "staged data: sync", err);
    if (rc == FILEPROC_OK)
        rc = fpi_staged_sync_names(f, err);
    if (rc == FILEPROC_OK)
        rc = check_names(f, err);
    if (rc == FILEPROC_OK)
        rc = append_record(f, info, err);
    if (rc == FILEPROC_OK)
        rc = sync_group(&f->parts_sync, "part record: sync", err);
    return rc;
}

void fpi_file_part_free(void *self, void *assembly, void *part)
{
    fpi_file_store *s = self;

    fpi_file_part_end_direct(s, assembly, part);
    fpi_free(&s->ctx->a, part);
}
