/* Owns: what a route is: a method, a pattern of the path, and who answers.
 * Must not know: any route. */
#ifndef FPD_ROUTE_H
#define FPD_ROUTE_H

#include "request.h"

/** Answers the request by exactly one reply. */
typedef void (*fpd_handler)(fpd_request *rq, void *user_data);

/** FPD_ROUTE_*: ways in which a route differs from the others. */
enum {
    FPD_ROUTE_ALWAYS = 1, /* answers also while the server drains, and under any name */
    FPD_ROUTE_QUIET = 2   /* asked every few seconds by machines: logged at debug level */
};

/* In the order in which tables of routes are read. A last segment "{key...}" is a parameter that takes the rest of the path with its
 * slashes, also encoded ones; any other pattern that fits is more exact. */
typedef struct fpd_route { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    fpd_method method;
    const char
        *pattern; /* "/v1/uploads/{id}/chunk": a segment is literal or one parameter; see below */
    fpd_handler handler;
    unsigned flags;
} fpd_route;

#endif
