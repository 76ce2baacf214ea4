/* Owns: the life of a daemon process: settings, start, draining, end.
 * Must not know: which services it has. */
#ifndef FPD_DAEMON_H
#define FPD_DAEMON_H

#include "app.h"
#include "router.h"

/** What makes one daemon differ from another. */
typedef struct fpd_daemon {
    const char *name;                                     /* "fileprocd" */
    int port;                                             /* when no setting says otherwise */
    unsigned needs;                                       /* FPD_NEEDS_* */
    bool (*add_routes)(fpd_router *router, fpd_app *app); /* false: too many. NULL: it has none */
} fpd_daemon;

/** The whole main(): the process's exit status. 2 = a setting is wrong, 1 = it could not start. */
int fpd_daemon_main(const fpd_daemon *what, int argc, char **argv);

#endif
