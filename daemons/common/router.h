/* Owns: finding the route for a method and a path.
 * Must not know: what any route does. */
#ifndef FPD_ROUTER_H
#define FPD_ROUTER_H

#include "route.h"

#define FPD_ROUTES_MAX 96u
#define FPD_SEGMENTS_MAX 8u

/** All routes of a server. Filled before the server starts, then shared and immutable. */
typedef struct fpd_router {
    struct fpd_router_entry {
        const fpd_route *route;
        void *user_data;
    } entries[FPD_ROUTES_MAX];
    size_t count;
} fpd_router;

/** Adds routes; both arguments are borrowed as long as the router is used. False when there are too many. */
bool fpd_router_add(fpd_router *router, const fpd_route *routes, size_t count, void *user_data);

typedef enum fpd_router_result {
    FPD_ROUTER_FOUND,
    FPD_ROUTER_NO_PATH,   /* 404 */
    FPD_ROUTER_NO_METHOD, /* 405; also OPTIONS: allow lists the methods of this path */
    FPD_ROUTER_MALFORMED  /* 400: the path can't be decoded */
} fpd_router_result;

/** Takes rq->path apart, sets rq->route and rq->parameters, and *user_data. HEAD finds GET's route. */
fpd_router_result fpd_router_find(const fpd_router *router, fpd_request *rq, void **user_data,
                                  char *allow, size_t allow_size);

/** The place of a route in the router, for metrics; count when it is NULL. */
size_t fpd_router_index(const fpd_router *router, const fpd_route *route);

#endif
