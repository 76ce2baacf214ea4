/* Owns: finding out from a PDF's trailers whether it is encrypted (ISO 32000-1, 7.5.5 and 7.5.8).
 * Must not know: anything else of a PDF. */
#include "media/media_pdf.h"

#include <stdlib.h>
#include <string.h>

#include "media/media_error.h"

#define WINDOW (64u * 1024u)

static bool is_delimiter(char c)
{
    return c == '\0' || strchr(" \t\r\n\f/<>[](){}%", c) != NULL;
}

/* The key of a dictionary that is never compressed, up to where it ends. */
static bool names_encrypt(const char *text, size_t size)
{
    const char *end = memmem(text, size, "stream", 6);
    const char *stop = end ? end : text + size, *at = text;

    while ((at = memmem(at, (size_t)(stop - at), "/Encrypt", 8)) != NULL) {
        at += 8;
        if (at >= stop || is_delimiter(*at))
            return true;
    }
    return false;
}

/* The last one in the text. */
static const char *find_last(const char *text, size_t size, const char *word)
{
    const char *found = NULL, *at = text;

    while ((at = memmem(at, size - (size_t)(at - text), word, strlen(word))) != NULL)
        found = at++;
    return found;
}

/* The file's end holds the trailer, or says where the cross-reference stream is that stands for it. */
static fp_status look(const fpi_media_run *run, char *window, bool *encrypted, fp_error *err)
{
    uint64_t start = run->input_size > WINDOW ? run->input_size - WINDOW : 0;
    const char *trailer, *offset;
    size_t size;
    fp_status rc = fpi_media_input_read(run, start, window, WINDOW, &size, err);

    if (rc < 0)
        return rc;
    window[size] = '\0';
    trailer = find_last(window, size, "trailer");
    if (trailer && names_encrypt(trailer, size - (size_t)(trailer - window))) {
        *encrypted = true;
        return FILEPROC_OK;
    }
    offset = find_last(window, size, "startxref");
    if (!offset)
        return FILEPROC_OK;
    rc = fpi_media_input_read(run, strtoull(offset + 9, NULL, 10), window, WINDOW, &size, err);
    if (rc == FILEPROC_OK)
        *encrypted = names_encrypt(window, size);
    return rc;
}

fp_status fpi_media_pdf_is_encrypted(const fpi_media_run *run, bool *encrypted, fp_error *err)
{
    char *window = fpi_alloc(&fpi_default_allocator, WINDOW + 1);
    fp_status rc;

    *encrypted = false;
    if (!window)
        return fpi_media_no_memory(err);
    rc = look(run, window, encrypted, err);
    fpi_free(&fpi_default_allocator, window);
    return rc;
}
