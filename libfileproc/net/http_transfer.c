/* Owns: one transfer over libcurl: the options of its handle, the callbacks, what its failure means.
 * Must not know: where handles come from, any service. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/ascii.h"
#include "core/error_private.h"
#include "net/http_private.h"

#define SEND_BUFFER (256L * 1024)
#define RECEIVE_BUFFER (256L * 1024)
#define RETRY_AFTER_MAX_MS 3600000u
#define DATE_SIZE 64u

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

static void note_header(fpi_http_call *t, const char *name, size_t name_size, const char *value,
                        size_t value_size)
{
    if (is_name(name, name_size, "date"))
        (void)fpi_http_date(value, value_size, &t->answer->date_ms);
    else if (is_name(name, name_size, "retry-after"))
        t->answer->retry_after_ms = read_retry_after(
            value, value_size, t->answer->date_ms ? t->answer->date_ms : fpi_now_ms(t->http->ctx));
    if (t->rq.on_header)
        t->rq.on_header(t->rq.user_data, name, name_size, value, value_size);
}

/* Servers that write an answer's headers and body apart, without TCP_NODELAY, keep the body until the headers are acknowledged, and
 * the kernel puts that off for 40 ms. This acknowledges at once what is here. It doesn't last, so it is said each time. */
static void acknowledge(const fpi_http_handle *h)
{
    const int on = 1;

    if (h->socket != CURL_SOCKET_BAD)
        (void)setsockopt(h->socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static int on_socket(void *user_data, curl_socket_t fd, curlsocktype purpose)
{
    fpi_http_handle *h = user_data;

    (void)purpose;
    h->socket = fd;
    return CURL_SOCKOPT_OK;
}

static int on_close(void *user_data, curl_socket_t fd)
{
    fpi_http_handle *h = user_data;

    if (h->socket == fd)
        h->socket = CURL_SOCKET_BAD;
    return close(fd);
}

static size_t on_header(char *line, size_t one, size_t size, void *user_data)
{
    const char *colon = memchr(line, ':', size), *value;
    fpi_http_call *t = user_data;
    size_t value_size;

    (void)one;
    t->headers_end = size <= 2 && (*line == '\r' || *line == '\n');
    if (t->headers_end)
        acknowledge(t->handle);
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

static fp_status take_body(fpi_http_call *t, int status, const char *data, size_t size)
{
    fp_buf *kept = &t->answer->error_body;

    if (status >= 200 && status < 300)
        return t->rq.on_body ? t->rq.on_body(t->rq.user_data, status, data, size, &t->err)
                             : FILEPROC_OK;
    if (size > FPI_HTTP_ERROR_MAX - kept->size)
        size = FPI_HTTP_ERROR_MAX - kept->size;
    return fpi_buf_append(t->http->ctx, kept, data, size, &t->err);
}

static size_t on_body(char *data, size_t one, size_t size, void *user_data)
{
    fpi_http_call *t = user_data;
    long status = 0;
    fp_status rc;

    (void)one;
    curl_easy_getinfo(t->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    rc = take_body(t, (int)status, data, size);
    if (rc == FILEPROC_OK)
        return size;
    if (rc == FPI_HTTP_ENOUGH)
        t->enough = true;
    else
        t->rc = rc;
    return CURL_WRITEFUNC_ERROR;
}

static size_t send_pieces(fpi_http_call *t, char *buf, size_t cap)
{
    const fpi_http_request *rq = &t->rq;
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
    fpi_http_call *t = user_data;
    size_t got = 0;
    fp_status rc;

    if (!t->rq.pull)
        return send_pieces(t, buf, one * cap);
    rc = t->rq.pull(t->rq.user_data, buf, one * cap, &got, &t->err);
    if (rc == FPI_HTTP_LATER)
        return CURL_READFUNC_PAUSE;
    t->rc = rc;
    return rc < 0 ? CURL_READFUNC_ABORT : got;
}

/* curl sends a body anew when a kept connection turns out to be dead. What is drawn from a callback can only be
 * drawn again when it says so. */
static int on_seek(void *user_data, curl_off_t offset, int origin)
{
    fpi_http_call *t = user_data;

    if ((t->rq.pull && !t->rq.rewind) || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    if (t->rq.pull)
        t->rq.rewind(t->rq.user_data);
    t->piece = t->piece_at = 0;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *user_data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const fpi_http_call *t = user_data;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return t->rq.cancel && atomic_load(t->rq.cancel);
}

static struct curl_slist *make_headers(const fpi_http_request *rq)
{
    struct curl_slist *list =
        curl_slist_append(NULL, "Expect:"); /* a round trip that nobody needs */

    for (size_t n = 0; list && n < rq->header_count; n++) {
        struct curl_slist *longer = curl_slist_append(list, rq->headers[n]);

        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    return list;
}

/* Nothing is taken from the environment or from files in the user's home: proxies, .netrc. */
static CURLcode set_ground(const fpi_http_call *t)
{
    const fpi_http *http = t->http;
    fpi_http_handle *h = t->handle;
    CURL *easy = h->easy;
    uint32_t stall = t->rq.stall_timeout_ms ? t->rq.stall_timeout_ms : http->o.stall_timeout_ms;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    rc |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    rc |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->o.connect_timeout_ms);
    rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(stall + 999) / 1000);
    rc |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
    rc |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    rc |= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    rc |= curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, h);
    rc |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    rc |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, h);
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

static CURLcode set_callbacks(fpi_http_call *t)
{
    CURLcode rc = curl_easy_setopt(t->handle->easy, CURLOPT_HEADERFUNCTION, on_header);

    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_HEADERDATA, t);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_WRITEFUNCTION, on_body);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_WRITEDATA, t);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_READFUNCTION, on_send);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_READDATA, t);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_SEEKFUNCTION, on_seek);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_SEEKDATA, t);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_XFERINFODATA, t);
    rc |= curl_easy_setopt(t->handle->easy, CURLOPT_NOPROGRESS, t->rq.cancel ? 0L : 1L);
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

CURLcode fpi_http_prepare(fpi_http_call *t)
{
    CURL *easy = t->handle->easy;
    CURLcode rc;

    t->headers = make_headers(&t->rq);
    if (!t->headers)
        return CURLE_OUT_OF_MEMORY;
    rc = set_ground(t);
    rc |= set_method(easy, &t->rq);
    rc |= set_callbacks(t);
    rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    rc |= curl_easy_setopt(easy, CURLOPT_URL, t->rq.url);
    return rc; /* one of them had no memory: the values or-ed together say nothing more */
}

fp_status fpi_http_finish(fpi_http_call *t, fp_error *err)
{
    CURLcode curl = t->result;
    curl_off_t length = -1;
    long status = 0;

    curl_easy_getinfo(t->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->handle->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
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
    return judge_failure(t->what, curl, err);
}
