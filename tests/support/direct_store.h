/* Owns: a store to which others may send parts past the engine, made of one to which nobody can: for tests of who takes them.
 * Must not know: uploads. */
#ifndef TESTS_DIRECT_STORE_H
#define TESTS_DIRECT_STORE_H

#include <fileproc/driver/storage_driver.h>

/* What others have sent; of one assembly at a time. */
typedef struct direct_part {
    uint64_t offset;
    size_t size;
    unsigned seed; /* the bytes are content(seed) */
    char etag[48];
} direct_part;

typedef struct direct_store {
    const fp_context *ctx;
    uint64_t part_size; /* 0: nobody can send parts */
    fp_status fail;     /* of adoptions; 0 = they work */
    direct_part parts[16];
    size_t count;
    void (*on_adopt)(void *user_data); /* before one */
    void *user_data;
} direct_store;

/* Gives the driver the slots for parts of others. Both are borrowed; one store at a time. */
void direct_store_add_slots(fp_storage_driver *driver, const fp_storage_driver *below,
                            direct_store *d);
/* As if somebody had sent part `number`, also once more. Answers the ETag, which holds until the part is sent again. */
const char *direct_store_put(direct_store *d, uint32_t number, size_t size, unsigned seed);
/* The store has the last part no more. */
void direct_store_drop_last(direct_store *d);

#endif
