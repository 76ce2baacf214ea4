/* Owns: the mem driver's staged objects.
 * Must not know: which ranges parts may have; the core sees to that. */
#include <string.h>

#include "storage/storage_mem_private.h"

/* The entry is looked up by its id each time: it may have been discarded. */
typedef struct mem_assembly {
    bool transient;
    char id[FPI_KEY_SEGMENT_MAX + 1];
} mem_assembly;

fp_status fpi_mem_assembly_open(void *self, const char *id, uint32_t flags,
                                fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                     fp_error *err),
                                void *user_data, void **assembly, fp_error *err)
{
    fpi_mem_store *s = self;
    const fpi_mem_entry *e;
    fp_status rc = FILEPROC_OK;
    mem_assembly *m = fpi_calloc(&s->ctx->a, 1, sizeof(*m));

    if (!m)
        return fpi_no_memory(err);
    m->transient = (flags & FILEPROC_ASSEMBLY_TRANSIENT) != 0;
    memcpy(m->id, id, strlen(id) + 1);
    pthread_mutex_lock(&s->lock);
    e = fpi_mem_table_find(&s->staged, id);
    if (!e && !(flags & FILEPROC_ASSEMBLY_CREATE))
        rc = fpi_object_not_found(err);
    for (size_t i = 0; e && rc == FILEPROC_OK && i < e->parts.count; i++) {
        fp_part_info part;

        fpi_part_list_get(&e->parts, i, &part);
        rc = on_part(user_data, &part, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK)
        *assembly = m;
    else
        fpi_free(&s->ctx->a, m);
    return rc;
}

void fpi_mem_assembly_close(void *self, void *assembly)
{
    fpi_mem_store *s = self;
    mem_assembly *m = assembly;

    if (m->transient) {
        pthread_mutex_lock(&s->lock);
        fpi_mem_table_remove(&s->staged, m->id);
        pthread_mutex_unlock(&s->lock);
    }
    fpi_free(&s->ctx->a, m);
}

/* NOTFOUND also when it was published. With the lock held. */
static fp_status find_staged(fpi_mem_store *s, const mem_assembly *m, fpi_mem_entry **out,
                             fp_error *err)
{
    *out = fpi_mem_table_find(&s->staged, m->id);
    return *out && (*out)->blob ? FILEPROC_OK : fpi_object_not_found(err);
}

/* With the lock held. */
static fp_status find_or_make(fpi_mem_store *s, const mem_assembly *m, fpi_mem_entry **out,
                              fp_error *err)
{
    fpi_mem_blob *blob = NULL;
    fp_status rc;

    *out = fpi_mem_table_find(&s->staged, m->id);
    if (*out)
        return FILEPROC_OK;
    rc = fpi_mem_blob_new(s, &blob, err);
    if (rc == FILEPROC_OK)
        rc = fpi_mem_table_insert(s, &s->staged, m->id, blob, out, err);
    if (rc < 0)
        fpi_mem_blob_unref(blob);
    return rc;
}

fp_status fpi_mem_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                                size_t *got, uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;
    fpi_mem_entry *e;
    fp_status rc;

    (void)flags;
    pthread_mutex_lock(&s->lock);
    rc = find_staged(s, assembly, &e, err);
    if (rc == FILEPROC_OK)
        *got = fpi_mem_blob_read(e->blob, offset, buf, cap);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fpi_mem_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                             void **part, fp_error *err)
{
    fpi_mem_store *s = self;
    fpi_mem_entry *e;
    fp_status rc;

    (void)offset;
    (void)length;
    pthread_mutex_lock(&s->lock);
    rc = find_or_make(s, assembly, &e, err);
    if (rc == FILEPROC_OK && !e->blob)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK)
        *part = assembly; /* there is nothing to remember of a part */
    return rc;
}

fp_status fpi_mem_part_write(void *self, void *assembly, void *part, uint64_t offset,
                             const void *data, size_t size, fp_error *err)
{
    fpi_mem_store *s = self;
    fpi_mem_entry *e;
    fp_status rc;

    (void)part;
    pthread_mutex_lock(&s->lock);
    rc = find_staged(s, assembly, &e, err);
    if (rc == FILEPROC_OK)
        rc = fpi_mem_blob_write(e->blob, offset, data, size, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fpi_mem_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                              fp_error *err)
{
    fpi_mem_store *s = self;
    fpi_mem_entry *e;
    fp_status rc;

    (void)part;
    pthread_mutex_lock(&s->lock);
    rc = find_staged(s, assembly, &e, err);
    if (rc == FILEPROC_OK)
        rc = fpi_part_list_promise(&e->parts, info->note_size, err);
    if (rc == FILEPROC_OK) {
        fpi_part_list_add(&e->parts, info);
        e->modified_ms = fpi_now_ms(s->ctx);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void fpi_mem_part_free(void *self, void *assembly, void *part)
{
    (void)self;
    (void)assembly;
    (void)part;
}

/* A key can't be the folder of another: the file driver can't do that, and what runs here shall run there. */
static bool clashes_with_folder(const fpi_mem_table *objects, const char *key)
{
    char text[FPI_KEY_MAX + 2];
    size_t size = strlen(key), place;

    memcpy(text, key, size);
    for (size_t i = 0; i < size; i++) {
        if (key[i] != '/')
            continue;
        text[i] = '\0';
        if (fpi_mem_table_find(objects, text))
            return true;
        text[i] = '/';
    }
    memcpy(text + size, "/", 2);
    place = fpi_mem_table_place(objects, text);
    return place < objects->count && strncmp(objects->entries[place]->name, text, size + 1) == 0;
}

/* The blob becomes the object's. With the lock held. */
static fp_status place_object(fpi_mem_store *s, const char *key, fpi_mem_blob *blob, uint32_t flags,
                              fp_error *err)
{
    fpi_mem_entry *e = fpi_mem_table_find(&s->objects, key);

    if (clashes_with_folder(&s->objects, key))
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "one key is a folder of the other");
    if (!e)
        return fpi_mem_table_insert(s, &s->objects, key, blob, &e, err);
    if (flags & FILEPROC_STORAGE_EXCLUSIVE)
        return fp_error_setf(err, FILEPROC_ERR_EXISTS, "an object has this key already");
    fpi_mem_blob_unref(e->blob);
    e->blob = blob;
    e->modified_ms = fpi_now_ms(s->ctx);
    return FILEPROC_OK;
}

/* With the lock held. */
static fp_status publish(fpi_mem_store *s, const mem_assembly *m, const char *key, uint64_t size,
                         uint32_t flags, fp_error *err)
{
    const fpi_mem_entry *object = fpi_mem_table_find(&s->objects, key);
    fpi_mem_entry *e;
    fp_status rc;

    rc = size == 0 ? find_or_make(s, m, &e, err) : FILEPROC_OK;
    if (rc < 0)
        return rc;
    e = fpi_mem_table_find(&s->staged, m->id);
    if (!e || (!e->blob && (!object || object->blob->size != size)))
        return fpi_object_not_found(err);
    if (!e->blob) /* published before */
        return FILEPROC_OK;
    if (e->blob->size < size)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
    rc = place_object(s, key, e->blob, flags, err);
    if (rc < 0)
        return rc;
    fpi_mem_blob_trim(e->blob, size);
    e->blob = NULL;
    e->modified_ms = fpi_now_ms(s->ctx);
    return FILEPROC_OK;
}

fp_status fpi_mem_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                   uint32_t flags, fp_error *err)
{
    fpi_mem_store *s = self;
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    rc = publish(s, assembly, key, size, flags, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
