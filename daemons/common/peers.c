/* Owns: asking the other services how they are: all at the same time, and never for longer than a limit.
 * Must not know: what they say, or HTTP's server side. */
#include "peers.h"

#include <curl/curl.h>
#include <string.h>

#include "clock.h"

/* A report has a few hundred bytes. */
#define BODY_MAX (64u * 1024u)
#define POLL_MS 100

void fpd_peer_answer_dispose(fpd_peer_answer *answer)
{
    fpd_text_dispose(&answer->body);
}

bool fpd_peers_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static size_t take_body(char *data, size_t size, size_t count, void *user_data)
{
    fpd_peer_answer *answer = user_data;

    fpd_text_append(&answer->body, data, size * count);
    return answer->body.failed ? 0 : size * count;
}

/* "http://host:8001" and "http://host:8001/" mean the same. */
static bool make_url(const char *base, fpd_text *url)
{
    size_t size = strlen(base);

    while (size > 0 && base[size - 1] == '/')
        size--;
    fpd_text_append(url, base, size);
    fpd_text_string(url, "/health");
    return !url->failed;
}

/* libcurl copies the address. A name server that does not answer is given up with the rest (QUICK_EXIT). */
static CURL *make_request(const char *base, long timeout_ms, fpd_peer_answer *answer)
{
    FPD_DISPOSE(fpd_text) url = FPD_TEXT_INIT(4096 + 16);
    CURL *curl = make_url(base, &url) ? curl_easy_init() : NULL;

    if (!curl)
        return NULL;
    answer->body = (fpd_text)FPD_TEXT_INIT(BODY_MAX);
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, answer);
    return curl;
}

static void take_result(const CURLMsg *message)
{
    fpd_peer_answer *answer = NULL;
    CURL *curl = message->easy_handle;
    CURLcode result = message->data.result;
    curl_off_t took_us = 0;
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_PRIVATE, (char **)&answer);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &took_us);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer->latency_ns = (int64_t)took_us * 1000;
    answer->status = result == CURLE_OK ? (int)status : 0;
    answer->problem = result == CURLE_OK ? NULL : curl_easy_strerror(result);
}

/* Each request ends by its own time-out at the latest. */
static void run(CURLM *multi)
{
    int running = 0, left;

    do {
        CURLMsg *message;

        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return;
        while ((message = curl_multi_info_read(multi, &left)) != NULL)
            if (message->msg == CURLMSG_DONE)
                take_result(message);
        if (running && curl_multi_poll(multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            return;
    } while (running);
}

bool fpd_peers_ask(const fp_config *config, int64_t timeout_ms, fpd_peer_answer *answers,
                   size_t count)
{
    CURLM *multi = curl_multi_init();
    bool ok = multi != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        fpd_peer_answer *answer = &answers[i];

        if (!answer->service)
            continue;
        answer->problem = "it was not asked";
        answer->request = make_request(fp_config_string(config, answer->service->setting),
                                       (long)timeout_ms, answer);
        ok = answer->request && curl_multi_add_handle(multi, answer->request) == CURLM_OK;
    }
    if (ok)
        run(multi);
    for (size_t i = 0; i < count; i++) {
        if (answers[i].request)
            curl_multi_remove_handle(multi, answers[i].request);
        curl_easy_cleanup(answers[i].request);
        answers[i].request = NULL;
    }
    curl_multi_cleanup(multi);
    return ok;
}
