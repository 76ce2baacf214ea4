/* Owns: a store to which others may send parts past the engine, made of one to which nobody can: for tests of who takes them.
 * Must not know: uploads. */
#include "direct_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/buf_private.h"
#include "core/digest.h"
#include "storage/storage_private.h"
#include "storage_steps.h"

static direct_store *store;
static const fp_storage_driver *lower;

static uint64_t part_size(void *self, void *assembly)
{
    (void)self;
    (void)assembly;
    return store->part_size;
}

static fp_status presign(void *self, void *assembly, uint64_t offset, uint32_t expires_s,
                         fp_buf *url, fp_error *err)
{
    (void)self;
    (void)assembly;
    return fpi_buf_printf(store->ctx, url, err, "direct:%llu?%u", (unsigned long long)offset,
                          (unsigned)expires_s);
}

static int by_offset(const void *a, const void *b)
{
    const direct_part *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static fp_status written(void *self, void *assembly, fp_written_fn fn, void *user_data,
                         fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    (void)self;
    (void)assembly;
    for (size_t i = 0; rc == FILEPROC_OK && i < store->count; i++)
        rc = fn(user_data, store->parts[i].offset, store->parts[i].size, store->parts[i].etag, err);
    return rc;
}

static const direct_part *part_at(uint64_t offset)
{
    for (size_t i = 0; i < store->count; i++)
        if (store->parts[i].offset == offset)
            return &store->parts[i];
    return NULL;
}

/* The bytes are written by way of the store below. */
static fp_status write_part(void *self, void *assembly, const fp_part_info *info, fp_error *err)
{
    unsigned char *bytes = malloc((size_t)info->length);
    fp_part_info written_part = *info;
    void *part = NULL;
    fp_status rc = lower->part_begin(self, assembly, info->offset, info->length, &part, err);

    ck_assert_ptr_nonnull(bytes);
    for (uint64_t done = 0; done < info->length; done += store->part_size) {
        const direct_part *p = part_at(info->offset + done);

        ck_assert_ptr_nonnull(p);
        content_fill(p->seed, p->offset, bytes + done, p->size);
    }
    written_part.crc32c = fpi_crc32c(0, bytes, (size_t)info->length);
    written_part.flags = 0;
    if (rc == FILEPROC_OK)
        rc =
            lower->part_write(self, assembly, part, info->offset, bytes, (size_t)info->length, err);
    if (rc == FILEPROC_OK)
        rc = lower->part_commit(self, assembly, part, &written_part, err);
    if (part)
        lower->part_free(self, assembly, part);
    free(bytes);
    return rc;
}

static fp_status adopt(void *self, void *assembly, const char *const *etags, size_t etag_count,
                       const fp_part_info *info, fp_error *err)
{
    uint64_t offset = info->offset, end = info->offset + info->length;

    if (store->on_adopt)
        store->on_adopt(store->user_data);
    if (store->fail)
        return fp_error_setf(err, store->fail, "the test broke the store");
    for (size_t i = 0; i < etag_count; i++, offset += store->part_size) {
        const direct_part *p = part_at(offset);

        if (!p || !fpi_etag_same(p->etag, etags[i]) ||
            p->size != (end - offset < store->part_size ? end - offset : store->part_size))
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "this is not there");
    }
    return write_part(self, assembly, info, err);
}

void direct_store_add_slots(fp_storage_driver *driver, const fp_storage_driver *below,
                            direct_store *d)
{
    store = d;
    lower = below;
    driver->assembly_part_size = part_size;
    driver->assembly_presign = presign;
    driver->assembly_written = written;
    driver->assembly_adopt = adopt;
}

const char *direct_store_put(direct_store *d, uint32_t number, size_t size, unsigned seed)
{
    uint64_t offset = (number - 1) * d->part_size;
    direct_part *p = NULL;

    for (size_t i = 0; i < d->count; i++)
        if (d->parts[i].offset == offset)
            p = &d->parts[i];
    if (!p) {
        ck_assert_uint_lt(d->count, sizeof(d->parts) / sizeof(*d->parts));
        p = &d->parts[d->count++];
    }
    *p = (direct_part){ .offset = offset, .size = size, .seed = seed };
    snprintf(p->etag, sizeof(p->etag), "\"%u-%u-%zu\"", (unsigned)number, seed, size);
    qsort(d->parts, d->count, sizeof(*d->parts), by_offset);
    return part_at(offset)->etag;
}

void direct_store_drop_last(direct_store *d)
{
    ck_assert_uint_gt(d->count, 0);
    d->count--;
}
