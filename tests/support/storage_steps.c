/* Owns: the shortcuts that storage tests share: bytes, parts, objects.
 * Must not know: what is tested. */
#include "storage_steps.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/digest.h"

unsigned char content_at(unsigned seed, uint64_t place)
{
    uint64_t x =
        (place / 8 + 1) * UINT64_C(0x9E3779B97F4A7C15) + seed * UINT64_C(0xD1B54A32D192ED03);

    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return (unsigned char)(x >> (8 * (place % 8)));
}

void content_fill(unsigned seed, uint64_t place, void *buf, size_t size)
{
    unsigned char *at = buf;

    for (size_t i = 0; i < size; i++)
        at[i] = content_at(seed, place + i);
}

static void *must_content(unsigned seed, uint64_t place, size_t size)
{
    void *buf = malloc(size ? size : 1);

    ck_assert_ptr_nonnull(buf);
    content_fill(seed, place, buf, size);
    return buf;
}

fp_status try_part(fp_assembly *a, unsigned seed, uint64_t offset, size_t size, fp_error *err)
{
    void *bytes = must_content(seed, offset, size);
    fp_part *part = NULL;
    fp_status rc;

    rc = fp_part_begin(a, offset, size, &part, err);
    if (rc == FILEPROC_OK)
        rc = fp_part_write(part, bytes, size, err);
    if (rc == FILEPROC_OK)
        rc = fp_part_commit(part, "note", 4, err);
    fp_part_free(part);
    free(bytes);
    return rc;
}

void must_part(fp_assembly *a, unsigned seed, uint64_t offset, size_t size)
{
    fp_error err = { 0 };

    ck_status(try_part(a, seed, offset, size, &err), FILEPROC_OK, &err);
}

fp_status try_put(fp_storage *st, const char *key, unsigned seed, size_t size, uint32_t flags,
                  fp_error *err)
{
    void *bytes = must_content(seed, 0, size);
    fp_status rc = fp_storage_put(st, key, bytes, size, flags, err);

    free(bytes);
    return rc;
}

void must_put(fp_storage *st, const char *key, unsigned seed, size_t size)
{
    fp_error err = { 0 };

    ck_status(try_put(st, key, seed, size, 0, &err), FILEPROC_OK, &err);
}

fp_assembly *must_open(fp_storage *st, const char *id, uint32_t flags)
{
    fp_assembly *a = NULL;
    fp_error err = { 0 };

    ck_status(fp_assembly_open(st, id, flags, &a, &err), FILEPROC_OK, &err);
    ck_assert_ptr_nonnull(a);
    return a;
}

bool object_is(fp_storage *st, const char *key, unsigned seed, uint64_t size)
{
    unsigned char *bytes = malloc((size_t)size + 1),
                  *expected = must_content(seed, 0, (size_t)size);
    size_t got = 0;
    bool same;

    same = fp_storage_read(st, key, 0, bytes, (size_t)size + 1, &got, NULL) == FILEPROC_OK &&
           got == size && memcmp(bytes, expected, (size_t)size) == 0;
    free(bytes);
    free(expected);
    return same;
}

bool object_exists(fp_storage *st, const char *key)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_error err = { 0 };
    fp_status rc = fp_storage_stat(st, key, &info, &err);

    if (rc != FILEPROC_ERR_NOTFOUND)
        ck_status(rc, FILEPROC_OK, &err);
    return rc == FILEPROC_OK;
}

static void must_part_be(fp_assembly *a, const fp_part_info *info, unsigned seed)
{
    unsigned char *bytes = malloc((size_t)info->length);
    fp_error err = { 0 };
    size_t got = 0;

    ck_status(fp_assembly_read(a, info->offset, bytes, (size_t)info->length, &got, &err),
              FILEPROC_OK, &err);
    ck_assert_uint_eq(got, info->length);
    ck_assert_uint_eq(fpi_crc32c(0, bytes, got), info->crc32c);
    for (size_t i = 0; i < got; i++)
        if (bytes[i] != content_at(seed, info->offset + i))
            ck_abort_msg("byte %zu of the part at %llu is wrong", i,
                         (unsigned long long)info->offset);
    free(bytes);
}

void must_parts_be(fp_assembly *a, unsigned seed)
{
    for (size_t i = 0; i < fp_assembly_part_count(a); i++) {
        fp_part_info info = FILEPROC_PART_INFO_INIT;
        fp_error err = { 0 };

        ck_status(fp_assembly_part_at(a, i, &info, &err), FILEPROC_OK, &err);
        must_part_be(a, &info, seed);
    }
}

size_t staged_count(fp_storage *st)
{
    fp_storage_list_page *page = NULL;
    fp_error err = { 0 };
    size_t count;

    ck_status(fp_storage_list_staged(st, NULL, 1000, &page, &err), FILEPROC_OK, &err);
    count = page->count;
    fp_storage_list_free(page);
    return count;
}

size_t object_count(fp_storage *st)
{
    fp_storage_list_page *page = NULL;
    fp_error err = { 0 };
    size_t count;

    ck_status(fp_storage_list(st, NULL, NULL, 1000, &page, &err), FILEPROC_OK, &err);
    count = page->count;
    fp_storage_list_free(page);
    return count;
}

void check_reason(fp_status rc, fp_status code, const char *reason, const fp_error *err,
                  const char *file, int line)
{
    check_status(rc, code, err, file, line);
    if (err->code != code || strcmp(fp_error_reason(err), reason) != 0 || !err->message[0])
        ck_abort_msg("%s:%d: reason %s instead of %s: %s", file, line, fp_error_reason(err), reason,
                     err->message);
}
