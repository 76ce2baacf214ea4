/* Owns: how often a client, or an owner, may ask; and what somebody is told who asks too often.
 * Must not know: routes; where the counts are kept. */
#include "rate_limit.h"

#include <stdio.h>
#include <string.h>

#include "header_value.h"
#include "problem.h"
#include "reply.h"

#define ADDRESS_SIZE 64u

/* ---- who it is ---- */

/* The last element of a list of `*size` bytes, without blanks; *size becomes what is in front of it. */
static const char *last_element(const char *list, size_t *size, size_t *element)
{
    size_t end = *size, start;

    while (end && (list[end - 1] == ' ' || list[end - 1] == '\t'))
        end--;
    start = end;
    while (start && list[start - 1] != ',')
        start--;
    *size = start ? start - 1 : 0;
    while (start < end && (list[start] == ' ' || list[start] == '\t'))
        start++;
    *element = end - start;
    return list + start;
}

static bool copy(const char *from, size_t size, char *out, size_t capacity)
{
    if (size == 0 || size >= capacity)
        return false;
    memcpy(out, from, size);
    out[size] = '\0';
    return true;
}

/* Every proxy adds whom it heard at the end. What stands in front of the first that is not believed the client itself may have
 * written. A proxy that passes several such lines on has made them one list; of several the first is looked at. */
bool fpd_client_address(const fpd_request *rq, const char *proxies, char *out, size_t capacity)
{
    const char *list = fpd_request_header(rq, "X-Forwarded-For");
    size_t left = list ? strlen(list) : 0, size;
    bool whole = copy(rq->head->remote, strlen(rq->head->remote), out, capacity);

    while (whole && left && fpd_list_has(proxies, out)) {
        const char *element = last_element(list, &left, &size);

        whole = copy(element, size, out, capacity);
    }
    return whole;
}

/* ---- how often ---- */

static int64_t seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

/* draft-ietf-httpapi-ratelimit-headers: policies and how they stand, each by its name. */
static void tell(fpd_request *rq, const char *kind, const fp_rate *rate)
{
    fpd_reply_header(rq, "RateLimit-Policy", "\"%s\";q=%llu;w=%lld", kind,
                     (unsigned long long)rate->limit, (long long)seconds(rate->window_ms));
    fpd_reply_header(rq, "RateLimit", "\"%s\";r=%llu;t=%lld", kind,
                     (unsigned long long)rate->remaining, (long long)seconds(rate->reset_ms));
}

static bool count(const fpd_rate_limit *l, fpd_request *rq, const char *kind, uint64_t limit,
                  const char *who)
{
    char key[FILEPROC_CACHE_KEY_MAX + 1];
    fp_rate rate = FILEPROC_RATE_INIT;
    int size = snprintf(key, sizeof(key), "%s:%s", kind, who);

    rate.limit = limit;
    rate.window_ms = l->window_ms;
    if (size < 0 || (size_t)size >= sizeof(key) ||
        fp_cache_count(l->cache, key, &rate, NULL) != FILEPROC_OK)
        return true;
    tell(rq, kind, &rate);
    if (rate.allowed)
        return true;
    fpd_reply_header(rq, "Retry-After", "%lld", (long long)seconds(rate.retry_after_ms));
    fpd_problem(rq, 429, "rate_limited",
                "There were too many requests; %llu in %lld s are allowed.",
                (unsigned long long)limit, (long long)seconds(l->window_ms));
    return false;
}

bool fpd_rate_limit_client(const fpd_rate_limit *l, fpd_request *rq)
{
    char address[ADDRESS_SIZE];

    if (!l->per_client || !fpd_client_address(rq, l->proxies, address, sizeof(address)))
        return true;
    return count(l, rq, "client", l->per_client, address);
}

bool fpd_rate_limit_owner(const fpd_rate_limit *l, fpd_request *rq, const char *owner)
{
    return !l->per_owner || !owner || !*owner || count(l, rq, "owner", l->per_owner, owner);
}
