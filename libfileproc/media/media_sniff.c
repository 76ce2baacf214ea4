/* Owns: what libmagic says of the first bytes of an input, and the errors that follow when it is not what an operation reads.
 * Must not know: how anything is decoded. */
#include "media/media_sniff.h"

#include <string.h>

#include "media/media_error.h"
#include "media/media_operation.h"

/* Enough for tar (257), ISO images (32 KiB) and the parts at the front of office documents. */
#define SNIFF_BYTES (1024u * 1024u)
#define DESCRIPTION_MAX 120u
/* Nothing that runs other programs or walks through structures that no operation of ours reads. */
#define SNIFF_FLAGS (MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_ELF)

fp_status fpi_media_sniff_open(magic_t *magic, fp_error *err)
{
    magic_t m = magic_open(SNIFF_FLAGS);

    if (!m)
        return fpi_no_memory(err);
    if (magic_load(m, NULL) != 0) {
        magic_close(m);
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't load libmagic's database");
    }
    *magic = m;
    return FILEPROC_OK;
}

static const char *ask(magic_t magic, int flags, const void *data, size_t size)
{
    magic_setflags(magic, SNIFF_FLAGS | flags);
    return magic_buffer(magic, data, size);
}

typedef struct sniffed {
    char type[FPI_MEDIA_TYPE_SIZE];
    char description[DESCRIPTION_MAX];
    char charset[32]; /* "" unless it is text */
} sniffed;

/* The first clause says what it is; what follows can be words out of the file, such as a photo's comment. */
static void first_clause(const char *text, char out[DESCRIPTION_MAX])
{
    fpi_media_clean(text, strcspn(text, ",\n"), out, DESCRIPTION_MAX);
}

static void sniff_bytes(magic_t magic, const void *data, size_t size, sniffed *s)
{
    const char *text = ask(magic, MAGIC_MIME_TYPE, data, size);

    if (!text || !fpi_media_type_normalise(text, s->type))
        fpi_media_type_normalise("application/octet-stream", s->type);
    text = ask(magic, 0, data, size);
    first_clause(text ? text : "data", s->description);
    s->charset[0] = '\0';
    text = strncmp(s->type, "text/", 5) == 0 ? ask(magic, MAGIC_MIME_ENCODING, data, size) : NULL;
    if (text && strcmp(text, "binary") != 0)
        fpi_media_clean(text, strlen(text), s->charset, sizeof(s->charset));
}

static fp_status sniff(fpi_media_run *run, sniffed *s, fp_error *err)
{
    const fp_allocator *a = &run->helper->ctx->a;
    size_t size = run->input_size < SNIFF_BYTES ? (size_t)run->input_size : SNIFF_BYTES;
    void *data = fpi_alloc(a, size);
    fp_status rc;

    if (!data)
        return fpi_media_no_memory(err);
    rc = fpi_media_input_read(run, 0, data, size, &size, err);
    if (rc == FILEPROC_OK)
        sniff_bytes(run->helper->magic, data, size, s);
    fpi_free(a, data);
    return rc;
}

fp_status fpi_media_sniff(fpi_media_run *run, fp_error *err)
{
    sniffed s;
    fp_status rc;

    if (run->detected_type[0])
        return FILEPROC_OK;
    rc = sniff(run, &s, err);
    if (rc == FILEPROC_OK)
        memcpy(run->detected_type, s.type, sizeof(s.type));
    return rc;
}

fp_status fpi_media_unreadable(fpi_media_run *run, const char *readable, fp_error *err)
{
    fp_status rc = fpi_media_sniff(run, err);

    if (rc < 0)
        return rc;
    if (run->input_size == 0)
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "the file is empty");
    if (fpi_media_list_match(readable, run->detected_type))
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED,
                              "the %s file is damaged at its beginning", run->detected_type);
    if (run->declared_type[0] && strcmp(run->declared_type, run->detected_type) != 0)
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_TYPE_MISMATCH,
                              "declared %.80s, but the content is %.80s", run->declared_type,
                              run->detected_type);
    return fpi_media_fail(err, FILEPROC_REASON_MEDIA_UNSUPPORTED, "%s can't read %.80s",
                          run->steps[run->current].operation, run->detected_type);
}

fp_status fpi_media_file_type(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                              fp_error *err)
{
    sniffed s;
    fp_status rc = sniff(run, &s, err);

    (void)step;
    if (rc < 0)
        return rc;
    memcpy(run->detected_type, s.type, sizeof(s.type));
    *result = json_pack("{s:s,s:s}", "mime_type", s.type, "description", s.description);
    if (!*result)
        return fpi_media_no_memory(err);
    return s.charset[0] ? fpi_media_set(*result, "charset", json_string(s.charset), err)
                        : FILEPROC_OK;
}
