/* Owns: a catalog with its database and store, for tests of what uses them.
 * Must not know: what is tested. */
#ifndef TESTS_CATALOG_WORLD_H
#define TESTS_CATALOG_WORLD_H

#include "catalog/catalog_private.h"
#include "core/uuid.h"

typedef struct catalog_world {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fp_catalog *cat;
    char uri[128];      /* of the database */
    const char *broken; /* objects with this in their key can't be removed; NULL = all can */
} catalog_world;

/* The database is that of fresh_database.h, the store is in memory. allocator may be NULL. */
void catalog_world_open(catalog_world *w, const fp_allocator *allocator);
void catalog_world_close(catalog_world *w);

/* Inserts in a transaction of its own. */
fp_status catalog_insert(catalog_world *w, const fpi_new_file *file, fp_error *err);
/* A file with an object of its own; parent may be NULL. Its id is written to id. */
void catalog_add(catalog_world *w, const char *parent, char id[FPI_UUID_SIZE]);
/* The key that catalog_add() gives. */
const char *catalog_key(const char *id, char key[64]);
/* As fpi_catalog_learn(), in a transaction of its own. */
fp_status catalog_learn(catalog_world *w, const char *id, const char *detected, const char *sha256,
                        const char *key, const char *member, fp_error *err);

#endif
