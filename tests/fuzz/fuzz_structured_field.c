/* Owns: structured fields, as items and as dictionaries. */
#include "fuzz.h"
#include "structured_field.h"

/* What was read stands in the header. */
static void check(const fpd_field *f, const char *text, size_t size)
{
    MUST(f->text >= text && f->size <= (size_t)(text + size - f->text));
    if (f->type == FPD_FIELD_INTEGER || f->type == FPD_FIELD_DATE)
        MUST(f->number >= -INT64_C(999999999999999) && f->number <= INT64_C(999999999999999));
    if (f->type == FPD_FIELD_BOOLEAN)
        MUST(f->number == 0 || f->number == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *at = text;
    fpd_field_member member;
    fpd_field_result result;
    fpd_field item;
    int64_t number;
    bool value;

    size = strlen(text);
    if (fpd_field_item(text, &item))
        check(&item, text, size);
    MUST(!fpd_field_integer(text, &number) || item.type == FPD_FIELD_INTEGER);
    MUST(!fpd_field_boolean(text, &value) || item.type == FPD_FIELD_BOOLEAN);
    do {
        const char *before = at;

        result = fpd_field_next(&at, &member);
        MUST(at >= before && at <= text + size);
        MUST(result != FPD_FIELD_MEMBER || at > before);
        if (result == FPD_FIELD_MEMBER)
            check(&member.value, text, size);
    } while (result == FPD_FIELD_MEMBER);
    free(text);
    return 0;
}
