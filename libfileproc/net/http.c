/* Owns: HTTP requests over libcurl: handles with their connections, the callbacks of a transfer, what its failure means.
 * Must not know: any service. */
#include "net/http.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "core/ascii.h"
#include "core/error_private.h"
#include "net/curl_once.h"

#define SEND_BUFFER (256L * 1024)
#define RECEIVE_BUFFER (256L * 1024)
#define RETRY_AFTER_MAX_MS 3600000u
#define DATE_SIZE 64u

/* Each handle owns its connections, so a handle that is idle is a connection that is kept. The one used last is taken first: the
 * others can grow old and be closed by the peer. */
struct fpi_http {
    fp_context *ctx;
    fpi_http_options o;
    pthread_mutex_t lock;
    size_t idle_count;
    CURL *idle[];
};

/* What the callbacks of one transfer share. */
typedef struct transfer {
    const fp_context *ctx;
    CURL *easy;
    const fpi_http_request *rq;
    fpi_http_answer *answer;
    size_t piece, piece_at; /* how far the body is sent */
    fp_status rc;           /* of a callback of the user; 0 = none has failed */
    bool enough;
    bool headers_end; /* the blank line behind them has come */
    fp_error err;
} transfer;

fp_status fpi_http_new(fp_context *ctx, const fpi_http_options *o, fpi_http **out, fp_error *err)
{
    fp_status rc = fpi_curl_once(err);
    fpi_http *http;

    if (rc < 0)
        return rc;
    http = fpi_calloc(&ctx->a, 1, sizeof(*http) + o->idle_max * sizeof(*http->idle));
    if (!http)
        return fpi_no_memory(err);
    http->ctx = ctx;
    http->o = *o;
    pthread_mutex_init(&http->lock, NULL);
    *out = http;
    return FILEPROC_OK;
}

void fpi_http_free(fpi_http *http)
{
    if (!http)
        return;
    for (size_t i = 0; i < http->idle_count; i++)
        curl_easy_cleanup(http->idle[i]);
    pthread_mutex_destroy(&http->lock);
    fpi_free(&http->ctx->a, http);
}

void fpi_http_answer_dispose(fpi_http_answer *answer)
{
    fp_buf_dispose(&answer->error_body);
    *answer = (fpi_http_answer){ 0 };
}

static CURL *take_handle(fpi_http *http)
{
    CURL *easy = NULL;

    pthread_mutex_lock(&http->lock);
    if (http->idle_count)
        easy = http->idle[--http->idle_count];
    pthread_mutex_unlock(&http->lock);
    return easy ? easy : curl_easy_init();
}

static void give_handle(fpi_http *http, CURL *easy)
{
    curl_easy_reset(easy); /* of its options only: the connections stay */
    pthread_mutex_lock(&http->lock);
    if (http->idle_count < http->o.idle_max) {
        http->idle[http->idle_count++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&http->lock);
    if (easy)
        curl_easy_cleanup(easy);
}

bool fpi_http_date(const char *text, size_t size, int64_t *ms)
{
    char copy[DATE_SIZE];
    time_t t;

    if (size >= sizeof(copy))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    t = curl_getdate(copy, NULL);
    if (t < 0)
        return false;
    *ms = (int64_t)t * 1000;
    return true;
}

/* Seconds, or a date. */
static uint32_t read_retry_after(const char *text, size_t size, int64_t now_ms)
{
    uint64_t seconds = 0;
    int64_t date, wait;

    if (size == 0 || !fpi_ascii_is_digit(*text)) {
        if (!fpi_http_date(text, size, &date))
            return 0;
        wait = date - now_ms;
        return wait <= 0 ? 0 : wait > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (uint32_t)wait;
    }
    for (size_t i = 0; i < size && fpi_ascii_is_digit(text[i]) && seconds < UINT32_MAX; i++)
        seconds = seconds * 10 + (uint64_t)(text[i] - '0');
    return seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : (uint32_t)(seconds * 1000);
}

static bool is_name(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && fpi_ascii_same(name, wanted, size);
}

static void note_header(transfer *t, const char *name, size_t name_size, const char *value,
                        size_t value_size)
{
    if (is_name(name, name_size, "date"))
        (void)fpi_http_date(value, value_size, &t->answer->date_ms);
    else if (is_name(name, name_size, "retry-after"))
        t->answer->retry_after_ms = read_retry_after(
            value, value_size, t->answer->date_ms ? t->answer->date_ms : fpi_now_ms(t->ctx));
    if (t->rq->on_header)
        t->rq->on_header(t->rq->user_data, name, name_size, value, value_size);
}

static size_t on_header(char *line, size_t one, size_t size, void *user_data)
{
    const char *colon = memchr(line, ':', size), *value;
    transfer *t = user_data;
    size_t value_size;

    (void)one;
    t->headers_end = size <= 2 && (*line == '\r' || *line == '\n');
    if (!colon) /* the status line, or the end */
        return size;
    value = colon + 1;
    value_size = size - (size_t)(value - line);
    while (value_size && fpi_ascii_is_space(*value)) {
        value++;
        value_size--;
    }
    while (value_size && fpi_ascii_is_space(value[value_size - 1]))
        value_size--;
    note_header(t, line, (size_t)(colon - line), value, value_size);
    return size;
}

static fp_status take_body(transfer *t, int status, const char *data, size_t size)
{
    fp_buf *kept = &t->answer->error_body;

    if (status >= 200 && status < 300)
        return t->rq->on_body ? t->rq->on_body(t->rq->user_data, status, data, size, &t->err)
                              : FILEPROC_OK;
    if (size > FPI_HTTP_ERROR_MAX - kept->size)
        size = FPI_HTTP_ERROR_MAX - kept->size;
    return fpi_buf_append(t->ctx, kept, data, size, &t->err);
}

static size_t on_body(char *data, size_t one, size_t size, void *user_data)
{
    transfer *t = user_data;
    long status = 0;
    fp_status rc;

    (void)one;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    rc = take_body(t, (int)status, data, size);
    if (rc == FILEPROC_OK)
        return size;
    if (rc == FPI_HTTP_ENOUGH)
        t->enough = true;
    else
        t->rc = rc;
    return CURL_WRITEFUNC_ERROR;
}

static size_t send_pieces(transfer *t, char *buf, size_t cap)
{
    const fpi_http_request *rq = t->rq;
    size_t done = 0;

    while (done < cap && t->piece < rq->piece_count) {
        const fpi_http_piece *p = &rq->pieces[t->piece];
        size_t n = p->size - t->piece_at < cap - done ? p->size - t->piece_at : cap - done;

        if (n)
            memcpy(buf + done, (const char *)p->data + t->piece_at, n);
        done += n;
        t->piece_at += n;
        if (t->piece_at == p->size) {
            t->piece++;
            t->piece_at = 0;
        }
    }
    return done;
}

static size_t on_send(char *buf, size_t one, size_t cap, void *user_data)
{
    transfer *t = user_data;
    size_t got = 0;

    if (!t->rq->pull)
        return send_pieces(t, buf, one * cap);
    t->rc = t->rq->pull(t->rq->user_data, buf, one * cap, &got, &t->err);
    return t->rc < 0 ? CURL_READFUNC_ABORT : got;
}

/* curl sends a body anew when a kept connection turns out to be dead. What is drawn from a callback can't be drawn again. */
static int on_seek(void *user_data, curl_off_t offset, int origin)
{
    transfer *t = user_data;

    if (t->rq->pull || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->piece = t->piece_at = 0;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *user_data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const transfer *t = user_data;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return t->rq->cancel && atomic_load(t->rq->cancel);
}

static fp_status make_headers(const fpi_http_request *rq, struct curl_slist **out, fp_error *err)
{
    struct curl_slist *list =
        curl_slist_append(NULL, "Expect:"); /* a round trip that nobody needs */

    for (size_t i = 0; list && i < rq->header_count; i++) {
        struct curl_slist *longer = curl_slist_append(list, rq->headers[i]);

        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    *out = list;
    return list ? FILEPROC_OK : fpi_no_memory(err);
}

/* Nothing is taken from the environment or from files in the user's home: proxies, .netrc. */
static CURLcode set_ground(const fpi_http *http, CURL *easy)
{
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    rc |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->o.connect_timeout_ms);
    rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                           (long)(http->o.stall_timeout_ms + 999) / 1000);
    rc |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
    rc |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    return rc;
}

static CURLcode set_method(CURL *easy, const fpi_http_request *rq)
{
    CURLcode rc;

    if (strcmp(rq->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
    if (rq->has_body) {
        rc |= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        rc |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->body_size);
    }
    return rc;
}

static CURLcode set_callbacks(transfer *t)
{
    CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);

    rc |= curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    rc |= curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    rc |= curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    rc |= curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_send);
    rc |= curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    rc |= curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
    rc |= curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    rc |= curl_easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    rc |= curl_easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
    rc |= curl_easy_setopt(t->easy, CURLOPT_NOPROGRESS, t->rq->cancel ? 0L : 1L);
    return rc;
}

static fp_status failed(const char *what, fp_status code, CURLcode curl, uint32_t flags,
                        fp_error *err)
{
    fpi_error_causef(err, code, "curl", (int32_t)curl, "%s: %s", what, curl_easy_strerror(curl));
    if (err)
        err->flags |= flags;
    return code;
}

static fp_status judge_failure(const char *what, CURLcode curl, fp_error *err)
{
    switch (curl) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return failed(what, FILEPROC_ERR_BUSY, curl, FILEPROC_ERROR_RETRYABLE, err);
    case CURLE_OPERATION_TIMEDOUT:
        return failed(what, FILEPROC_ERR_TIMEOUT, curl, FILEPROC_ERROR_RETRYABLE, err);
    case CURLE_ABORTED_BY_CALLBACK:
        return failed(what, FILEPROC_ERR_CANCELLED, curl, 0, err);
    case CURLE_OUT_OF_MEMORY:
        return fpi_no_memory(err);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return failed(what, FILEPROC_ERR_IO, curl, FILEPROC_ERROR_RETRYABLE, err);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return failed(what, FILEPROC_ERR_PROTOCOL, curl, 0, err);
    case CURLE_URL_MALFORMAT:
        return failed(what, FILEPROC_ERR_INVALID, curl, 0, err);
    default:
        return failed(what, FILEPROC_ERR_IO, curl, 0, err);
    }
}

static fp_status finish(transfer *t, CURLcode curl, fp_error *err)
{
    curl_off_t length = -1;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->answer->status = (int)status;
    t->answer->content_length = length;
    if (t->rc < 0) {
        if (err)
            *err = t->err;
        return t->rc;
    }
    if (curl == CURLE_OK &&
        !t->headers_end) /* curl calls it a success when a connection ends within the headers */
        curl = CURLE_RECV_ERROR;
    if (curl == CURLE_OK || (t->enough && curl == CURLE_WRITE_ERROR))
        return FILEPROC_OK;
    /* A server that has refused need not read the body: then sending fails, and the answer is there all the same. */
    if ((curl == CURLE_SEND_ERROR || curl == CURLE_RECV_ERROR) && status >= 300)
        return FILEPROC_OK;
    return judge_failure(t->rq->what, curl, err);
}

fp_status fpi_http_send(fpi_http *http, const fpi_http_request *rq, fpi_http_answer *answer,
                        fp_error *err)
{
    transfer t = { .ctx = http->ctx, .rq = rq, .answer = answer };
    struct curl_slist *headers = NULL;
    CURLcode curl;
    fp_status rc;

    *answer = (fpi_http_answer){ .content_length = -1 };
    rc = make_headers(rq, &headers, err);
    if (rc < 0)
        return rc;
    t.easy = take_handle(http);
    if (!t.easy) {
        curl_slist_free_all(headers);
        return fpi_no_memory(err);
    }
    curl = set_ground(http, t.easy);
    curl |= set_method(t.easy, rq);
    curl |= set_callbacks(&t);
    curl |= curl_easy_setopt(t.easy, CURLOPT_HTTPHEADER, headers);
    curl |= curl_easy_setopt(t.easy, CURLOPT_URL, rq->url);
    if (curl == CURLE_OK) {
        curl = curl_easy_perform(t.easy);
        rc = finish(&t, curl, err);
    } else { /* one of them had no memory: the values or-ed together say nothing more */
        rc = fpi_no_memory(err);
    }
    give_handle(http, t.easy);
    curl_slist_free_all(headers);
    return rc;
}
