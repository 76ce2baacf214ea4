/* Owns: what the parts of PDF handling share: the open document.
 * Must not know: pictures, the protocol. */
#ifndef FPI_MEDIA_PDF_H
#define FPI_MEDIA_PDF_H

#include "media/media_pages.h"
#include "media/media_run.h"

typedef struct _PopplerDocument PopplerDocument;

/** What a run keeps of its document between steps. */
typedef struct fpi_media_pdf {
    PopplerDocument *document;
    int page_count;
    int reserved;
} fpi_media_pdf;

void fpi_media_pdf_free(fpi_media_pdf *pdf);

/** The document, opened once per run, or why it can't be: media_encrypted, media_damaged, media_type_mismatch. */
fp_status fpi_media_pdf_of(fpi_media_run *run, const fpi_media_pdf **pdf, fp_error *err);

/** The parameter "pages" (`standard` when absent), cut to limits.max_pages: *truncated says whether any were left out for that. */
fp_status fpi_media_pdf_pages(fpi_media_run *run, const fpi_media_step *step, const char *standard,
                              fpi_media_pages *pages, size_t *total, bool *truncated,
                              fp_error *err);

/** Whether the document says that it is encrypted; poppler tells only of those that it can't open. */
fp_status fpi_media_pdf_is_encrypted(const fpi_media_run *run, bool *encrypted, fp_error *err);

#endif
