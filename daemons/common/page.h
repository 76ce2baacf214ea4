/* Owns: lists: their query parameters, and the shape {"items": [...], "next": cursor or null}.
 * Must not know: what is listed. */
#ifndef FPD_PAGE_H
#define FPD_PAGE_H

#include <fileproc/buf.h>

#include "request.h"

/** A page is never longer. */
#define FPD_PAGE_MAX (64u * 1024u * 1024u)

typedef struct fpd_page_request {
    char text[512];
    const char *cursor; /* in text; NULL = the first page */
    size_t limit;
} fpd_page_request;

/** Reads ?cursor and ?limit; answers 422 and returns false when they are wrong. */
bool fpd_page_request_read(fpd_request *rq, fpd_page_request *page);

/** Reads a filter into `text`; *filter is NULL when it is absent or empty. Answers and returns false when it is wrong. */
bool fpd_page_filter(fpd_request *rq, const char *name, char *text, size_t capacity,
                     const char **filter);

void fpd_page_begin(fpd_text *json);
void fpd_page_end(fpd_text *json, const char *next);

/** Appends one item of a page of the library, such as fp_file_page, as JSON. */
typedef fp_status (*fpd_page_writer)(fp_context *ctx, const void *page, size_t index, fp_buf *json,
                                     fp_error *err);

/** Answers 200 with a page of so many items. */
void fpd_page_answer(fpd_request *rq, fp_context *ctx, const void *page, size_t count,
                     const char *next, fpd_page_writer write);

#endif
