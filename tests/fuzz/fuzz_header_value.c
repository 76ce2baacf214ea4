/* Owns: header values with parameters, lists, media types. Input: a name, a line end, the value. */
#include "fuzz.h"
#include "header_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = fuzz_text(data, size), *value = fuzz_split(name);
    char large[4096], small[4];

    if (fpd_value_parameter(value, name, large, sizeof(large))) {
        MUST(memchr(large, '\0', sizeof(large)));
        MUST(fpd_value_parameter(value, name, small, sizeof(small)) ==
             (strlen(large) < sizeof(small)));
    }
    (void)fpd_value_is(value, name);
    (void)fpd_list_has(value, name);
    if (fpd_media_type_valid(value)) {
        MUST(strchr(value, '/'));
        for (const char *p = value; *p; p++)
            MUST(*p > 0x20 && *p < 0x7F && *p != '"' && *p != ';' && *p != ',');
    }
    free(name);
    return 0;
}
