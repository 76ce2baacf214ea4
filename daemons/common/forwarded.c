/* Owns: the address at which a client sees this server, when a proxy that is believed tells it.
 * Must not know: any route. */
#include "forwarded.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "header_value.h"
#include "reply.h"

#define PREFIX_MAX 256u
#define HOST_MAX 256u
#define SCHEME_MAX 6u

/* Of several proxies the last one has added the last element; it is the one that is believed, and no list is taken for a value. */
static bool last_of(const char *list, char *out, size_t capacity)
{
    const char *comma = strrchr(list, ',');
    size_t size;

    if (comma)
        list = comma + 1;
    list += strspn(list, " \t");
    size = strlen(list);
    while (size && (list[size - 1] == ' ' || list[size - 1] == '\t'))
        size--;
    if (size == 0 || size >= capacity)
        return false;
    memcpy(out, list, size);
    out[size] = '\0';
    return true;
}

static bool consists_of(const char *text, const char *others)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9');

        if (!plain && !strchr(others, *text))
            return false;
    }
    return true;
}

/* "//" at the beginning would be another host. */
static bool is_prefix(const char *text)
{
    return text[0] == '/' && text[1] != '/' && consists_of(text, "/-._~%!$&'()*+;=:@");
}

/* Ends without '/', since every path of ours begins with it. */
static void read_prefix(const fpd_request *rq, char prefix[PREFIX_MAX])
{
    const char *header = fpd_request_header(rq, "X-Forwarded-Prefix");
    size_t size;

    if (!header || !last_of(header, prefix, PREFIX_MAX) || !is_prefix(prefix)) {
        prefix[0] = '\0';
        return;
    }
    size = strlen(prefix);
    while (size && prefix[size - 1] == '/')
        prefix[--size] = '\0';
}

/* Forwarded wins where both stand. */
static bool read_word(const fpd_request *rq, const char *parameter, const char *header, char *out,
                      size_t capacity)
{
    const char *list = fpd_request_header(rq, "Forwarded");
    char element[2 * HOST_MAX + 2] = ";";

    if (list)
        return last_of(list, element + 1, sizeof(element) - 1) &&
               fpd_value_parameter(element, parameter, out, capacity);
    list = fpd_request_header(rq, header);
    return list && last_of(list, out, capacity);
}

static bool read_scheme(const fpd_request *rq, char scheme[SCHEME_MAX])
{
    return read_word(rq, "proto", "X-Forwarded-Proto", scheme, SCHEME_MAX) &&
           (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
}

static bool read_origin(const fpd_request *rq, char scheme[SCHEME_MAX], char host[HOST_MAX])
{
    return read_scheme(rq, scheme) && read_word(rq, "host", "X-Forwarded-Host", host, HOST_MAX) &&
           consists_of(host, "-._:[]");
}

void fpd_forwarded_address(const fpd_request *rq, const char *proxies, const char *path,
                           char out[FPD_FORWARDED_SIZE])
{
    char prefix[PREFIX_MAX] = "", scheme[SCHEME_MAX], host[HOST_MAX];

    if (!fpd_list_has(proxies, rq->head->remote)) {
        snprintf(out, FPD_FORWARDED_SIZE, "%s", path);
        return;
    }
    read_prefix(rq, prefix);
    if (read_origin(rq, scheme, host))
        snprintf(out, FPD_FORWARDED_SIZE, "%s://%s%s%s", scheme, host, prefix, path);
    else
        snprintf(out, FPD_FORWARDED_SIZE, "%s%s", prefix, path);
}

void fpd_forwarded_location(fpd_request *rq, const char *proxies, const char *path)
{
    char address[FPD_FORWARDED_SIZE];

    fpd_forwarded_address(rq, proxies, path, address);
    fpd_reply_header(rq, "Location", "%s", address);
}

static bool is_https(const char *url)
{
    return url && strncasecmp(url, "https://", 8) == 0;
}

void fpd_forwarded_url(const fpd_request *rq, const char *proxies, const char *path, fpd_text *url)
{
    bool secure =
        is_https(fpd_request_header(rq, "Origin")) || is_https(fpd_request_header(rq, "Referer"));
    bool believed = fpd_list_has(proxies, rq->head->remote);
    char prefix[PREFIX_MAX] = "", scheme[SCHEME_MAX], told[HOST_MAX];
    const char *host = fpd_request_header(rq, "Host");

    if (believed)
        read_prefix(rq, prefix);
    if (believed && read_origin(rq, scheme, told))
        host = told;
    else if (!believed || !read_scheme(rq, scheme))
        snprintf(scheme, sizeof(scheme), "%s", secure ? "https" : "http");
    fpd_text_printf(url, "%s://%s%s%s", scheme, host ? host : "", prefix, path);
}
