/* Owns: finding the route for a method and a path.
 * Must not know: what any route does. */
#include "router.h"

#include <stdio.h>
#include <string.h>

#include "percent.h"

typedef struct segments {
    char *text[FPD_SEGMENTS_MAX];
    size_t size[FPD_SEGMENTS_MAX];
    size_t count;
    char *rest; /* what follows the last segment taken apart, not decoded; NULL = nothing */
} segments;

bool fpd_router_add(fpd_router *router, const fpd_route *routes, size_t count, void *user_data)
{
    if (count > FPD_ROUTES_MAX - router->count)
        return false;
    for (size_t i = 0; i < count; i++)
        router->entries[router->count++] = (struct fpd_router_entry){ &routes[i], user_data };
    return true;
}

/* Cuts the path at its slashes and decodes each piece, in place: so an encoded slash never separates. Each piece remembers how
 * long it was, so that a parameter that takes the rest finds the pieces again. */
static bool take_apart(char *path, segments *out)
{
    out->count = 0;
    out->rest = NULL;
    if (*path != '/')
        return false;
    for (char *p = path + 1, *end; p; p = end) {
        size_t size;

        if (out->count == FPD_SEGMENTS_MAX) {
            out->rest = p;
            return fpd_percent_decode(p, strlen(p), false, p, strlen(p) + 1);
        }
        end = strchr(p, '/');
        if (end)
            *end++ = '\0';
        size = strlen(p);
        if (!fpd_percent_decode(p, size, false, p, size + 1))
            return false;
        out->text[out->count] = p;
        out->size[out->count++] = strlen(p);
    }
    return true;
}

static bool takes_rest(const char *pattern)
{
    size_t size = strcspn(pattern, "/");

    return size > 5 && memcmp(pattern + size - 4, "...}", 4) == 0;
}

/* How well a pattern fits: 0 = not; else a bit per segment, the first one highest, set where the pattern is literal. The
 * larger number is the more exact pattern. */
static unsigned fit(const char *pattern, const segments *path)
{
    unsigned bits = 1;
    size_t i = 0;

    while (*pattern == '/') {
        size_t size = strcspn(++pattern, "/");

        if (i == path->count)
            return 0;
        if (takes_rest(pattern))
            return i + 1 < path->count || path->text[i][0] != '\0' ? bits : 0;
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
    return i == path->count && !path->rest ? bits : 0;
}

/* The pieces from number i on with slashes between, moved together to where the first of them is. */
static const char *join_rest(const segments *path, size_t i)
{
    char *start = path->text[i], *at = start;

    if (!start)
        return NULL; /* never: the pattern fits */
    at += path->size[i];
    for (i++; i < path->count; i++) {
        *at++ = '/';
        memmove(at, path->text[i], path->size[i]);
        at += path->size[i];
    }
    if (path->rest) {
        size_t size = strlen(path->rest);

        *at++ = '/';
        memmove(at, path->rest, size);
        at += size;
    }
    *at = '\0';
    return start;
}

static void take_parameters(fpd_request *rq, const char *pattern, const segments *path)
{
    size_t i = 0, n = 0;

    for (; *pattern == '/'; i++) {
        pattern++;
        if (*pattern == '{' && n < FPD_PARAMETERS_MAX)
            rq->parameters[n++] = takes_rest(pattern) ? join_rest(path, i) : path->text[i];
        pattern += strcspn(pattern, "/");
    }
}

/* OPTIONS has an answer at every path, and a route of its own at a few: it is listed once, as the last. */
static void list_methods(const fpd_router *router, const segments *path, unsigned best, char *allow,
                         size_t allow_size)
{
    size_t used = 0;

    allow[0] = '\0';
    for (size_t i = 0; i < router->count; i++) {
        const fpd_route *route = router->entries[i].route;
        int n;

        if (route->method == FPD_METHOD_OPTIONS || fit(route->pattern, path) != best)
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
