/* Owns: a catalog with its database and store, for tests of what uses them.
 * Must not know: what is tested. */
#include "catalog_world.h"

#include <stdio.h>
#include <string.h>

#include <fileproc/driver/storage_driver.h>

#include "scratch.h"
#include "storage/storage_private.h"
#include "fresh_database.h"

/* The driver "mem", whose objects can be made impossible to remove. One world at a time. */
static const catalog_world *world;

static fp_status breakable_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    if (world->broken && strstr(key, world->broken))
        return fp_error_setf(err, FILEPROC_ERR_IO, "the test broke this object");
    return fpi_storage_mem_driver.remove(self, key, flags, err);
}

static const fp_storage_driver *breakable_driver(void)
{
    static fp_storage_driver driver;

    driver = fpi_storage_mem_driver;
    driver.scheme = "breakable";
    driver.remove = breakable_remove;
    return &driver;
}

void catalog_world_open(catalog_world *w, const fp_allocator *allocator)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (catalog_world){ .ctx = NULL };
    world = w;
    o.allocator = allocator;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_storage_driver(w->ctx, breakable_driver(), &err), FILEPROC_OK, &err);
    fresh_database_open(w->ctx, w->uri, &w->db);
    ck_status(fp_database_migrate(w->db, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open(w->ctx, "breakable:", NULL, &w->st, &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_open(w->ctx, w->db, w->st, &w->cat, &err), FILEPROC_OK, &err);
}

void catalog_world_close(catalog_world *w)
{
    fp_catalog_free(w->cat);
    fp_storage_free(w->st);
    fresh_database_close(w->db, w->uri);
    fp_context_free(w->ctx);
}

typedef struct insert_call {
    catalog_world *w;
    const fpi_new_file *file;
} insert_call;

static fp_status insert_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const insert_call *call = user_data;

    return fpi_catalog_insert(call->w->cat, tx, call->file, err);
}

fp_status catalog_insert(catalog_world *w, const fpi_new_file *file, fp_error *err)
{
    insert_call call = { w, file };

    return fp_database_transact(w->db, 0, insert_body, &call, err);
}

const char *catalog_key(const char *id, char key[64])
{
    snprintf(key, 64, "files/%s", id);
    return key;
}

void catalog_add(catalog_world *w, const char *parent, char id[FPI_UUID_SIZE])
{
    char key[64];
    const fpi_new_file file = { .id = id,
                                .filename = "name.bin",
                                .mime_type = "application/octet-stream",
                                .parent_id = parent,
                                .operation = parent ? "test.derive" : NULL,
                                .storage_key = key,
                                .size = 5 };
    fp_error err = { 0 };

    ck_status(fpi_uuid7(w->ctx, id, &err), FILEPROC_OK, &err);
    catalog_key(id, key);
    ck_status(fp_storage_put(w->st, key, "hello", 5, 0, &err), FILEPROC_OK, &err);
    ck_status(catalog_insert(w, &file, &err), FILEPROC_OK, &err);
}

typedef struct learn_call {
    catalog_world *w;
    const char *id, *detected, *sha256, *key, *member;
} learn_call;

static fp_status learn_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const learn_call *c = user_data;

    return fpi_catalog_learn(c->w->cat, tx, c->id, c->detected, c->sha256, c->key, c->member, err);
}

fp_status catalog_learn(catalog_world *w, const char *id, const char *detected, const char *sha256,
                        const char *key, const char *member, fp_error *err)
{
    learn_call call = { w, id, detected, sha256, key, member };

    return fp_database_transact(w->db, 0, learn_body, &call, err);
}
