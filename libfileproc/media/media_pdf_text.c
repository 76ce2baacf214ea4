/* Owns: the operation pdf.text: the words of each page.
 * Must not know: rendering. */
#include <glib.h>
#include <poppler.h>
#include <string.h>

#include "media/media_error.h"
#include "media/media_operation.h"
#include "media/media_output.h"
#include "media/media_pdf.h"

#define EXCERPT_CHARACTERS 1000

/* What is counted and kept while page after page is written. */
typedef struct text_total {
    uint64_t characters;
    uint64_t words;
    GString *excerpt;
    glong excerpt_characters;
} text_total;

static void count_text(text_total *t, const char *text)
{
    bool in_word = false;

    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        bool space = g_unichar_isspace(g_utf8_get_char(at));

        t->characters++;
        if (!space && !in_word)
            t->words++;
        in_word = !space;
    }
}

static void keep_excerpt(text_total *t, const char *text)
{
    glong room = EXCERPT_CHARACTERS - t->excerpt_characters, length;

    if (room <= 0 || !*text)
        return;
    if (t->excerpt->len) {
        g_string_append_c(t->excerpt, '\n');
        room--;
        t->excerpt_characters++;
    }
    length = g_utf8_strlen(text, -1);
    length = length < room ? length : room;
    g_string_append_len(t->excerpt, text, g_utf8_offset_to_pointer(text, length) - text);
    t->excerpt_characters += length;
}

/* Page breaks that poppler adds, and control characters, are not text. Same length or shorter, in place. */
static void tidy(char *text)
{
    char *to = text;

    for (const char *at = text; *at; at++)
        if ((unsigned char)*at >= 0x20 || *at == '\n' || *at == '\t')
            *to++ = *at;
    *to = '\0';
}

/* One element of the array: written as it comes, so that only one page is in memory. */
static bool write_page(fpi_media_output *out, int number, const char *text, bool first)
{
    FPI_CLEANUP(json_t) page = json_pack("{s:i,s:s}", "page", number, "text", text);
    const fp_context *ctx = out->run->helper->ctx;
    char *line = page ? fpi_json_text(ctx, page) : NULL;
    bool ok = line && (first || fpi_media_output_write(out, ",\n", 2)) &&
              fpi_media_output_write(out, line, strlen(line));

    fpi_free(&ctx->a, line);
    return ok;
}

static char *text_of_page(const fpi_media_pdf *pdf, int number)
{
    PopplerPage *page = poppler_document_get_page(pdf->document, number - 1);
    char *raw = page ? poppler_page_get_text(page) : NULL;
    char *text = raw ? g_utf8_make_valid(raw, -1) : NULL;

    g_free(raw);
    if (page)
        g_object_unref(page);
    if (text)
        tidy(text);
    return text;
}

static fp_status write_pages(const fpi_media_pdf *pdf, const fpi_media_pages *pages, size_t total,
                             fpi_media_output *out, text_total *t, fp_error *err)
{
    bool ok = fpi_media_output_write(out, "{\"pages\":[", 10);

    for (size_t i = 0; ok && i < total; i++) {
        int number = fpi_media_pages_at(pages, i);
        char *text = text_of_page(pdf, number);

        count_text(t, text ? text : "");
        keep_excerpt(t, text ? text : "");
        ok = write_page(out, number, text ? text : "", i == 0);
        g_free(text);
    }
    ok = ok && fpi_media_output_write(out, "]}\n", 3);
    if (ok)
        return FILEPROC_OK;
    return out->failed ? fpi_media_output_failure(out, err) : fpi_media_no_memory(err);
}

static fp_status write_text(fpi_media_run *run, const fpi_media_pages *pages, size_t total,
                            text_total *t, fp_error *err)
{
    FPI_DISPOSE(fpi_media_output) out = FPI_MEDIA_OUTPUT_INIT;
    fp_status rc = fpi_media_output_open(&out, run, err);

    if (rc == FILEPROC_OK)
        rc = write_pages(run->pdf, pages, total, &out, t, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_output_done(&out, "application/json", "json",
                                   json_pack("{s:I,s:I}", "pages", (json_int_t)total, "characters",
                                             (json_int_t)t->characters),
                                   err);
    return rc;
}

fp_status fpi_media_pdf_text(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                             fp_error *err)
{
    text_total t = { 0 };
    const fpi_media_pdf *pdf;
    fpi_media_pages pages;
    bool truncated = false;
    size_t total = 0;
    fp_status rc;

    rc = fpi_media_pdf_of(run, &pdf, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_pdf_pages(run, step, "all", &pages, &total, &truncated, err);
    if (rc < 0)
        return rc;
    t.excerpt = g_string_new(NULL);
    rc = write_text(run, &pages, total, &t, err);
    if (rc == FILEPROC_OK)
        *result = json_pack("{s:I,s:I,s:I,s:s,s:b}", "pages", (json_int_t)total, "characters",
                            (json_int_t)t.characters, "words", (json_int_t)t.words, "excerpt",
                            t.excerpt->str, "truncated", (int)truncated);
    g_string_free(t.excerpt, TRUE);
    return rc == FILEPROC_OK && !*result ? fpi_media_no_memory(err) : rc;
}
