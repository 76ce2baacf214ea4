/* Owns: what the files of the mem driver share: blobs, tables of them, the store.
 * Must not know: any other driver. */
#ifndef FPI_STORAGE_MEM_PRIVATE_H
#define FPI_STORAGE_MEM_PRIVATE_H

#include <pthread.h>

#include "storage/part_list.h"
#include "storage/storage_private.h"

typedef struct fpi_mem_store fpi_mem_store;

/** Bytes in pages, so that they can be written in any order and never move. Those of an object don't change any more
 *  and are freed with the last who reads them. Pages that nobody wrote to are not there. */
typedef struct fpi_mem_blob {
    fpi_mem_store *store;
    unsigned char **pages;
    size_t page_count;
    size_t refs;
    uint64_t number;    /* no other blob of the store has it */
    uint64_t size;      /* behind the last byte written */
    uint64_t allocated; /* what of it counts against the store's limit */
} fpi_mem_blob;

typedef struct fpi_mem_entry {
    const fp_allocator *a;
    fpi_mem_blob *blob; /* NULL: staged, and published since */
    int64_t modified_ms;
    fpi_part_list parts; /* staged: what is committed */
    char name[];
} fpi_mem_entry;

/** Sorted by name. */
typedef struct fpi_mem_table {
    fpi_mem_entry **entries;
    size_t count, capacity;
} fpi_mem_table;

struct fpi_mem_store {
    fp_context *ctx;
    uint64_t max_bytes;
    pthread_mutex_t lock; /* of all below, of every entry, and of the bytes that are staged */
    uint64_t used;
    uint64_t blob_count; /* ever made */
    fpi_mem_table objects;
    fpi_mem_table staged;
};

/* storage_mem_blob.c. All but the read of an object's bytes with the store's lock held. */

fp_status fpi_mem_blob_new(fpi_mem_store *s, fpi_mem_blob **out, fp_error *err);
fpi_mem_blob *fpi_mem_blob_ref(fpi_mem_blob *blob);
void fpi_mem_blob_unref(fpi_mem_blob *blob);
/** QUOTA with storage_full when the store's limit is reached; what was written until then stays. */
fp_status fpi_mem_blob_write(fpi_mem_blob *blob, uint64_t offset, const void *data, size_t size,
                             fp_error *err);
size_t fpi_mem_blob_read(const fpi_mem_blob *blob, uint64_t offset, void *buf, size_t cap);
/** Gives back what is behind size bytes. */
void fpi_mem_blob_trim(fpi_mem_blob *blob, uint64_t size);

/* storage_mem_table.c. With the store's lock held. */

fpi_mem_entry *fpi_mem_table_find(const fpi_mem_table *t, const char *name);
/** How many names come before this one. */
size_t fpi_mem_table_place(const fpi_mem_table *t, const char *name);
/** A new entry, whose name is not there yet; takes blob on success. */
fp_status fpi_mem_table_insert(fpi_mem_store *s, fpi_mem_table *t, const char *name,
                               fpi_mem_blob *blob, fpi_mem_entry **out, fp_error *err);
/** Removing what is not there is fine. */
void fpi_mem_table_remove(fpi_mem_table *t, const char *name);
void fpi_mem_table_dispose(fpi_mem_store *s, fpi_mem_table *t);
/** As the slot list of a driver. */
fp_status fpi_mem_table_list(const fpi_mem_table *t, const char *prefix, const char *after,
                             size_t limit, fp_storage_list_fn fn, void *user_data, fp_error *err);

/* storage_mem_staging.c: slots of the driver. */

fp_status fpi_mem_assembly_open(void *self, const char *id, uint32_t flags,
                                fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                     fp_error *err),
                                void *user_data, void **assembly, fp_error *err);
void fpi_mem_assembly_close(void *self, void *assembly);
fp_status fpi_mem_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                                size_t *got, uint32_t flags, fp_error *err);
fp_status fpi_mem_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                   uint32_t flags, fp_error *err);
fp_status fpi_mem_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                             void **part, fp_error *err);
fp_status fpi_mem_part_write(void *self, void *assembly, void *part, uint64_t offset,
                             const void *data, size_t size, fp_error *err);
fp_status fpi_mem_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                              fp_error *err);
void fpi_mem_part_free(void *self, void *assembly, void *part);

#endif
