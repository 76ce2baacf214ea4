/* Owns: records that are made of rows: each in one block of memory, what the caller sees before its texts.
 * Must not know: what they are records of, and which rows there are. */
#include "database/record.h"

#include <string.h>

#define COLUMNS (sizeof(((fpi_record_kind *)0)->texts) / sizeof(size_t))

typedef struct block {
    const fp_allocator *a;
    int64_t record[]; /* as public structs are aligned; its texts stand behind */
} block;

/* NULL stays NULL. */
static void pack(block *b, const fpi_record_kind *kind, const char *const *texts,
                 const size_t *sizes)
{
    char *record = (char *)b->record, *end = record + kind->size;

    for (size_t i = 0; i < COLUMNS; i++) {
        if (!texts[i])
            continue;
        *(const char **)(void *)(record + kind->texts[i]) = memcpy(end, texts[i], sizes[i]);
        end += sizes[i];
    }
}

void *fpi_record_new(const fp_context *ctx, const fpi_record_kind *kind, fp_rows *rows)
{
    const char *texts[COLUMNS];
    size_t sizes[COLUMNS], size = 0;
    block *b;

    for (uint32_t i = 0; i < COLUMNS; i++) {
        texts[i] = kind->texts[i] ? fp_rows_text(rows, i) : NULL;
        sizes[i] = texts[i] ? strlen(texts[i]) + 1 : 0;
        size += sizes[i];
    }
    b = fpi_alloc(&ctx->a, sizeof(*b) + kind->size + size);
    if (!b)
        return NULL;
    b->a = &ctx->a;
    memset(b->record, 0, kind->size);
    *(size_t *)(void *)b->record = kind->size;
    pack(b, kind, texts, sizes);
    kind->read(b->record, rows);
    return b->record;
}

void fpi_record_free(void *record)
{
    block *b;

    if (!record)
        return;
    b = (void *)((char *)record - offsetof(block, record));
    fpi_free(b->a, b);
}
