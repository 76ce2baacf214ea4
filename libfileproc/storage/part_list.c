/* Owns: the committed parts of an assembly: their order, their ranges, whether they cover a size.
 * Must not know: how a part is stored. */
#include "storage/part_list.h"

#include <assert.h>
#include <string.h>

/* fp_part_info with its fixed room for a note would cost four times as much. */
struct fpi_part_entry {
    uint64_t offset;
    uint64_t length;
    int64_t committed_ms;
    size_t note_at;
    uint16_t note_size; /* FILEPROC_PART_NOTE_MAX at the most */
    uint16_t flags;
    uint32_t crc32c;
};

void fpi_part_list_init(fpi_part_list *list, const fp_context *ctx)
{
    *list = (fpi_part_list){ .ctx = ctx };
}

void fpi_part_list_dispose(fpi_part_list *list)
{
    fpi_free(&list->ctx->a, list->entries);
    fpi_free(&list->ctx->a, list->by_offset);
    fp_buf_dispose(&list->notes);
    fpi_part_list_init(list, list->ctx);
}

static fp_status grow(fpi_part_list *list, fp_error *err)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 8;
    struct fpi_part_entry *entries;
    uint32_t *by_offset;

    entries = fpi_realloc(&list->ctx->a, list->entries, capacity, sizeof(*entries));
    if (!entries)
        return fpi_no_memory(err);
    list->entries = entries;
    by_offset = fpi_realloc(&list->ctx->a, list->by_offset, capacity, sizeof(*by_offset));
    if (!by_offset)
        return fpi_no_memory(err);
    list->by_offset = by_offset;
    list->capacity = capacity;
    return FILEPROC_OK;
}

fp_status fpi_part_list_promise(fpi_part_list *list, size_t note_size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (list->count + list->promised >= FPI_PARTS_MAX)
        return fp_error_setf(err, FILEPROC_ERR_QUOTA, "an assembly holds no more than %zu parts",
                             FPI_PARTS_MAX);
    if (list->count + list->promised == list->capacity)
        rc = grow(list, err);
    if (rc == FILEPROC_OK && note_size)
        rc = fpi_buf_reserve(list->ctx, &list->notes, list->promised_note_bytes + note_size, err);
    if (rc < 0)
        return rc;
    list->promised++;
    list->promised_note_bytes += note_size;
    return FILEPROC_OK;
}

void fpi_part_list_take_back(fpi_part_list *list, size_t note_size)
{
    list->promised--;
    list->promised_note_bytes -= note_size;
}

/* How many parts begin before offset. Chunks mostly come in order, so the end is looked at first. */
static size_t parts_before(const fpi_part_list *list, uint64_t offset)
{
    size_t low = 0, high = list->count;

    if (high && list->entries[list->by_offset[high - 1]].offset < offset)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->entries[list->by_offset[middle]].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fpi_part_list_add(fpi_part_list *list, const fp_part_info *part)
{
    size_t place = parts_before(list, part->offset);
    fp_status rc = FILEPROC_OK;

    assert(list->promised > 0 && list->count < list->capacity);
    list->entries[list->count] = (struct fpi_part_entry){
        .offset = part->offset,
        .length = part->length,
        .committed_ms = part->committed_ms,
        .note_at = list->notes.size,
        .note_size = (uint16_t)part->note_size,
        .flags = (uint16_t)part->flags,
        .crc32c = part->crc32c,
    };
    if (part->note_size) /* room for it was promised */
        rc = fpi_buf_append(list->ctx, &list->notes, part->note, part->note_size, NULL);
    assert(rc == FILEPROC_OK);
    (void)rc;
    memmove(list->by_offset + place + 1, list->by_offset + place,
            (list->count - place) * sizeof(*list->by_offset));
    list->by_offset[place] = (uint32_t)list->count;
    list->count++;
    list->bytes += part->length;
    if (part->offset + part->length > list->end)
        list->end = part->offset + part->length;
    fpi_part_list_take_back(list, part->note_size);
}

bool fpi_part_list_overlaps(const fpi_part_list *list, uint64_t offset, uint64_t length)
{
    size_t place = parts_before(list, offset);

    if (place < list->count && list->entries[list->by_offset[place]].offset - offset < length)
        return true;
    if (place > 0) {
        const struct fpi_part_entry *before = &list->entries[list->by_offset[place - 1]];

        return offset - before->offset < before->length;
    }
    return false;
}

size_t fpi_part_list_find(const fpi_part_list *list, uint64_t offset)
{
    size_t place = parts_before(list, offset);

    if (place == list->count || list->entries[list->by_offset[place]].offset != offset)
        return list->count;
    return list->by_offset[place];
}

bool fpi_part_list_covers(const fpi_part_list *list, uint64_t size)
{
    /* Parts don't overlap: when their lengths add up to the end, there is no room for a hole. */
    return list->bytes == size && list->end == size;
}

void fpi_part_list_get(const fpi_part_list *list, size_t index, fp_part_info *info)
{
    const struct fpi_part_entry *e = &list->entries[index];

    assert(index < list->count);
    *info = (fp_part_info){
        .struct_size = sizeof(*info),
        .offset = e->offset,
        .length = e->length,
        .committed_ms = e->committed_ms,
        .note_size = e->note_size,
        .crc32c = e->crc32c,
        .flags = e->flags,
    };
    if (e->note_size)
        memcpy(info->note, list->notes.data + e->note_at, e->note_size);
}
