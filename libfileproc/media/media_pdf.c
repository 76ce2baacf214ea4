/* Owns: opening a PDF, and the operation pdf.info.
 * Must not know: text extraction, rendering. */
#include "media/media_pdf.h"

#include <assert.h>
#include <fcntl.h>
#include <poppler.h>
#include <string.h>

#include "core/timestamp.h"
#include "media/media_error.h"
#include "media/media_operation.h"
#include "media/media_param.h"
#include "media/media_sniff.h"

#define TEXT_MAX 500u
#define SIZES_MAX 10
#define FORM_PAGES_MAX 50
#define PAGES_TEXT_MAX 1000u
#define PDF_TYPES "application/pdf,application/x-pdf"

static inline void fpi_cleanup_GError(GError **error)
{
    if (*error)
        g_error_free(*error);
}

void fpi_media_pdf_free(fpi_media_pdf *pdf)
{
    if (!pdf)
        return;
    if (pdf->document)
        g_object_unref(pdf->document);
    fpi_free(&fpi_default_allocator, pdf);
}
FPI_DEFINE_CLEANUP(fpi_media_pdf, fpi_media_pdf_free)

static fp_status explain(fpi_media_run *run, const GError *error, fp_error *err)
{
    fp_status rc;

    if (error && g_error_matches(error, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED))
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_ENCRYPTED,
                              "the PDF is encrypted: it opens only with its password");
    rc = fpi_media_sniff(run, err);
    if (rc < 0)
        return rc;
    if (run->input_size == 0 || !fpi_media_list_match(PDF_TYPES, run->detected_type))
        return fpi_media_unreadable(run, PDF_TYPES, err);
    return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "the PDF is damaged: %.120s",
                          error ? error->message : "it has no pages");
}

/* poppler repairs what has lost its tables, and takes nearly anything for a damaged PDF; the marker has to be near the front, as readers
 * have always asked (ISO 32000-1, annex H). */
static fp_status has_marker(const fpi_media_run *run, bool *found, fp_error *err)
{
    char head[1024 + 5];
    size_t size;
    fp_status rc = fpi_media_input_read(run, 0, head, sizeof(head), &size, err);

    *found = rc == FILEPROC_OK && memmem(head, size, "%PDF-", 5) != NULL;
    return rc;
}

static fp_status open_document(fpi_media_run *run, fpi_media_pdf *pdf, fp_error *err)
{
    __attribute__((cleanup(fpi_cleanup_GError))) GError *error = NULL;
    bool found;
    int fd;
    fp_status rc = has_marker(run, &found, err);

    if (rc < 0)
        return rc;
    if (!found)
        return fpi_media_unreadable(run, PDF_TYPES, err);
    fd = fcntl(run->input_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't open the input");
    pdf->document = poppler_document_new_from_fd(fd, NULL, &error); /* takes fd */
    if (!pdf->document)
        return explain(run, error, err);
    pdf->page_count = poppler_document_get_n_pages(pdf->document);
    return pdf->page_count > 0 ? FILEPROC_OK : explain(run, NULL, err);
}

fp_status fpi_media_pdf_of(fpi_media_run *run, const fpi_media_pdf **out, fp_error *err)
{
    FPI_CLEANUP(fpi_media_pdf) pdf = NULL;
    fp_status rc;

    if (!run->pdf) {
        pdf = fpi_calloc(&fpi_default_allocator, 1, sizeof(*pdf));
        if (!pdf)
            return fpi_media_no_memory(err);
        rc = open_document(run, pdf, err);
        if (rc < 0)
            return rc;
        run->pdf = fpi_steal(&pdf);
    }
    *out = run->pdf;
    return FILEPROC_OK;
}

fp_status fpi_media_pdf_pages(fpi_media_run *run, const fpi_media_step *step, const char *standard,
                              fpi_media_pages *pages, size_t *total, bool *truncated, fp_error *err)
{
    const char *text = standard;
    fp_status rc = fpi_media_param_text(step->params, "pages", PAGES_TEXT_MAX, &text, err);

    if (rc < 0)
        return rc;
    if (!fpi_media_pages_parse(text, run->pdf->page_count, pages))
        return fpi_media_fail(
            err, FILEPROC_REASON_PARAMETER_INVALID,
            "parameter pages names no page of this document, which has %d; it reads like 1-3,5",
            run->pdf->page_count);
    *total = fpi_media_pages_total(pages);
    *truncated = *total > run->limits.max_pages;
    if (*truncated)
        *total = (size_t)run->limits.max_pages;
    return FILEPROC_OK;
}

/* Takes the text, which GLib allocated. */
static fp_status set_text(json_t *facts, const char *key, gchar *text, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (text && *text)
        rc = fpi_media_set(facts, key, fpi_media_json_text(text, TEXT_MAX), err);
    g_free(text);
    return rc;
}

static fp_status set_texts(json_t *facts, PopplerDocument *d, fp_error *err)
{
    fp_status rc = set_text(facts, "title", poppler_document_get_title(d), err);

    if (rc == FILEPROC_OK)
        rc = set_text(facts, "author", poppler_document_get_author(d), err);
    if (rc == FILEPROC_OK)
        rc = set_text(facts, "subject", poppler_document_get_subject(d), err);
    if (rc == FILEPROC_OK)
        rc = set_text(facts, "keywords", poppler_document_get_keywords(d), err);
    if (rc == FILEPROC_OK)
        rc = set_text(facts, "creator", poppler_document_get_creator(d), err);
    return rc < 0 ? rc : set_text(facts, "producer", poppler_document_get_producer(d), err);
}

/* Takes the time. */
static fp_status set_time(json_t *facts, const char *key, GDateTime *time, fp_error *err)
{
    char text[FPI_TIMESTAMP_SIZE];

    if (!time)
        return FILEPROC_OK;
    fpi_timestamp_format(g_date_time_to_unix(time) * 1000, text);
    g_date_time_unref(time);
    return fpi_media_set(facts, key, json_string(text), err);
}

/* Points as written, turned as shown. */
static fp_status set_sizes(json_t *facts, const fpi_media_pdf *pdf, fp_error *err)
{
    int count = pdf->page_count < SIZES_MAX ? pdf->page_count : SIZES_MAX;
    json_t *sizes = json_array();
    fp_status rc = fpi_media_set(facts, "page_sizes", sizes, err);

    for (int i = 0; rc == FILEPROC_OK && i < count; i++) {
        PopplerPage *page = poppler_document_get_page(pdf->document, i);
        double width = 0, height = 0;

        if (!page)
            continue;
        poppler_page_get_size(page, &width, &height);
        g_object_unref(page);
        if (json_array_append_new(sizes, json_pack("{s:i,s:f,s:f}", "page", i + 1, "width_points",
                                                   width, "height_points", height)) != 0)
            rc = fpi_media_no_memory(err);
    }
    return rc;
}

static bool has_forms(const fpi_media_pdf *pdf)
{
    bool found = false;

    for (int i = 0; !found && i < pdf->page_count && i < FORM_PAGES_MAX; i++) {
        PopplerPage *page = poppler_document_get_page(pdf->document, i);
        GList *fields = page ? poppler_page_get_form_field_mapping(page) : NULL;

        found = fields != NULL;
        poppler_page_free_form_field_mapping(fields);
        if (page)
            g_object_unref(page);
    }
    return found;
}

static json_t *permissions(PopplerDocument *d)
{
    PopplerPermissions p = poppler_document_get_permissions(d);

    return json_pack("{s:b,s:b,s:b,s:b,s:b}", "print", (p & POPPLER_PERMISSIONS_OK_TO_PRINT) != 0,
                     "modify", (p & POPPLER_PERMISSIONS_OK_TO_MODIFY) != 0, "copy",
                     (p & POPPLER_PERMISSIONS_OK_TO_COPY) != 0, "annotate",
                     (p & POPPLER_PERMISSIONS_OK_TO_ADD_NOTES) != 0, "fill_forms",
                     (p & POPPLER_PERMISSIONS_OK_TO_FILL_FORM) != 0);
}

static json_t *describe(const fpi_media_pdf *pdf, bool encrypted)
{
    PopplerDocument *d = pdf->document;
    guint major = 0, minor = 0;

    poppler_document_get_pdf_version(d, &major, &minor);
    return json_pack("{s:i,s:o,s:b,s:b,s:b,s:b,s:o}", "pages", pdf->page_count, "version",
                     json_sprintf("%u.%u", major, minor), "encrypted", (int)encrypted, "linearized",
                     poppler_document_is_linearized(d), "has_forms", (int)has_forms(pdf),
                     "has_attachments", poppler_document_has_attachments(d), "permissions",
                     permissions(d));
}

fp_status fpi_media_pdf_info(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                             fp_error *err)
{
    FPI_CLEANUP(json_t) facts = NULL;
    const fpi_media_pdf *pdf = NULL;
    bool encrypted = false;
    fp_status rc;

    (void)step;
    rc = fpi_media_pdf_of(run, &pdf, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_pdf_is_encrypted(run, &encrypted, err);
    if (rc < 0)
        return rc;
    assert(pdf);
    facts = describe(pdf, encrypted);
    if (!facts)
        return fpi_media_no_memory(err);
    rc = set_texts(facts, pdf->document, err);
    if (rc == FILEPROC_OK)
        rc = set_time(facts, "created_at", poppler_document_get_creation_date_time(pdf->document),
                      err);
    if (rc == FILEPROC_OK)
        rc = set_time(facts, "modified_at",
                      poppler_document_get_modification_date_time(pdf->document), err);
    if (rc == FILEPROC_OK)
        rc = set_sizes(facts, pdf, err);
    if (rc == FILEPROC_OK)
        *result = fpi_steal(&facts);
    return rc;
}
