/* Owns: progress of uploads and jobs between daemons: what happens here is told through the cache, and what others tell comes to hub
 * and feed.
 * Must not know: WebSockets, event streams, Redis. */
#ifndef FPD_PROGRESS_BRIDGE_H
#define FPD_PROGRESS_BRIDGE_H

#include <fileproc/cache.h>
#include <fileproc/upload.h>

#include "feed.h"
#include "hub.h"
#include "metrics.h"
#include "scoped.h"

/** Two threads: one tells, one listens. Any thread may call. */
typedef struct fpd_progress_bridge fpd_progress_bridge;

/** All borrowed; all must outlive the bridge. */
typedef struct fpd_progress_bridge_options {
    fp_cache *cache;
    fp_uploads *uploads; /* NULL with hub */
    fpd_hub *hub;        /* NULL: nobody watches here, so it is only told */
    fpd_feed *feed;      /* NULL: nobody follows */
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

/** The feed gets what the others tell of all uploads and jobs, from now on for good; a gap says from when on. Never waits. */
void fpd_progress_bridge_follow(fpd_progress_bridge *b);

/** These two tell the other daemons; they never wait for them or for the cache. */
void fpd_progress_bridge_tell_job(fpd_progress_bridge *b, const char *job_id, const char *file_id,
                                  const char *job_state, double progress);
/** The same of a file that has come out of its checks. */
void fpd_progress_bridge_tell_file(fpd_progress_bridge *b, const char *file_id,
                                   const char *outcome);
void fpd_progress_bridge_tell(fpd_progress_bridge *b, const fp_upload *upload);

#endif
