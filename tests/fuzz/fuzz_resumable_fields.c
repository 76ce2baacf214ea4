/* Owns: the header lines of a request for a resumable upload. */
#include <strings.h>

#include "fuzz.h"
#include "resumable.h"

static int no_read(void *self, void *buf, size_t size)
{
    (void)self;
    (void)buf;
    (void)size;
    return -1;
}

static int count_write(void *self, const void *buf, size_t size)
{
    (void)buf;
    *(size_t *)self += size;
    return (int)size;
}

static void no_close(void *self)
{
    (void)self;
}

static void read_lines(fpd_head *head, char *text)
{
    while (*text && head->header_count < FPD_HEADERS_MAX) {
        char *line = text, *colon;

        text = fuzz_split(text);
        colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        head->headers[head->header_count++] = (fpd_header){ line, colon + 1 };
    }
}

static void check(fpd_resumable *r, size_t *sent)
{
    const fpd_digest *digest = NULL;
    fpd_digest place;
    char hex[65];

    MUST(r->version == 0 || (r->version >= 3 && r->version <= 9));
    MUST(r->offset <= UINT64_C(999999999999999) && r->length <= UINT64_C(999999999999999));
    if (fpd_resumable_repr_digest(r, hex))
        MUST(strlen(hex) == 0 || (strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64));
    else
        MUST(*sent > 0);
    if (fpd_resumable_content_digest(r, &place, &digest) && digest)
        MUST(digest->size > 0 && digest->size <= FPD_DIGEST_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    fpd_head head = { .method = "PATCH", .target = "/", .version = "1.1", .remote = "127.0.0.1" };
    size_t sent = 0;
    fpd_wire wire = { no_read, count_write, no_close, &sent, NULL };
    fpd_text scratch = FPD_TEXT_INIT(64 * 1024);
    fpd_resumable r;
    fpd_request rq;

    read_lines(&head, text);
    if (!fpd_request_init(&rq, &head, &wire, &scratch)) {
        fpd_resumable_read(&r, &rq, NULL);
        check(&r, &sent);
    }
    fpd_request_dispose(&rq);
    fpd_text_dispose(&scratch);
    free(text);
    return 0;
}
