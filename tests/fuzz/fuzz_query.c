/* Owns: query strings and numbers. Input: a name, a line end, the query. */
#include "fuzz.h"
#include "query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *query = fuzz_split(text);
    char large[4096], small[4];
    fpd_query_result result = fpd_query_find(query, text, large, sizeof(large));
    int64_t number;

    if (result == FPD_QUERY_FOUND) {
        MUST(memchr(large, '\0', sizeof(large)));
        for (const char *p = large; *p; p++)
            MUST((unsigned char)*p >= 0x20 && *p != 0x7F);
        if (fpd_query_find(query, text, small, sizeof(small)) == FPD_QUERY_FOUND)
            MUST(strlen(large) < sizeof(small) && strcmp(small, large) == 0);
        if (fpd_number_parse(large, &number) == FPD_NUMBER_OK)
            MUST(number >= 0);
    }
    (void)fpd_number_parse(query, &number);
    free(text);
    return 0;
}
