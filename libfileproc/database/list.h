/* Owns: lists, newest first: a SELECT in the making, and the page of records that comes of it.
 * Must not know: which table and conditions there are. */
#ifndef FPI_LIST_H
#define FPI_LIST_H

#include "core/uuid.h"
#include "database/record.h"

/** A page in one block of memory. */
typedef struct fpi_page {
    const fp_allocator *a;
    size_t count;
    const char *next; /* in cursor; NULL at the end */
    char cursor[FPI_UUID_SIZE];
    void *shown[4]; /* room for what the caller sees: FPI_PAGE_SHOW() */
    void *items[];
} fpi_page;

/** What the caller sees of a page, such as fp_job_page; freed with fpi_page_free(). */
#define FPI_PAGE_SHOW(type, page)                                                                  \
    __extension__({                                                                                \
        type *fpi_shown = (void *)(page)->shown;                                                   \
        _Static_assert(sizeof(type) <= sizeof((page)->shown), "there is room");                    \
        *fpi_shown = (type){ .struct_size = sizeof(type),                                          \
                             .count = (page)->count,                                               \
                             .items = (const void *)(page)->items,                                 \
                             .next = (page)->next };                                               \
        fpi_shown;                                                                                 \
    })
void fpi_page_free(void *shown);

/** Its kind is set, the rest is 0 at first. Each combination of conditions has its own text, so each is kept prepared. */
typedef struct fpi_list {
    const fpi_record_kind *kind;
    const fp_context *ctx;
    size_t limit;
    fpi_page *page;
    size_t count; /* of params */
    fp_value params[5];
    size_t size; /* of sql */
    char sql[768];
} fpi_list;

/** What the caller wants: 0 is the usual limit, cursor may be NULL. INVALID when it is none of ours. */
fp_status fpi_list_begin(fpi_list *l, const fp_context *ctx, size_t limit, const char *cursor,
                         fp_error *err);
/** The pieces are all ours and fit. */
void fpi_list_sql(fpi_list *l, const char *fmt, ...) FILEPROC_PRINTF(2, 3);
/** The number that the parameter has in the statement; the text is borrowed. */
size_t fpi_list_text(fpi_list *l, const char *text);
/** The same for what follows LIMIT: one row more than wanted says that there is a next page. */
size_t fpi_list_limit(fpi_list *l);
/** Sets page. */
fp_status fpi_list_read(fpi_list *l, fp_database *db, fp_error *err);

#endif
