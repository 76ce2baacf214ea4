/* Owns: what is read back from an S3 server: names of records, and the state of an assembly. What is understood is written as it was. */
#include "core/context_private.h"
#include "fuzz.h"
#include "storage/storage_s3_private.h"

static void read_record(const char *text)
{
    char back[FPI_S3_RECORD_SIZE];
    fpi_s3_record r, again;

    if (!fpi_s3_record_parse(text, &r))
        return;
    MUST(r.info.length > 0 && r.info.offset + r.info.length > r.info.offset);
    MUST(r.info.note_size <= sizeof(r.info.note));
    fpi_s3_record_format(&r, back);
    MUST(strlen(back) < sizeof(back) - 1);
    MUST(fpi_s3_record_parse(back, &again) && memcmp(&r, &again, sizeof(r)) == 0);
}

static void read_state(const fp_context *ctx, const char *text, size_t size)
{
    fp_buf back = FILEPROC_BUF_INIT;
    fpi_s3_state state, again;

    if (fpi_s3_state_parse(text, size, &state, NULL) < 0)
        return;
    MUST(state.unit > 0 && state.unit <= FPI_S3_UNIT_MAX);
    MUST(fpi_s3_state_format(ctx, &state, &back, NULL) == FILEPROC_OK);
    MUST(fpi_s3_state_parse(back.data, back.size, &again, NULL) == FILEPROC_OK);
    MUST(again.unit == state.unit && again.copying == state.copying &&
         strcmp(again.key, state.key) == 0 && strcmp(again.upload, state.upload) == 0);
    fp_buf_dispose(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fp_context *ctx;
    char *text = fuzz_text(data, size);

    if (!ctx)
        MUST(fp_context_new(NULL, &ctx, NULL) == FILEPROC_OK);
    read_record(text);
    read_state(ctx, text, size);
    free(text);
    return 0;
}
