/* Owns: finding the route for a method and a path.
 * Must not know: what any route does. */
#include "router.h"

#include <stdio.h>
#include <string.h>

#include "percent.h"

typedef struct segments {
    char *text[FPD_SEGMENTS_MAX];
    size_t count;
} segments;

bool fpd_router_add(fpd_router *router, const fpd_route *routes, size_t count, void *user_data)
{
    if (count > FPD_ROUTES_MAX - router->count)
        return false;
    for (size_t i = 0; i < count; i++)
        router->entries[router->count++] = (struct fpd_router_entry){ &routes[i], user_data };
    return true;
}

/* Cuts the path at its slashes and decodes each piece, in place: so an encoded slash never separates. More pieces than any
 * route has are counted as one too many. */
static bool take_apart(char *path, segments *out)
{
    out->count = 0;
    if (*path != '/')
        return false;
    for (char *p = path + 1, *end; p; p = end) {
        size_t size;

        end = strchr(p, '/');
        if (end)
            *end++ = '\0';
        if (out->count == FPD_SEGMENTS_MAX) {
            out->count++;
            return true;
        }
        size = strlen(p);
        if (!fpd_percent_decode(p, size, false, p, size + 1))
            return false;
        out->text[out->count++] = p;
    }
    return true;
}

/* How well a pattern fits: 0 = not; else a bit per segment, the first one highest, set where the pattern is literal. The
 * larger number is the more exact pattern. */
static unsigned fit(const char *pattern, const segments *path)
{
    unsigned bits = 1;
    size_t i = 0;

    while (*pattern == '/') {
        size_t size = strcspn(++pattern, "/");

        if (i == path->count || i == FPD_SEGMENTS_MAX)
            return 0;
        if (*pattern == '{') {
            if (path->text[i][0] == '\0')
                return 0;
            bits <<= 1;
        } else if (strlen(path->text[i]) == size && memcmp(path->text[i], pattern, size) == 0) {
            bits = bits << 1 | 1;
        } else {
            return 0;
        }
        pattern += size;
        i++;
    }
    return i == path->count ? bits : 0;
}

static void take_parameters(fpd_request *rq, const char *pattern, const segments *path)
{
    size_t i = 0, n = 0;

    for (; *pattern == '/'; i++) {
        pattern++;
        if (*pattern == '{' && n < FPD_PARAMETERS_MAX)
            rq->parameters[n++] = path->text[i];
        pattern += strcspn(pattern, "/");
    }
}

static void list_methods(const fpd_router *router, const segments *path, unsigned best, char *allow,
                         size_t allow_size)
{
    size_t used = 0;

    allow[0] = '\0';
    for (size_t i = 0; i < router->count; i++) {
        const fpd_route *route = router->entries[i].route;
        int n;

        if (fit(route->pattern, path) != best)
            continue;
        n = snprintf(allow + used, allow_size - used, "%s%s%s", used ? ", " : "",
                     fpd_method_name(route->method),
                     route->method == FPD_METHOD_GET ? ", HEAD" : "");
        if (n < 0 || (size_t)n >= allow_size - used)
            break;
        used += (size_t)n;
    }
    if (used)
        snprintf(allow + used, allow_size - used, ", OPTIONS");
}

fpd_router_result fpd_router_find(const fpd_router *router, fpd_request *rq, void **user_data,
                                  char *allow, size_t allow_size)
{
    fpd_method method = rq->method == FPD_METHOD_HEAD ? FPD_METHOD_GET : rq->method;
    unsigned best = 0;
    segments path = { 0 };

    if (!take_apart(rq->path, &path))
        return FPD_ROUTER_MALFORMED;
    for (size_t i = 0; i < router->count; i++) {
        unsigned found = fit(router->entries[i].route->pattern, &path);

        best = found > best ? found : best;
    }
    if (best == 0)
        return FPD_ROUTER_NO_PATH;
    for (size_t i = 0; i < router->count; i++) {
        const fpd_route *route = router->entries[i].route;

        if (route->method == method && fit(route->pattern, &path) == best) {
            rq->route = route;
            *user_data = router->entries[i].user_data;
            take_parameters(rq, route->pattern, &path);
            return FPD_ROUTER_FOUND;
        }
    }
    list_methods(router, &path, best, allow, allow_size);
    return FPD_ROUTER_NO_METHOD;
}

size_t fpd_router_index(const fpd_router *router, const fpd_route *route)
{
    for (size_t i = 0; i < router->count; i++)
        if (router->entries[i].route == route)
            return i;
    return router->count;
}
