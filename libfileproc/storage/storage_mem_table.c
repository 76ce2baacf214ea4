/* Owns: the sorted tables of the mem driver.
 * Must not know: the bytes behind a name. */
#include <string.h>

#include "storage/storage_mem_private.h"

size_t fpi_mem_table_place(const fpi_mem_table *t, const char *name)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(t->entries[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

fpi_mem_entry *fpi_mem_table_find(const fpi_mem_table *t, const char *name)
{
    size_t place = fpi_mem_table_place(t, name);

    if (place == t->count || strcmp(t->entries[place]->name, name) != 0)
        return NULL;
    return t->entries[place];
}

static fp_status make_room(fpi_mem_store *s, fpi_mem_table *t, fp_error *err)
{
    size_t capacity = t->capacity ? t->capacity * 2 : 16;
    fpi_mem_entry **entries;

    if (t->count < t->capacity)
        return FILEPROC_OK;
    entries = fpi_realloc(&s->ctx->a, t->entries, capacity, sizeof(*entries));
    if (!entries)
        return fpi_no_memory(err);
    t->entries = entries;
    t->capacity = capacity;
    return FILEPROC_OK;
}

fp_status fpi_mem_table_insert(fpi_mem_store *s, fpi_mem_table *t, const char *name,
                               fpi_mem_blob *blob, fpi_mem_entry **out, fp_error *err)
{
    size_t place = fpi_mem_table_place(t, name), size = strlen(name) + 1;
    fp_status rc = make_room(s, t, err);
    fpi_mem_entry *e;

    if (rc < 0)
        return rc;
    e = fpi_calloc(&s->ctx->a, 1, sizeof(*e) + size);
    if (!e)
        return fpi_no_memory(err);
    e->a = &s->ctx->a;
    e->blob = blob;
    e->modified_ms = fpi_now_ms(s->ctx);
    fpi_part_list_init(&e->parts, s->ctx);
    memcpy(e->name, name, size);
    memmove(t->entries + place + 1, t->entries + place, (t->count - place) * sizeof(*t->entries));
    t->entries[place] = e;
    t->count++;
    *out = e;
    return FILEPROC_OK;
}

static void entry_free(fpi_mem_entry *e)
{
    fpi_mem_blob_unref(e->blob);
    fpi_part_list_dispose(&e->parts);
    fpi_free(e->a, e);
}

void fpi_mem_table_remove(fpi_mem_table *t, const char *name)
{
    size_t place = fpi_mem_table_place(t, name);

    if (place == t->count || strcmp(t->entries[place]->name, name) != 0)
        return;
    entry_free(t->entries[place]);
    t->count--;
    memmove(t->entries + place, t->entries + place + 1, (t->count - place) * sizeof(*t->entries));
}

void fpi_mem_table_dispose(fpi_mem_store *s, fpi_mem_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        entry_free(t->entries[i]);
    fpi_free(&s->ctx->a, t->entries);
    *t = (fpi_mem_table){ 0 };
}

fp_status fpi_mem_table_list(const fpi_mem_table *t, const char *prefix, const char *after,
                             size_t limit, fp_storage_list_fn fn, void *user_data, fp_error *err)
{
    size_t i = fpi_mem_table_place(t, strcmp(prefix, after) > 0 ? prefix : after);
    fp_status rc = FILEPROC_OK;

    if (i < t->count && strcmp(t->entries[i]->name, after) == 0)
        i++;
    for (; rc == FILEPROC_OK && limit && i < t->count; i++, limit--) {
        const fpi_mem_entry *e = t->entries[i];

        if (strncmp(e->name, prefix, strlen(prefix)) != 0)
            break;
        rc = fn(user_data, e->name, e->blob ? e->blob->size : 0, e->modified_ms, err);
    }
    return rc;
}
