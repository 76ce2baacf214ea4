/* Owns: progress of uploads between daemons: what happens here is told through the cache, and what others tell comes to the hub.
 * Must not know: WebSockets, Redis. */
#ifndef FPD_PROGRESS_BRIDGE_H
#define FPD_PROGRESS_BRIDGE_H

#include <fileproc/cache.h>
#include <fileproc/upload.h>

#include "hub.h"
#include "metrics.h"
#include "scoped.h"

/** Two threads: one tells, one listens. Any thread may call. */
typedef struct fpd_progress_bridge fpd_progress_bridge;

/** All borrowed; all must outlive the bridge. */
typedef struct fpd_progress_bridge_options {
    fp_cache *cache;
    fp_uploads *uploads;
    fpd_hub *hub;
    fpd_metrics *metrics;
    size_t max_watchers; /* the hub's */
    int64_t
        look_every_ms; /* how often what is watched is looked at although nobody tells; 0 = 30 s */
} fpd_progress_bridge_options;

/** NULL with err: out of memory, threads or descriptors. The hub must not have watchers yet. */
fpd_progress_bridge *fpd_progress_bridge_start(const fpd_progress_bridge_options *options,
                                               fp_error *err);
/** Ends both threads. No watcher may be left; NULL is allowed. */
void fpd_progress_bridge_stop(fpd_progress_bridge *b);
FPD_DEFINE_CLEANUP(fpd_progress_bridge, fpd_progress_bridge_stop)

/** Tells the other daemons; never waits for them or for the cache. */
void fpd_progress_bridge_tell(fpd_progress_bridge *b, const fp_upload *upload);

#endif
