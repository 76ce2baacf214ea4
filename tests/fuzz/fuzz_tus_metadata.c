/* Owns: values of Upload-Metadata. */
#include <jansson.h>

#include "fuzz.h"
#include "tus_metadata.h"

/* What goes on as JSON is an object. */
static void check_json(const fpd_text *json)
{
    json_t *parsed;

    if (json->size == 0)
        return;
    parsed = json_loadb(json->data, json->size, JSON_ALLOW_NUL, NULL);
    MUST(json_is_object(parsed));
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    FPD_DISPOSE(fpd_tus_metadata) metadata = FPD_TUS_METADATA_INIT;

    if (fpd_tus_metadata_parse(text, &metadata) == FPD_TUS_METADATA_OK) {
        MUST(!metadata.filename.size || strlen(metadata.filename.data) == metadata.filename.size);
        MUST(!metadata.type.size || strlen(metadata.type.data) == metadata.type.size);
        MUST(!metadata.owner.size || strlen(metadata.owner.data) == metadata.owner.size);
        check_json(&metadata.json);
    }
    free(text);
    return 0;
}
