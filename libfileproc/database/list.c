/* Owns: lists, newest first: a SELECT in the making, and the page of records that comes of it.
 * Must not know: which table and conditions there are. */
#include "database/list.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define DEFAULT_LIMIT 50u
#define MAX_LIMIT 1000u

static void free_page(fpi_page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        fpi_record_free(page->items[i]);
    fpi_free(page->a, page);
}

void fpi_page_free(void *shown)
{
    if (shown)
        free_page((void *)((char *)shown - offsetof(fpi_page, shown)));
}

fp_status fpi_list_begin(fpi_list *l, const fp_context *ctx, size_t limit, const char *cursor,
                         fp_error *err)
{
    if (limit > MAX_LIMIT)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "limit is over %u", MAX_LIMIT);
    if (cursor && !fpi_uuid_valid(cursor))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_CURSOR_INVALID,
                                "the cursor is not one of ours");
    l->ctx = ctx;
    l->limit = limit ? limit : DEFAULT_LIMIT;
    return FILEPROC_OK;
}

void fpi_list_sql(fpi_list *l, const char *fmt, ...)
{
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(l->sql + l->size, sizeof(l->sql) - l->size, fmt, args);
    va_end(args);
    assert(size >= 0 && (size_t)size < sizeof(l->sql) - l->size);
    l->size += (size_t)size;
}

static size_t add_param(fpi_list *l, fp_value value)
{
    assert(l->count < sizeof(l->params) / sizeof(*l->params));
    l->params[l->count++] = value;
    return l->count;
}

size_t fpi_list_text(fpi_list *l, const char *text)
{
    return add_param(l, (fp_value)FILEPROC_V_TEXT(text));
}

size_t fpi_list_limit(fpi_list *l)
{
    return add_param(l, (fp_value)FILEPROC_V_INT(l->limit + 1));
}

static fp_status new_page(fpi_list *l, fp_error *err)
{
    fpi_page *page;

    free_page(fpi_steal(&l->page)); /* of an attempt before */
    page = fpi_calloc(&l->ctx->a, 1, sizeof(*page) + l->limit * sizeof(*page->items));
    if (!page)
        return fpi_no_memory(err);
    page->a = &l->ctx->a;
    l->page = page;
    return FILEPROC_OK;
}

static void set_next(const fpi_list *l, fpi_page *page)
{
    const char *last = page->items[page->count - 1];
    const void *id = last + l->kind->texts[0];

    snprintf(page->cursor, sizeof(page->cursor), "%s", *(const char *const *)id);
    page->next = page->cursor;
}

static fp_status fill_page(const fpi_list *l, fp_rows *rows, fp_error *err)
{
    fpi_page *page = l->page;
    int32_t more = 0;
    fp_status rc;

    while ((rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more) {
        void *record;

        if (page->count == l->limit) {
            set_next(l, page);
            return FILEPROC_OK;
        }
        record = fpi_record_new(l->ctx, l->kind, rows);
        if (!record)
            return fpi_no_memory(err);
        page->items[page->count++] = record;
    }
    return rc;
}

static fp_status read_body(fp_tx *tx, void *user_data, fp_error *err)
{
    fpi_list *l = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    fp_status rc = new_page(l, err);

    if (rc == FILEPROC_OK)
        rc = fp_tx_query(tx, l->sql, l->params, l->count, &rows, err);
    return rc < 0 ? rc : fill_page(l, rows, err);
}

fp_status fpi_list_read(fpi_list *l, fp_database *db, fp_error *err)
{
    fp_status rc = fp_database_transact(db, FILEPROC_TX_READONLY, read_body, l, err);

    if (rc < 0)
        free_page(fpi_steal(&l->page));
    return rc;
}
