/* Owns: reading the XML that S3 answers with: elements and their text, piece by piece, within limits.
 * Must not know: which elements there are. */
#include "storage/storage_s3_xml.h"

#include <stdbool.h>
#include <string.h>

#include <expat.h>

#include "core/ascii.h"

#define NAME_SIZE 64u

struct fpi_s3_xml {
    const fp_context *ctx;
    XML_Parser parser;
    fpi_s3_xml_fn fn;
    void *user_data;
    size_t size;  /* of what was fed */
    bool begun;   /* something else than blanks was among it */
    size_t depth; /* elements that are open; their names stand in names */
    char names[FPI_S3_XML_DEPTH][NAME_SIZE];
    size_t
        text_size; /* of the element opened last; what others inside it have interrupted is dropped */
    char text[FPI_S3_XML_TEXT + 1];
    fp_status rc;
    fp_error err;
};

static void stop(fpi_s3_xml *x, fp_status rc)
{
    if (x->rc == FILEPROC_OK)
        x->rc = rc;
    XML_StopParser(x->parser, XML_FALSE);
}

static void on_start(void *user_data, const char *name, const char **attributes)
{
    fpi_s3_xml *x = user_data;

    (void)attributes;
    if (x->depth == FPI_S3_XML_DEPTH || strlen(name) >= NAME_SIZE) {
        stop(x, fp_error_setf(&x->err, FILEPROC_ERR_PROTOCOL, "the XML is none of S3"));
        return;
    }
    memcpy(x->names[x->depth++], name, strlen(name) + 1);
    x->text_size = 0;
}

static void on_text(void *user_data, const char *text, int size)
{
    fpi_s3_xml *x = user_data;

    if ((size_t)size > FPI_S3_XML_TEXT - x->text_size) {
        stop(x, fp_error_setf(&x->err, FILEPROC_ERR_PROTOCOL, "a text in the XML is too long"));
        return;
    }
    memcpy(x->text + x->text_size, text, (size_t)size);
    x->text_size += (size_t)size;
}

static void on_end(void *user_data, const char *name)
{
    fpi_s3_xml *x = user_data;
    const char *parent = x->depth > 1 ? x->names[x->depth - 2] : "";
    fp_status rc;

    if (x->rc < 0) /* expat may call once more after it was stopped */
        return;
    x->text[x->text_size] = '\0';
    rc = x->fn(x->user_data, parent, name, x->text, &x->err);
    x->depth--;
    x->text_size = 0;
    if (rc < 0)
        stop(x, rc);
}

/* Nothing of S3 has one, and entities come with it. */
static void on_doctype(void *user_data, const char *name, const char *system, const char *public,
                       int internal)
{
    fpi_s3_xml *x = user_data;

    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    stop(x, fp_error_setf(&x->err, FILEPROC_ERR_PROTOCOL, "the XML has a document type"));
}

fp_status fpi_s3_xml_new(const fp_context *ctx, fpi_s3_xml_fn fn, void *user_data, fpi_s3_xml **out,
                         fp_error *err)
{
    fpi_s3_xml *x = fpi_calloc(&ctx->a, 1, sizeof(*x));

    if (!x)
        return fpi_no_memory(err);
    x->ctx = ctx;
    x->fn = fn;
    x->user_data = user_data;
    x->parser = XML_ParserCreate("UTF-8");
    if (!x->parser) {
        fpi_free(&ctx->a, x);
        return fpi_no_memory(err);
    }
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, on_start, on_end);
    XML_SetCharacterDataHandler(x->parser, on_text);
    XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
    *out = x;
    return FILEPROC_OK;
}

void fpi_s3_xml_free(fpi_s3_xml *x)
{
    if (!x)
        return;
    XML_ParserFree(x->parser);
    fpi_free(&x->ctx->a, x);
}

static fp_status parse(fpi_s3_xml *x, const char *data, size_t size, bool last, fp_error *err)
{
    enum XML_Error error;

    if (x->rc == FILEPROC_OK && XML_Parse(x->parser, data, (int)size, last) == XML_STATUS_OK)
        return FILEPROC_OK;
    if (x->rc == FILEPROC_OK) {
        error = XML_GetErrorCode(x->parser);
        if (error == XML_ERROR_NO_MEMORY) {
            x->rc = fpi_no_memory(&x->err);
        } else {
            x->rc = fp_error_setf(&x->err, FILEPROC_ERR_PROTOCOL, "the answer is no whole XML: %s",
                                  XML_ErrorString(error));
            /* Cut on its way, more likely than made so. */
            x->err.flags |= last ? FILEPROC_ERROR_RETRYABLE : 0;
        }
    }
    if (err)
        *err = x->err;
    return x->rc;
}

fp_status fpi_s3_xml_feed(fpi_s3_xml *x, const void *data, size_t size, fp_error *err)
{
    const char *at = data;

    if (size > FPI_S3_XML_SIZE - x->size)
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the XML is too large");
    x->size += size;
    /* While it works on a long request, S3 sends blanks; an XML declaration may not stand behind them. */
    while (!x->begun && size && fpi_ascii_is_space(*at)) {
        at++;
        size--;
    }
    x->begun = x->begun || size > 0;
    return parse(x, at, size, false, err);
}

fp_status fpi_s3_xml_finish(fpi_s3_xml *x, fp_error *err)
{
    return parse(x, "", 0, true, err);
}
