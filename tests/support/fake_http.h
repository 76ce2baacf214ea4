/* Owns: a request and its connection in memory, for the tests of daemons/common.
 * Must not know: what is tested. */
#ifndef TESTS_FAKE_HTTP_H
#define TESTS_FAKE_HTTP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "request.h"

/* A connection: what the client sends, and what it got. */
typedef struct fake_http {
    fpd_head head;
    fpd_wire wire;
    fpd_text scratch, sent;
    char lines[4096]; /* the header lines, cut into strings */
    const char *body; /* bytes that the client sends; it stops there */
    size_t body_size, body_at;
    size_t writes;      /* calls of write */
    size_t write_limit; /* write fails after so many bytes */
    int at_end;         /* what read answers past the end: 0, or -1 for a broken connection */
    bool closed;
    fpd_request rq;
} fake_http;

static inline int fake_read(void *self, void *buf, size_t size)
{
    fake_http *f = self;
    size_t left = f->body_size - f->body_at, n = size < left ? size : left;

    if (n == 0)
        return f->at_end;
    memcpy(buf, f->body + f->body_at, n);
    f->body_at += n;
    return (int)n;
}

static inline int fake_write(void *self, const void *buf, size_t size)
{
    fake_http *f = self;

    f->writes++;
    if (f->sent.size + size > f->write_limit)
        return -1;
    fpd_text_append(&f->sent, buf, size);
    return (int)size;
}

static inline void fake_close(void *self)
{
    ((fake_http *)self)->closed = true;
}

/* "GET /path?query HTTP/1.1" with lines "Name: value\n...". A Host line is added to HTTP/1.1. */
static inline void fake_init(fake_http *f, const char *method, const char *target,
                             const char *lines)
{
    char *p;

    memset(f, 0, sizeof(*f));
    f->wire = (fpd_wire){ fake_read, fake_write, fake_close, f };
    f->scratch = (fpd_text)FPD_TEXT_INIT(256 * 1024);
    f->sent = (fpd_text)FPD_TEXT_INIT(16 * 1024 * 1024);
    f->write_limit = SIZE_MAX / 2;
    f->head =
        (fpd_head){ .method = method, .target = target, .version = "1.1", .remote = "127.0.0.1" };
    snprintf(f->lines, sizeof(f->lines), "Host: localhost\n%s", lines);
    for (char *line = strtok_r(f->lines, "\n", &p); line; line = strtok_r(NULL, "\n", &p)) {
        char *colon = strchr(line, ':');

        ck_assert_ptr_nonnull(colon);
        *colon = '\0';
        f->head.headers[f->head.header_count++] =
            (fpd_header){ line, colon + 1 + strspn(colon + 1, " ") };
    }
}

static inline void fake_body(fake_http *f, const char *body, size_t size)
{
    f->body = body;
    f->body_size = size;
}

/* Begins the request; it must be well-formed. */
static inline fpd_request *fake_request(fake_http *f)
{
    const fpd_bad_request *bad = fpd_request_init(&f->rq, &f->head, &f->wire, &f->scratch);

    ck_assert_msg(bad == NULL, "%s", bad ? bad->detail : "");
    return &f->rq;
}

static inline int fake_status(const fake_http *f)
{
    int status = 0;

    if (f->sent.data)
        sscanf(f->sent.data, "HTTP/1.1 %d", &status);
    return status;
}

static inline bool fake_sent(const fake_http *f, const char *text)
{
    return f->sent.data && strstr(f->sent.data, text) != NULL;
}

static inline void fake_dispose(fake_http *f)
{
    fpd_request_dispose(&f->rq);
    fpd_text_dispose(&f->scratch);
    fpd_text_dispose(&f->sent);
}

#endif
