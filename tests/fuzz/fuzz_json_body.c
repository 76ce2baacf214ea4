/* Owns: JSON request bodies, and the members that are taken from them. */
#include <stdio.h>

#include "fuzz.h"
#include "json_body.h"
#include "scoped.h"

typedef struct connection {
    const uint8_t *data;
    size_t size, at;
} connection;

static int take(void *self, void *buf, size_t size)
{
    connection *c = self;
    size_t left = c->size - c->at, n = size < left ? size : left;

    if (n)
        memcpy(buf, c->data + c->at, n);
    c->at += n;
    return (int)n;
}

static int swallow(void *self, const void *buf, size_t size)
{
    (void)self;
    (void)buf;
    return (int)size;
}

static void end(void *self)
{
    (void)self;
}

static void read_body(fpd_request *rq, bool optional)
{
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, optional);
    const char *text = NULL;
    uint64_t number;

    MUST(!body == (rq->status != 0)); /* what is refused is answered */
    if (!body)
        return;
    MUST(json_is_object(body));
    if (fpd_json_string(rq, body, "filename", true, &text))
        MUST(text && rq->status == 0);
    else
        MUST(rq->status == 422);
    (void)fpd_json_size(rq, body, "size", &number);
    (void)fpd_json_string(rq, body, "user_id", false, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FPD_DISPOSE(fpd_text) scratch = FPD_TEXT_INIT(256 * 1024);
    connection c = { data, size, 0 };
    const fpd_wire wire = { take, swallow, end, &c, NULL };
    char length[24];
    const fpd_head head = { .method = "POST",
                            .target = "/",
                            .version = "1.1",
                            .remote = "127.0.0.1",
                            .header_count = 3,
                            .headers = { { "Host", "localhost" },
                                         { "Content-Type", "application/json" },
                                         { "Content-Length", length } } };
    fpd_request rq;

    snprintf(length, sizeof(length), "%zu", size);
    MUST(!fpd_request_init(&rq, &head, &wire, &scratch));
    read_body(&rq, size % 2);
    fpd_request_dispose(&rq);
    return 0;
}
