/* Owns: one request of the s3 driver: its address, its headers and signature, what a refusal means.
 * Must not know: what requests are for. Never repeats one: that is the retry decorator's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ascii.h"
#include "core/digest.h"
#include "core/error_private.h"
#include "core/hex.h"
#include "storage/storage_s3_private.h"
#include "storage/storage_s3_xml.h"

#define HEADERS_MAX 8
/* Some say nothing while they put the parts of a large object together. */
#define PATIENT_TIMEOUT_MS 60000u
/* S3 refuses what is signed more than 15 minutes off. */
#define SKEW_MIN_MS (5 * 60 * 1000)

typedef struct headers {
    const fp_context *ctx;
    char *lines[HEADERS_MAX];
    size_t count;
} headers;

static void headers_dispose(headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        fpi_free(&h->ctx->a, h->lines[i]);
    h->count = 0;
}
FPI_DEFINE_DISPOSE(headers, headers_dispose)

/* Keeps them in the order of their names, as a signature needs them. Takes the line. */
static fp_status add_header(headers *h, char *line, fp_error *err)
{
    size_t place = h->count;

    if (!line)
        return fpi_no_memory(err);
    if (h->count == HEADERS_MAX) {
        fpi_free(&h->ctx->a, line);
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "too many headers");
    }
    while (place > 0 && strcmp(h->lines[place - 1], line) > 0) {
        h->lines[place] = h->lines[place - 1];
        place--;
    }
    h->lines[place] = line;
    h->count++;
    return FILEPROC_OK;
}

fp_status fpi_s3_name(const fpi_s3_store *s, const char *middle, const char *tail, char **out,
                      fp_error *err)
{
    if (strlen(s->prefix) + strlen(middle) + strlen(tail) > FPI_S3_KEY_MAX)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_KEY_INVALID,
                                "the key and the store's prefix are longer than 1024 bytes");
    *out = fpi_printf(&s->ctx->a, "%s%s%s", s->prefix, middle, tail);
    return *out ? FILEPROC_OK : fpi_no_memory(err);
}

fp_status fpi_s3_path(const fpi_s3_store *s, const char *key, fp_buf *out, fp_error *err)
{
    fp_status rc = fpi_buf_text(s->ctx, out, "/", err);

    if (rc == FILEPROC_OK && !s->virtual_style)
        rc = fpi_buf_printf(s->ctx, out, err, "%s%s", s->bucket, key ? "/" : "");
    if (rc == FILEPROC_OK && key)
        rc = fpi_s3_encode(s->ctx, out, key, true, err);
    return rc;
}

fp_status fpi_s3_url(const fpi_s3_store *s, const char *path, fp_buf *out, fp_error *err)
{
    return fpi_buf_printf(s->ctx, out, err, "%s://%s%s", s->secure ? "https" : "http", s->host,
                          path);
}

static void hash_body(const fpi_s3_call *call, char hex[2 * FPI_DIGEST_MAX + 1])
{
    unsigned char value[FPI_DIGEST_MAX];
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    for (size_t i = 0; i < call->piece_count; i++)
        fpi_digest_update(&d, call->pieces[i].data, call->pieces[i].size);
    fpi_digest_value(&d, value);
    fpi_hex(value, sizeof(value), hex);
}

static fp_status sign(fpi_s3_store *s, fpi_s3_call *call, const char *path, headers *h,
                      fp_error *err)
{
    const fpi_s3_signer signer = { s->access_key, s->secret_key, s->region };
    const fp_allocator *a = &s->ctx->a;
    FPI_DISPOSE(fp_buf) value = FILEPROC_BUF_INIT;
    char hash[2 * FPI_DIGEST_MAX + 1], time[FPI_S3_TIME_SIZE];
    fpi_s3_message m = { .method = call->method, .path = path, .payload_hash = hash, .time = time };
    fp_status rc;

    call->signed_ms = fpi_now_ms(s->ctx) + atomic_load(&s->skew_ms);
    fpi_s3_time(call->signed_ms, time);
    if (call->body_hash)
        snprintf(hash, sizeof(hash), "%s", call->body_hash);
    else
        hash_body(call, hash);
    rc = add_header(h, fpi_printf(a, "host:%s", s->host), err);
    if (rc == FILEPROC_OK)
        rc = add_header(h, fpi_printf(a, "x-amz-content-sha256:%s", hash), err);
    if (rc == FILEPROC_OK)
        rc = add_header(h, fpi_printf(a, "x-amz-date:%s", time), err);
    for (size_t i = 0; rc == FILEPROC_OK && i < call->extra_count; i++)
        rc = add_header(h, fpi_strdup(a, call->extra[i]), err);
    m.query = call->query ? call->query : "";
    m.headers = (const char *const *)h->lines;
    m.header_count = h->count;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_sign(s->ctx, &signer, &m, &value, err);
    if (rc == FILEPROC_OK)
        rc = add_header(h, fpi_printf(a, "authorization:%s", value.data), err);
    return rc;
}

static bool is(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && fpi_ascii_same(name, wanted, size);
}

static void copy_text(char *out, size_t out_size, const char *text, size_t size)
{
    if (size >= out_size) /* not one of ours, or none that can be used */
        size = 0;
    memcpy(out, text, size);
    out[size] = '\0';
}

static void on_header(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size)
{
    fpi_s3_call *call = user_data;

    if (is(name, name_size, "etag"))
        copy_text(call->etag, sizeof(call->etag), value, value_size);
    else if (is(name, name_size, "last-modified"))
        (void)fpi_http_date(value, value_size, &call->modified_ms);
    else if (is(name, name_size, FPI_S3_META))
        copy_text(call->assembly, sizeof(call->assembly), value, value_size);
}

static fp_status on_body(void *user_data, int status, const void *data, size_t size, fp_error *err)
{
    fpi_s3_call *call = user_data;

    return call->on_body ? call->on_body(call->user_data, status, data, size, err) : FILEPROC_OK;
}

static fp_status pull(void *user_data, void *buf, size_t cap, size_t *got, fp_error *err)
{
    fpi_s3_call *call = user_data;

    return call->pull(call->user_data, buf, cap, got, err);
}

static void rewind_body(void *user_data)
{
    fpi_s3_call *call = user_data;

    call->rewind(call->user_data);
}

static fp_status on_error_element(void *user_data, const char *parent, const char *name,
                                  const char *text, fp_error *err)
{
    fpi_s3_call *call = user_data;
    size_t n = 0;

    (void)err;
    if (strcmp(parent, "Error") != 0 || strcmp(name, "Code") != 0)
        return FILEPROC_OK;
    for (; *text && n + 1 < sizeof(call->code); text++)
        if (fpi_ascii_is_letter(*text) || fpi_ascii_is_digit(*text))
            call->code[n++] = *text;
    call->code[n] = '\0';
    return FILEPROC_OK;
}

/* Only the code is taken: S3 quotes the access key and what was signed in its messages. */
static void read_code(fpi_s3_store *s, fpi_s3_call *call, const fp_buf *body)
{
    FPI_CLEANUP(fpi_s3_xml) xml = NULL;

    if (body->size && fpi_s3_xml_new(s->ctx, on_error_element, call, &xml, NULL) == FILEPROC_OK)
        (void)fpi_s3_xml_feed(xml, body->data, body->size, NULL);
}

static const struct {
    int status;       /* 0 = any */
    const char *code; /* NULL = any */
    fp_status rc;
    bool retryable;
    const char *text;
} meanings[] = {
    { 0, "NoSuchBucket", FILEPROC_ERR_IO, false, "the bucket does not exist" },
    { 0, "SlowDown", FILEPROC_ERR_BUSY, true, "the server is overloaded" },
    { 0, "RequestTimeout", FILEPROC_ERR_TIMEOUT, true, "the server waited too long" },
    { 0, "BadDigest", FILEPROC_ERR_IO, true, "bytes were damaged on their way" },
    { 0, "InvalidDigest", FILEPROC_ERR_IO, true, "bytes were damaged on their way" },
    { 0, "XAmzContentSHA256Mismatch", FILEPROC_ERR_IO, true, "bytes were damaged on their way" },
    { 0, "IncompleteBody", FILEPROC_ERR_IO, true, "not all bytes have arrived" },
    { 0, "QuotaExceeded", FILEPROC_ERR_QUOTA, false, "the quota is used up" },
    { 0, "XMinioStorageFull", FILEPROC_ERR_QUOTA, false, "the server is full" },
    { 0, "EntityTooLarge", FILEPROC_ERR_QUOTA, false, "the object is too large for the server" },
    { 0, "InvalidPart", FILEPROC_ERR_CORRUPT, false, "a part is gone or has other bytes" },
    { 0, "NoSuchUpload", FILEPROC_ERR_NOTFOUND, false, "there is no such multipart upload" },
    { 0, "InternalError", FILEPROC_ERR_BUSY, true, "the server failed" },
    { 408, NULL, FILEPROC_ERR_TIMEOUT, true, "the server waited too long" },
    { 429, NULL, FILEPROC_ERR_BUSY, true, "the server is overloaded" },
    { 401, NULL, FILEPROC_ERR_AUTH, false, "the keys are refused" },
    { 403, NULL, FILEPROC_ERR_AUTH, false, "the keys are refused, or don't allow this" },
    { 404, NULL, FILEPROC_ERR_NOTFOUND, false, "not there" },
    { 409, NULL, FILEPROC_ERR_BUSY, true, "another request was in the way" },
    { 412, NULL, FILEPROC_ERR_EXISTS, false, "an object has this key already" },
    { 501, NULL, FILEPROC_ERR_NOTSUP, false, "the server can't do this" },
    { 507, NULL, FILEPROC_ERR_QUOTA, false, "the server is full" },
    { 500, NULL, FILEPROC_ERR_BUSY, true, "the server failed" },
    { 502, NULL, FILEPROC_ERR_BUSY, true, "the server is away" },
    { 503, NULL, FILEPROC_ERR_BUSY, true, "the server is overloaded or away" },
    { 504, NULL, FILEPROC_ERR_BUSY, true, "the server is away" },
};

fp_status fpi_s3_refused(const char *what, int status, const char *code, fp_error *err)
{
    size_t i = 0, count = sizeof(meanings) / sizeof(*meanings);

    while (i < count && ((meanings[i].status && meanings[i].status != status) ||
                         (meanings[i].code && strcmp(meanings[i].code, code) != 0)))
        i++;
    if (i == count) {
        fp_status rc = status >= 300 && status < 400 ? FILEPROC_ERR_PROTOCOL : FILEPROC_ERR_IO;

        return fpi_error_causef(err, rc, "http", status, "%s: the server answers %d %s", what,
                                status, code);
    }
    if (meanings[i].rc == FILEPROC_ERR_QUOTA)
        return fp_error_reasonf(err, meanings[i].rc, FILEPROC_REASON_STORAGE_FULL, "%s: %s (%s)",
                                what, meanings[i].text, *code ? code : "no code");
    fpi_error_causef(err, meanings[i].rc, "http", status, "%s: %s (%d %s)", what, meanings[i].text,
                     status, code);
    if (err && meanings[i].retryable)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return meanings[i].rc;
}

/* A 403 may mean that the clocks differ, and to HEAD it has no text that says so. The next request goes by the server's. */
static bool learn_skew(fpi_s3_store *s, const fpi_s3_call *call, const fpi_http_answer *answer)
{
    if (answer->status != 403 || !answer->date_ms ||
        llabs(answer->date_ms - call->signed_ms) < SKEW_MIN_MS)
        return false;
    atomic_store(&s->skew_ms, answer->date_ms - fpi_now_ms(s->ctx));
    return true;
}

static fp_status judge(fpi_s3_store *s, fpi_s3_call *call, const char *what,
                       const fpi_http_answer *answer, fp_error *err)
{
    fp_status rc;

    call->status = answer->status;
    call->size = answer->content_length;
    if (answer->status >= 200 && answer->status < 300)
        return FILEPROC_OK;
    read_code(s, call, &answer->error_body);
    if (learn_skew(s, call, answer)) {
        fpi_error_causef(err, FILEPROC_ERR_AUTH, "http", answer->status,
                         "%s: this machine's clock and the server's differ", what);
        if (err)
            err->flags |= FILEPROC_ERROR_RETRYABLE;
        return FILEPROC_ERR_AUTH;
    }
    rc = fpi_s3_refused(what, answer->status, call->code, err);
    if (err)
        err->retry_after_ms = answer->retry_after_ms;
    return rc;
}

static fp_status set_up(fpi_s3_flow *f, headers *h, fp_buf *url, fp_error *err)
{
    fpi_s3_store *s = f->s;
    const fpi_s3_call *call = f->call;
    FPI_DISPOSE(fp_buf) path = FILEPROC_BUF_INIT;
    fp_status rc = fpi_s3_path(s, call->key, &path, err);

    snprintf(f->what, sizeof(f->what), "s3 %s %.60s", call->method, s->host);
    if (rc == FILEPROC_OK)
        rc = sign(s, f->call, path.data, h, err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_url(s, path.data, url, err);
    if (rc == FILEPROC_OK && call->query)
        rc = fpi_buf_printf(s->ctx, url, err, "?%s", call->query);
    return rc;
}

fp_status fpi_s3_flow_begin(fpi_s3_flow *f, fpi_s3_store *s, fpi_s3_call *call, fp_error *err)
{
    FPI_DISPOSE(fp_buf) url = FILEPROC_BUF_INIT;
    FPI_DISPOSE(headers) h = { .ctx = s->ctx };
    fpi_http_request rq = { .method = call->method,
                            .pieces = call->pieces,
                            .piece_count = call->piece_count,
                            .pull = call->pull ? pull : NULL,
                            .rewind = call->rewind ? rewind_body : NULL,
                            .body_size = call->body_size,
                            .has_body = call->has_body,
                            .stall_timeout_ms = call->patient ? PATIENT_TIMEOUT_MS : 0,
                            .on_header = on_header,
                            .on_body = on_body,
                            .user_data = call };
    fp_status rc;

    *f = (fpi_s3_flow){ .s = s, .call = call };
    rc = set_up(f, &h, &url, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < call->piece_count; i++)
        rq.body_size += call->pieces[i].size;
    rq.url = url.data;
    rq.what = f->what;
    rq.headers = (const char *const *)h.lines;
    rq.header_count = h.count;
    return fpi_http_begin(s->http, &rq, &f->answer, &f->http, err);
}

fp_status fpi_s3_flow_end(fpi_s3_flow *f, fp_error *err)
{
    fp_status rc = fpi_http_end(fpi_steal(&f->http), err);

    f->call->status = f->answer.status;
    if (rc == FILEPROC_OK)
        rc = judge(f->s, f->call, f->what, &f->answer, err);
    fpi_http_answer_dispose(&f->answer);
    return rc;
}

void fpi_s3_flow_drop(fpi_s3_flow *f)
{
    fpi_http_abandon(fpi_steal(&f->http));
    fpi_http_answer_dispose(&f->answer);
}

fp_status fpi_s3_run(fpi_s3_store *s, fpi_s3_call *call, fp_error *err)
{
    fpi_s3_flow f;
    fp_status rc = fpi_s3_flow_begin(&f, s, call, err);

    if (rc == FILEPROC_OK)
        return fpi_s3_flow_end(&f, err);
    fpi_http_answer_dispose(&f.answer);
    return rc;
}

fp_status fpi_s3_not_there(const fpi_s3_call *call, fp_status rc, fp_error *err)
{
    return rc == FILEPROC_ERR_NOTFOUND && call->status == 404 ? fpi_object_not_found(err) : rc;
}
