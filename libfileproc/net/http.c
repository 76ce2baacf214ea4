/* Owns: requests of a client: handles with their connections, beginning, moving and ending a request.
 * Must not know: any service. */
#include "net/http.h"

#include <stdio.h>
#include <string.h>

#include "net/curl_once.h"
#include "net/http_private.h"

/* Longer than anything is waited for without looking whether the request was cancelled. */
#define POLL_MS 1000

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

static void handle_free(const fpi_http *http, fpi_http_handle *h)
{
    if (h->easy)
        curl_easy_cleanup(h->easy);
    if (h->multi)
        curl_multi_cleanup(h->multi); /* closes the connection, which tells `socket` */
    fpi_free(&http->ctx->a, h);
}

void fpi_http_free(fpi_http *http)
{
    if (!http)
        return;
    for (size_t i = 0; i < http->idle_count; i++)
        handle_free(http, http->idle[i]);
    pthread_mutex_destroy(&http->lock);
    fpi_free(&http->ctx->a, http);
}

void fpi_http_answer_dispose(fpi_http_answer *answer)
{
    fp_buf_dispose(&answer->error_body);
    *answer = (fpi_http_answer){ 0 };
}

static fpi_http_handle *handle_new(const fpi_http *http)
{
    fpi_http_handle *h = fpi_calloc(&http->ctx->a, 1, sizeof(*h));

    if (!h)
        return NULL;
    h->socket = CURL_SOCKET_BAD;
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    if (!h->multi || !h->easy ||
        curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) {
        handle_free(http, h);
        return NULL;
    }
    return h;
}

static fpi_http_handle *take_handle(fpi_http *http)
{
    fpi_http_handle *h = NULL;

    pthread_mutex_lock(&http->lock);
    if (http->idle_count)
        h = http->idle[--http->idle_count];
    pthread_mutex_unlock(&http->lock);
    return h ? h : handle_new(http);
}

static void give_handle(fpi_http *http, fpi_http_handle *h)
{
    curl_easy_reset(h->easy); /* of its options only: the connection stays */
    pthread_mutex_lock(&http->lock);
    if (http->idle_count < http->o.idle_max) {
        http->idle[http->idle_count++] = h;
        h = NULL;
    }
    pthread_mutex_unlock(&http->lock);
    if (h)
        handle_free(http, h);
}

static void call_free(fpi_http_call *t)
{
    if (t->handle) {
        curl_multi_remove_handle(t->handle->multi, t->handle->easy);
        give_handle(t->http, t->handle);
    }
    curl_slist_free_all(t->headers);
    fpi_free(&t->http->ctx->a, t);
}

fp_status fpi_http_begin(fpi_http *http, const fpi_http_request *rq, fpi_http_answer *answer,
                         fpi_http_call **out, fp_error *err)
{
    fpi_http_call *t = fpi_calloc(&http->ctx->a, 1, sizeof(*t));

    *answer = (fpi_http_answer){ .content_length = -1 };
    if (!t)
        return fpi_no_memory(err);
    t->http = http;
    t->rq = *rq;
    t->answer = answer;
    snprintf(t->what, sizeof(t->what), "%s", rq->what);
    t->handle = take_handle(http);
    if (!t->handle || fpi_http_prepare(t) != CURLE_OK ||
        curl_multi_add_handle(t->handle->multi, t->handle->easy) != CURLM_OK) {
        call_free(t);
        return fpi_no_memory(err);
    }
    *out = t;
    return FILEPROC_OK;
}

static void move(fpi_http_call *t)
{
    const CURLMsg *message;
    int running = 0, left = 0;
    CURLMcode rc = curl_multi_perform(t->handle->multi, &running);

    if (rc != CURLM_OK) { /* only for want of memory */
        t->ended = true;
        t->result = CURLE_OUT_OF_MEMORY;
    }
    while (!t->ended && (message = curl_multi_info_read(t->handle->multi, &left)) != NULL) {
        t->ended = message->msg == CURLMSG_DONE;
        t->result = message->data.result;
    }
}

void fpi_http_advance(fpi_http_call *t)
{
    if (t->ended)
        return;
    (void)curl_easy_pause(t->handle->easy, CURLPAUSE_CONT);
    move(t);
}

bool fpi_http_ended(const fpi_http_call *t)
{
    return t->ended;
}

fp_status fpi_http_end(fpi_http_call *t, fp_error *err)
{
    fp_status rc;

    fpi_http_advance(t);
    while (!t->ended) {
        curl_multi_poll(t->handle->multi, NULL, 0, POLL_MS, NULL);
        move(t);
    }
    rc = fpi_http_finish(t, err);
    call_free(t);
    return rc;
}

void fpi_http_abandon(fpi_http_call *t)
{
    if (t)
        call_free(t); /* in the middle of a transfer curl closes the connection */
}

fp_status fpi_http_send(fpi_http *http, const fpi_http_request *rq, fpi_http_answer *answer,
                        fp_error *err)
{
    fpi_http_call *t = NULL;
    fp_status rc = fpi_http_begin(http, rq, answer, &t, err);

    return rc < 0 ? rc : fpi_http_end(t, err);
}
