/* Owns: whether the daemon is well: it asks what it depends on, instead of claiming.
 * Must not know: HTTP. */
#ifndef FPD_HEALTH_H
#define FPD_HEALTH_H

#include "app.h"

/** The answer of each probe: a word for people, and whether it is well. */
typedef struct fpd_health_probe {
    const char *name;   /* static: "database"... */
    const char *answer; /* static: "connected"... */
    unsigned needs;     /* FPD_NEEDS_*: whom it concerns; 0 = every service */
    int64_t latency_ns; /* how long the answer took; -1 = nobody had to be asked */
    bool well;
    bool vital; /* without it the daemon can't serve requests */
} fpd_health_probe;

#define FPD_HEALTH_PROBES 6u

typedef struct fpd_health_report {
    fpd_health_probe probes[FPD_HEALTH_PROBES];
    size_t count;
    uint64_t free_bytes; /* on the disk that is used */
    bool has_disk;       /* one is */
    bool well, serving;  /* all probes; the vital ones */
} fpd_health_report;

/** Asks now and then and remembers for a moment, so that asking often costs little. Any thread. */
typedef struct fpd_health fpd_health;

/** NULL when there is a helper program to start, else what is wrong in plain words. *path is the program's. */
const char *fpd_helper_problem(const fp_config *config, const char **path);

/** app is borrowed. needs_helper: jobs run in this process. NULL when out of memory or threads. */
fpd_health *fpd_health_new(fpd_app *app, bool needs_helper);
void fpd_health_free(fpd_health *health);
FPD_DEFINE_CLEANUP(fpd_health, fpd_health_free)

/** Takes two seconds at the most: what has not answered by then is not well. */
void fpd_health_check(fpd_health *health, fpd_health_report *out);

#endif
