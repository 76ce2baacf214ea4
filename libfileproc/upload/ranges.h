/* Owns: a set of byte ranges that never overlap: which bytes of an upload are durable.
 * Must not know: who wrote them, and where. */
#ifndef FPI_RANGES_H
#define FPI_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alloc.h"

/** Bytes from begin up to, not including, end. */
typedef struct fpi_range {
    uint64_t begin, end;
} fpi_range;

/** In order, with gaps between them. {0} is an empty set. */
typedef struct fpi_ranges {
    fpi_range *at;
    size_t count, capacity;
} fpi_ranges;

void fpi_ranges_dispose(fpi_ranges *r, const fp_allocator *a);

/** Makes room for so many more, so that adding them can't fail. */
fp_status fpi_ranges_reserve(fpi_ranges *r, const fp_allocator *a, size_t more, fp_error *err);

/** Adds a range of which no byte is in the set; there is room. Answers the range that it has become with its neighbours. */
fpi_range fpi_ranges_add(fpi_ranges *r, uint64_t begin, uint64_t end);

/** Whether all bytes are in the set, or any. An empty range has none. */
bool fpi_ranges_have(const fpi_ranges *r, uint64_t begin, uint64_t end);
bool fpi_ranges_touch(const fpi_ranges *r, uint64_t begin, uint64_t end);

/** Bytes from 0 on without a gap. */
uint64_t fpi_ranges_prefix(const fpi_ranges *r);

/** The first range that ends behind `place`; false when there is none. */
bool fpi_ranges_next(const fpi_ranges *r, uint64_t place, fpi_range *out);

/** Where the bytes at `place` change from being in the set to not being in it, or the other way: the end of the range or of the
 *  gap; UINT64_MAX behind the last one. */
uint64_t fpi_ranges_change(const fpi_ranges *r, uint64_t place);

#endif
