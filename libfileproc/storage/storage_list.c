/* Owns: pages of names, filled from what a driver lists.
 * Must not know: any driver. */
#include <string.h>

#include "core/buf_private.h"
#include "storage/storage_private.h"

#define LIMIT_MAX 1000u

/* The page and what it points to. Names stand behind each other in one buffer, which may move while it
 * grows: so their places are kept, and made pointers at the end. */
typedef struct page {
    fp_storage_list_page pub; /* first: fp_storage_list_free() gets a pointer to it */
    const fp_context *ctx;
    fp_buf text;
    const char **names;
    size_t *places;
    uint64_t *sizes;
    int64_t *modified_ms;
    size_t capacity;
    size_t limit;
    bool more;
} page;

void fp_storage_list_free(fp_storage_list_page *pub)
{
    page *p = (page *)(void *)pub;

    if (!p)
        return;
    fp_buf_dispose(&p->text);
    fpi_free(&p->ctx->a, p->names);
    fpi_free(&p->ctx->a, p->places);
    fpi_free(&p->ctx->a, p->sizes);
    fpi_free(&p->ctx->a, p->modified_ms);
    fpi_free(&p->ctx->a, p);
}

static void page_free(page *p)
{
    fp_storage_list_free(p ? &p->pub : NULL);
}
FPI_DEFINE_CLEANUP(page, page_free)

static fp_status page_new(const fp_context *ctx, size_t limit, page **out, fp_error *err)
{
    page *p = fpi_calloc(&ctx->a, 1, sizeof(*p));

    if (!p)
        return fpi_no_memory(err);
    p->pub.struct_size = sizeof(p->pub);
    p->ctx = ctx;
    p->limit = limit;
    *out = p;
    return FILEPROC_OK;
}

static fp_status page_grow(page *p, fp_error *err)
{
    const fp_allocator *a = &p->ctx->a;
    size_t capacity = p->capacity ? p->capacity * 2 : 16;
    void *grown;

    if ((grown = fpi_realloc(a, p->names, capacity, sizeof(*p->names))) == NULL)
        return fpi_no_memory(err);
    p->names = grown;
    if ((grown = fpi_realloc(a, p->places, capacity, sizeof(*p->places))) == NULL)
        return fpi_no_memory(err);
    p->places = grown;
    if ((grown = fpi_realloc(a, p->sizes, capacity, sizeof(*p->sizes))) == NULL)
        return fpi_no_memory(err);
    p->sizes = grown;
    if ((grown = fpi_realloc(a, p->modified_ms, capacity, sizeof(*p->modified_ms))) == NULL)
        return fpi_no_memory(err);
    p->modified_ms = grown;
    p->capacity = capacity;
    return FILEPROC_OK;
}

static fp_status add_name(void *user_data, const char *name, uint64_t size, int64_t modified_ms,
                          fp_error *err)
{
    page *p = user_data;
    fp_status rc = FILEPROC_OK;

    if (p->pub.count == p->limit) { /* asked for only to know whether there is a next page */
        p->more = true;
        return FILEPROC_OK;
    }
    if (p->pub.count == p->capacity)
        rc = page_grow(p, err);
    if (rc < 0)
        return rc;
    p->places[p->pub.count] = p->text.size;
    rc = fpi_buf_append(p->ctx, &p->text, name, strlen(name) + 1, err);
    if (rc < 0)
        return rc;
    p->sizes[p->pub.count] = size;
    p->modified_ms[p->pub.count] = modified_ms;
    p->pub.count++;
    return FILEPROC_OK;
}

static void page_finish(page *p)
{
    for (size_t i = 0; i < p->pub.count; i++)
        p->names[i] = p->text.data + p->places[i];
    p->pub.names = p->names;
    p->pub.sizes = p->sizes;
    p->pub.modified_ms = p->modified_ms;
    if (p->more)
        p->pub.next = p->names[p->pub.count - 1];
}

static fp_status check_page(const fp_storage *st, size_t limit, fp_storage_list_page **out,
                            fp_error *err)
{
    if (!st || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (limit < 1 || limit > LIMIT_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "limit must be 1 to 1000");
    return FILEPROC_OK;
}

static fp_status bad_cursor(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CURSOR_INVALID,
                            "the cursor is none that a page gave");
}

fp_status fp_storage_list(fp_storage *st, const char *prefix, const char *cursor, size_t limit,
                          fp_storage_list_page **out, fp_error *err)
{
    FPI_CLEANUP(page) p = NULL;
    fp_status rc = check_page(st, limit, out, err);

    if (rc == FILEPROC_OK)
        rc = fpi_key_check_prefix(prefix, err);
    if (rc == FILEPROC_OK && cursor && fpi_key_check(cursor, NULL) < 0)
        rc = bad_cursor(err);
    if (rc == FILEPROC_OK)
        rc = page_new(st->ctx, limit, &p, err);
    if (rc == FILEPROC_OK)
        rc = st->drv->list(st->self, prefix ? prefix : "", cursor ? cursor : "", limit + 1,
                           add_name, p, 0, err);
    if (rc < 0)
        return rc;
    page_finish(p);
    *out = &fpi_steal(&p)->pub;
    return FILEPROC_OK;
}

fp_status fp_storage_list_staged(fp_storage *st, const char *cursor, size_t limit,
                                 fp_storage_list_page **out, fp_error *err)
{
    FPI_CLEANUP(page) p = NULL;
    fp_status rc = check_page(st, limit, out, err);

    if (rc == FILEPROC_OK && cursor && fpi_key_check_id(cursor, NULL) < 0)
        rc = bad_cursor(err);
    if (rc == FILEPROC_OK)
        rc = page_new(st->ctx, limit, &p, err);
    if (rc == FILEPROC_OK)
        rc = st->drv->list_staged(st->self, cursor ? cursor : "", limit + 1, add_name, p, 0, err);
    if (rc < 0)
        return rc;
    page_finish(p);
    *out = &fpi_steal(&p)->pub;
    return FILEPROC_OK;
}
