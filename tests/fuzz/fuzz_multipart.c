/* Owns: multipart bodies: however the bytes are cut, the same parts come out. Input: a byte that says into which pieces, a Content-Type,
 * a line end, the body. */
#include "fuzz.h"
#include "multipart.h"

/* What came out: a sum over heads, data and ends in their order, where it does not matter how data was cut. */
typedef struct seen {
    uint64_t sum;
    size_t data_size;
    size_t begun, ended;
    bool open;
} seen;

static void add(seen *s, const void *data, size_t size)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < size; i++)
        s->sum = (s->sum ^ p[i]) * UINT64_C(1099511628211);
}

static bool on_begin(void *user_data, const fpd_multipart_head *head)
{
    seen *s = user_data;

    MUST(!s->open);
    s->open = true;
    s->begun++;
    add(s, head->name, strlen(head->name) + 1);
    add(s, head->content_type, strlen(head->content_type) + 1);
    add(s, head->content_digest, strlen(head->content_digest) + 1);
    return true;
}

static bool on_data(void *user_data, const char *data, size_t size)
{
    seen *s = user_data;

    MUST(s->open && size > 0);
    s->data_size += size;
    add(s, data, size);
    return true;
}

static bool on_end(void *user_data)
{
    seen *s = user_data;

    MUST(s->open);
    s->open = false;
    s->ended++;
    add(s, "end", 3);
    return true;
}

static fpd_multipart_result parse(const char *type, const char *body, size_t size, size_t piece,
                                  seen *s)
{
    const fpd_multipart_events events = { on_begin, on_data, on_end, s };
    fpd_multipart_result result = FPD_MULTIPART_OK;
    fpd_multipart mp;

    *s = (seen){ 0 };
    if (!fpd_multipart_init(&mp, type, &events))
        return FPD_MULTIPART_MALFORMED;
    for (size_t at = 0; at < size && result == FPD_MULTIPART_OK; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        char *copy = fuzz_text((const uint8_t *)body + at, n);

        result = fpd_multipart_feed(&mp, copy, n);
        free(copy);
    }
    MUST(!fpd_multipart_done(&mp) || !s->open);
    MUST(s->data_size <= size);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size ? fuzz_text(data + 1, size - 1) : NULL;
    size_t piece = size && data[0] ? data[0] : 1;
    seen whole, pieces;
    fpd_multipart_result result;
    const char *body;

    if (!text)
        return 0;
    body = fuzz_split(text);
    size = size - 1 - (size_t)(body - text);
    result = parse(text, body, size, size ? size : 1, &whole);
    MUST(parse(text, body, size, piece, &pieces) == result);
    /* What is wrong may be noticed before or after the data in front of it went on. */
    if (result == FPD_MULTIPART_OK)
        MUST(whole.begun == pieces.begun && whole.ended == pieces.ended);
    free(text);
    return 0;
}
