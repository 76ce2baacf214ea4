/* Owns: the shortcuts that storage tests share: bytes, parts, objects.
 * Must not know: what is tested. */
#ifndef TESTS_STORAGE_STEPS_H
#define TESTS_STORAGE_STEPS_H

#include <stdbool.h>

#include <fileproc/fileproc.h>

#include "scratch.h"

/* The byte that stands at this place of the content called `seed`. */
unsigned char content_at(unsigned seed, uint64_t place);
/* size bytes of it from place on. */
void content_fill(unsigned seed, uint64_t place, void *buf, size_t size);

/* A part with the bytes content(seed) at [offset, offset + size). */
fp_status try_part(fp_assembly *a, unsigned seed, uint64_t offset, size_t size, fp_error *err);
void must_part(fp_assembly *a, unsigned seed, uint64_t offset, size_t size);
fp_status try_put(fp_storage *st, const char *key, unsigned seed, size_t size, uint32_t flags,
                  fp_error *err);
void must_put(fp_storage *st, const char *key, unsigned seed, size_t size);
fp_assembly *must_open(fp_storage *st, const char *id, uint32_t flags);

/* The object has exactly these bytes. */
bool object_is(fp_storage *st, const char *key, unsigned seed, uint64_t size);
bool object_exists(fp_storage *st, const char *key);
/* Each committed part of the assembly reads back as its record says, with content(seed). */
void must_parts_be(fp_assembly *a, unsigned seed);
size_t staged_count(fp_storage *st);
size_t object_count(fp_storage *st);

/* Fails the test unless rc and err carry this code and reason. */
#define ck_reason(rc, code, reason, err)                                                           \
    check_reason((rc), (code), (reason), (err), __FILE__, __LINE__)
void check_reason(fp_status rc, fp_status code, const char *reason, const fp_error *err,
                  const char *file, int line);

#endif
