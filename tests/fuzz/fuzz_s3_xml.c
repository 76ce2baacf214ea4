/* Owns: XML of an S3 server: however the bytes are cut, the same elements come out. Input: a byte that says into which pieces, the
 * document. */
#include "fuzz.h"
#include "storage/storage_s3_xml.h"

static fp_context *ctx;

static fp_status on_element(void *user_data, const char *parent, const char *name, const char *text,
                            fp_error *err)
{
    uint64_t *sum = user_data;
    const char *const words[] = { parent, name, text };

    (void)err;
    for (size_t i = 0; i < 3; i++)
        for (const char *p = words[i];; p++) {
            *sum = (*sum ^ (unsigned char)*p) * UINT64_C(1099511628211);
            if (!*p)
                break;
        }
    return FILEPROC_OK;
}

static fp_status parse(const uint8_t *data, size_t size, size_t piece, uint64_t *sum)
{
    FPI_CLEANUP(fpi_s3_xml) x = NULL;
    fp_status rc = fpi_s3_xml_new(ctx, on_element, sum, &x, NULL);

    *sum = 0;
    for (size_t at = 0; rc == FILEPROC_OK && at < size; at += piece)
        rc = fpi_s3_xml_feed(x, data + at, size - at < piece ? size - at : piece, NULL);
    return rc < 0 ? rc : fpi_s3_xml_finish(x, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole, pieces;

    if (!size)
        return 0;
    if (!ctx)
        MUST(fp_context_new(NULL, &ctx, NULL) == FILEPROC_OK);
    if (parse(data + 1, size - 1, size, &whole) == FILEPROC_OK)
        MUST(parse(data + 1, size - 1, data[0] ? data[0] : 1, &pieces) == FILEPROC_OK &&
             whole == pieces);
    return 0;
}
