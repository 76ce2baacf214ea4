/* Owns: the bytes of the mem driver: pages, and the limit that all of them share.
 * Must not know: names. */
#include <string.h>

#include "storage/storage_mem_private.h"

#define PAGE ((size_t)64 * 1024)

fp_status fpi_mem_blob_new(fpi_mem_store *s, fpi_mem_blob **out, fp_error *err)
{
    fpi_mem_blob *blob = fpi_calloc(&s->ctx->a, 1, sizeof(*blob));

    if (!blob)
        return fpi_no_memory(err);
    blob->store = s;
    blob->refs = 1;
    blob->number = ++s->blob_count;
    *out = blob;
    return FILEPROC_OK;
}

fpi_mem_blob *fpi_mem_blob_ref(fpi_mem_blob *blob)
{
    blob->refs++;
    return blob;
}

static void release_pages(fpi_mem_blob *blob, size_t from)
{
    for (size_t i = from; i < blob->page_count; i++)
        fpi_free(&blob->store->ctx->a, blob->pages[i]);
    if (from < blob->page_count)
        blob->page_count = from;
}

void fpi_mem_blob_unref(fpi_mem_blob *blob)
{
    if (!blob || --blob->refs)
        return;
    release_pages(blob, 0);
    blob->store->used -= blob->allocated;
    fpi_free(&blob->store->ctx->a, blob->pages);
    fpi_free(&blob->store->ctx->a, blob);
}

static fp_status full(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL,
                            "the storage in memory is full");
}

static fp_status grow_table(fpi_mem_blob *blob, size_t count, fp_error *err)
{
    unsigned char **pages;

    if (count <= blob->page_count)
        return FILEPROC_OK;
    pages = fpi_realloc(&blob->store->ctx->a, blob->pages, count, sizeof(*pages));
    if (!pages)
        return fpi_no_memory(err);
    memset(pages + blob->page_count, 0, (count - blob->page_count) * sizeof(*pages));
    blob->pages = pages;
    blob->page_count = count;
    return FILEPROC_OK;
}

static fp_status make_page(fpi_mem_blob *blob, size_t index, fp_error *err)
{
    fpi_mem_store *s = blob->store;

    if (blob->pages[index])
        return FILEPROC_OK;
    if (s->max_bytes - s->used < PAGE)
        return full(err);
    blob->pages[index] = fpi_calloc(&s->ctx->a, 1, PAGE);
    if (!blob->pages[index])
        return fpi_no_memory(err);
    blob->allocated += PAGE;
    s->used += PAGE;
    return FILEPROC_OK;
}

fp_status fpi_mem_blob_write(fpi_mem_blob *blob, uint64_t offset, const void *data, size_t size,
                             fp_error *err)
{
    const unsigned char *at = data;
    uint64_t end = offset + size;
    fp_status rc;

    if (end > blob->store->max_bytes)
        return full(err);
    rc = grow_table(blob, (size_t)((end + PAGE - 1) / PAGE), err);
    while (rc == FILEPROC_OK && offset < end) {
        size_t index = (size_t)(offset / PAGE), skip = (size_t)(offset % PAGE);
        size_t n = end - offset < PAGE - skip ? (size_t)(end - offset) : PAGE - skip;

        rc = make_page(blob, index, err);
        if (rc < 0)
            break;
        memcpy(blob->pages[index] + skip, at, n);
        at += n;
        offset += n;
        if (offset > blob->size)
            blob->size = offset;
    }
    return rc;
}

size_t fpi_mem_blob_read(const fpi_mem_blob *blob, uint64_t offset, void *buf, size_t cap)
{
    unsigned char *at = buf;
    size_t done = 0;

    if (offset >= blob->size)
        return 0;
    if (cap > blob->size - offset)
        cap = (size_t)(blob->size - offset);
    while (done < cap) {
        size_t index = (size_t)((offset + done) / PAGE), skip = (size_t)((offset + done) % PAGE);
        size_t n = cap - done < PAGE - skip ? cap - done : PAGE - skip;

        if (blob->pages[index])
            memcpy(at + done, blob->pages[index] + skip, n);
        else
            memset(at + done, 0, n);
        done += n;
    }
    return done;
}

void fpi_mem_blob_trim(fpi_mem_blob *blob, uint64_t size)
{
    const fp_allocator *a = &blob->store->ctx->a;
    size_t count = (size_t)((size + PAGE - 1) / PAGE), last = (size_t)(size % PAGE);
    uint64_t kept = (uint64_t)count * PAGE;

    release_pages(blob, count);
    blob->size = size;
    if (last) { /* a small object shall not cost a whole page */
        unsigned char *page = fpi_realloc(a, blob->pages[count - 1], last, 1);

        if (page) {
            blob->pages[count - 1] = page;
            kept -= PAGE - last;
        }
    }
    blob->store->used -= blob->allocated - kept;
    blob->allocated = kept;
}
