/* Owns: the mem driver: objects in memory, gone with the store; its table of slots.
 * Must not know: uploads; staged objects are in storage_mem_staging.c. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_mem_private.h"

#define COPY_BYTES ((size_t)64 * 1024)

static fp_status mem_open(fp_context *ctx, const char *uri, const fp_storage_options *opts,
                          void **self, fp_error *err)
{
    fpi_mem_store *s;

    if (strchr(uri, ':')[1] != '\0')
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "a store in memory is mem: and nothing behind it");
    s = fpi_calloc(&ctx->a, 1, sizeof(*s));
    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    s->max_bytes = opts->max_bytes;
    pthread_mutex_init(&s->lock, NULL);
    *self = s;
    return FILEPROC_OK;
}

static void mem_close(void *self)
{
    fpi_mem_store *s = self;

    fpi_mem_table_dispose(s, &s->objects);
    fpi_mem_table_dispose(s, &s->staged);
    pthread_mutex_destroy(&s->lock);
    fpi_free(&s->ctx->a, s);
}

/* A counted reference on the bytes of an object. */
static fp_status get_object(fpi_mem_store *s, const char *key, fpi_mem_blob **out, fp_error *err)
{
    const fpi_mem_entry *e;

    pthread_mutex_lock(&s->lock);
    e = fpi_mem_table_find(&s->objects, key);
    if (e)
        *out = fpi_mem_blob_ref(e->blob);
    pthread_mutex_unlock(&s->lock);
    return e ? FILEPROC_OK : fpi_object_not_found(err);
}

static void put_object(fpi_mem_store *s, fpi_mem_blob *blob)
{
    pthread_mutex_lock(&s->lock);
    fpi_mem_blob_unref(blob);
    pthread_mutex_unlock(&s->lock);
}

static fp_status mem_read(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                          size_t *got, uint32_t flags, fp_error *err)
{
    fpi_mem_blob *blob = NULL;
    fp_status rc = get_object(self, key, &blob, err);

    (void)flags;
    if (rc < 0)
        return rc;
    *got = fpi_mem_blob_read(blob, offset, buf, cap);
    put_object(self, blob);
    return FILEPROC_OK;
}

static fp_status mem_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                          fp_error *err)
{
    fpi_mem_store *s = self;
    const fpi_mem_entry *e;

    (void)flags;
    pthread_mutex_lock(&s->lock);
    e = fpi_mem_table_find(&s->objects, key);
    if (e) {
        info->size = e->blob->size;
        info->modified_ms = e->modified_ms;
        snprintf(info->etag, sizeof(info->etag), "%llx", (unsigned long long)e->blob->number);
    }
    pthread_mutex_unlock(&s->lock);
    return e ? FILEPROC_OK : fpi_object_not_found(err);
}

static fp_status mem_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;

    (void)flags;
    (void)err;
    pthread_mutex_lock(&s->lock);
    fpi_mem_table_remove(&s->objects, key);
    pthread_mutex_unlock(&s->lock);
    return FILEPROC_OK;
}

static fp_status mem_list(void *self, const char *prefix, const char *after, size_t limit,
                          fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;
    fp_status rc;

    (void)flags;
    pthread_mutex_lock(&s->lock);
    rc = fpi_mem_table_list(&s->objects, prefix, after, limit, fn, user_data, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static fp_status mem_list_staged(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                                 void *user_data, uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;
    fp_status rc;

    (void)flags;
    pthread_mutex_lock(&s->lock);
    rc = fpi_mem_table_list(&s->staged, "", after, limit, fn, user_data, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static fp_status mem_discard(void *self, const char *id, uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;

    (void)flags;
    (void)err;
    pthread_mutex_lock(&s->lock);
    fpi_mem_table_remove(&s->staged, id);
    pthread_mutex_unlock(&s->lock);
    return FILEPROC_OK;
}

static fp_status copy_blob(const fpi_mem_blob *blob, int fd, void *buf, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    size_t n;

    for (uint64_t at = 0; rc == FILEPROC_OK && at < blob->size; at += n) {
        n = fpi_mem_blob_read(blob, at, buf, COPY_BYTES);
        rc = fpi_write_fully(fd, buf, n, err);
    }
    return rc;
}

/* The core's own copy would read the object piece by piece, and could meet two versions of it. */
static fp_status mem_open_fd(void *self, const char *key, int32_t *out, uint32_t flags,
                             fp_error *err)
{
    fpi_mem_store *s = self;
    fpi_mem_blob *blob = NULL;
    void *buf = NULL;
    FPI_FD fd = -1;
    fp_status rc;

    (void)flags;
    rc = get_object(s, key, &blob, err);
    if (rc < 0)
        return rc;
    assert(blob);
    buf = fpi_alloc(&s->ctx->a, COPY_BYTES);
    rc = buf ? fpi_unnamed_file(&fd, err) : fpi_no_memory(err);
    if (rc == FILEPROC_OK)
        rc = copy_blob(blob, fd, buf, err);
    if (rc == FILEPROC_OK)
        rc = fpi_reopen_read_only(fd, out, err);
    fpi_free(&s->ctx->a, buf);
    put_object(s, blob);
    return rc;
}

const fp_storage_driver fpi_storage_mem_driver = {
    FILEPROC_STORAGE_DRIVER_INIT("mem"),
    .open = mem_open,
    .close = mem_close,
    .read = mem_read,
    .stat = mem_stat,
    .remove = mem_remove,
    .list = mem_list,
    .open_fd = mem_open_fd,
    .assembly_open = fpi_mem_assembly_open,
    .assembly_close = fpi_mem_assembly_close,
    .assembly_read = fpi_mem_assembly_read,
    .assembly_publish = fpi_mem_assembly_publish,
    .part_begin = fpi_mem_part_begin,
    .part_write = fpi_mem_part_write,
    .part_commit = fpi_mem_part_commit,
    .part_free = fpi_mem_part_free,
    .discard = mem_discard,
    .list_staged = mem_list_staged,
};
