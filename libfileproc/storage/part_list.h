/* Owns: the committed parts of an assembly: their order, their ranges, whether they cover a size.
 * Must not know: how a part is stored. */
#ifndef FPI_PART_LIST_H
#define FPI_PART_LIST_H

#include <stdbool.h>

#include <fileproc/storage.h>

#include "core/buf_private.h"

/** A part costs about 50 bytes of memory and its note. */
#define FPI_PARTS_MAX ((size_t)1 << 20)

struct fpi_part_entry;

/** No two parts in it overlap. One thread at a time. */
typedef struct fpi_part_list {
    const fp_context *ctx;
    struct fpi_part_entry *entries; /* in the order of commit */
    uint32_t *by_offset;            /* indexes of entries */
    fp_buf notes;
    size_t count, capacity;
    size_t promised, promised_note_bytes;
    uint64_t bytes; /* sum of the lengths */
    uint64_t end;   /* behind the last byte */
} fpi_part_list;

void fpi_part_list_init(fpi_part_list *list, const fp_context *ctx);
void fpi_part_list_dispose(fpi_part_list *list);

/** Makes room for one more part, so that fpi_part_list_add() can't fail after the part is on disk. Each
 *  promise is either kept by an add or taken back. NOMEM, or QUOTA when the list is full. */
fp_status fpi_part_list_promise(fpi_part_list *list, size_t note_size, fp_error *err);
void fpi_part_list_take_back(fpi_part_list *list, size_t note_size);
void fpi_part_list_add(fpi_part_list *list, const fp_part_info *part);

bool fpi_part_list_overlaps(const fpi_part_list *list, uint64_t offset, uint64_t length);
/** Whether the parts are exactly the bytes 0 to size. */
bool fpi_part_list_covers(const fpi_part_list *list, uint64_t size);
/** The index of the part that begins at offset; count when there is none. */
size_t fpi_part_list_find(const fpi_part_list *list, uint64_t offset);
/** index is below count. */
void fpi_part_list_get(const fpi_part_list *list, size_t index, fp_part_info *info);

#endif
