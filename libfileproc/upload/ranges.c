/* Owns: a set of byte ranges that never overlap: which bytes of an upload are durable.
 * Must not know: who wrote them, and where. */
#include "upload/ranges.h"

#include <assert.h>
#include <string.h>

void fpi_ranges_dispose(fpi_ranges *r, const fp_allocator *a)
{
    fpi_free(a, r->at);
    *r = (fpi_ranges){ .at = NULL };
}

fp_status fpi_ranges_reserve(fpi_ranges *r, const fp_allocator *a, size_t more, fp_error *err)
{
    size_t capacity = r->capacity ? r->capacity : 4;
    fpi_range *at;

    while (capacity - r->count < more)
        capacity *= 2;
    if (capacity == r->capacity)
        return FILEPROC_OK;
    at = fpi_realloc(a, r->at, capacity, sizeof(*at));
    if (!at)
        return fpi_no_memory(err);
    r->at = at;
    r->capacity = capacity;
    return FILEPROC_OK;
}

/* The first range that ends behind `place`; count when there is none. */
static size_t find(const fpi_ranges *r, uint64_t place)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->at[middle].end > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

fpi_range fpi_ranges_add(fpi_ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = find(r, begin);
    bool before = i > 0 && r->at[i - 1].end == begin;
    bool after = i < r->count && r->at[i].begin == end;

    assert(r->count < r->capacity && !fpi_ranges_touch(r, begin, end));
    if (before && after) {
        r->at[i - 1].end = r->at[i].end;
        memmove(&r->at[i], &r->at[i + 1], (r->count - i - 1) * sizeof(*r->at));
        r->count--;
        return r->at[i - 1];
    }
    if (before) {
        r->at[i - 1].end = end;
        return r->at[i - 1];
    }
    if (after) {
        r->at[i].begin = begin;
        return r->at[i];
    }
    memmove(&r->at[i + 1], &r->at[i], (r->count - i) * sizeof(*r->at));
    r->at[i] = (fpi_range){ begin, end };
    r->count++;
    return r->at[i];
}

bool fpi_ranges_have(const fpi_ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = find(r, begin);

    return begin >= end || (i < r->count && r->at[i].begin <= begin && end <= r->at[i].end);
}

bool fpi_ranges_touch(const fpi_ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = find(r, begin);

    return begin < end && i < r->count && r->at[i].begin < end;
}

uint64_t fpi_ranges_prefix(const fpi_ranges *r)
{
    return r->count && r->at[0].begin == 0 ? r->at[0].end : 0;
}

bool fpi_ranges_next(const fpi_ranges *r, uint64_t place, fpi_range *out)
{
    size_t i = find(r, place);

    if (i < r->count)
        *out = r->at[i];
    return i < r->count;
}

uint64_t fpi_ranges_change(const fpi_ranges *r, uint64_t place)
{
    size_t i = find(r, place);

    if (i == r->count)
        return UINT64_MAX;
    return r->at[i].begin > place ? r->at[i].begin : r->at[i].end;
}
