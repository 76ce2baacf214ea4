/* Owns: the parts of the library that a daemon has open, and the order in which they are opened and closed.
 * Must not know: HTTP routes. */
#ifndef FPD_APP_H
#define FPD_APP_H

#include <stdbool.h>

#include <fileproc/cache.h>
#include <fileproc/config.h>
#include <fileproc/upload.h>
#include <fileproc/version.h>

#include "feed.h"
#include "hub.h"
#include "writers.h"
#include "metrics.h"
#include "progress_bridge.h"
#include "rate_limit.h"
#include "streams.h"
#include "text.h"

/** FPD_NEEDS_*: what of it a service opens; what it stands on is named, too. */
enum {
    FPD_NEEDS_STORAGE = 1,
    FPD_NEEDS_DATABASE = 2,
    FPD_NEEDS_QUEUE = 4,
    FPD_NEEDS_CATALOG = 8,
    FPD_NEEDS_JOBS = 16,
    FPD_NEEDS_UPLOADS = 32,
    FPD_NEEDS_WORKERS = 64, /* jobs run here */
    FPD_BESIDE =
        1
        << 20, /* only looks, also while another process is at work: no locks, and nothing is made */
};
#define FPD_NEEDS_ALL 127u

#define FPD_LOCKS 3u

/** What the ids of objects begin with that the storage service has not received wholly. */
#define FPD_OBJECT_STAGED "put-"

/** Everything that routes and threads work with. The handles are shared; read-only once open. NULL is what isn't needed. */
typedef struct fpd_app {
    const char *service; /* static: "fileprocd" */
    unsigned needs;
    fp_context *ctx;
    const fp_config *config; /* borrowed */
    fp_storage *storage;
    fp_database *database;
    fp_queue *queue;
    bool has_broker; /* the queue is one that publishes events */
    fp_catalog *catalog;
    fp_pipelines *pipelines;
    fp_jobs *jobs;
    bool quarantine; /* there are checks in the settings, or files in quarantine from before */
    fp_cache *cache;
    bool has_redis; /* the cache is one that all daemons share */
    fpd_rate_limit limit;
    fp_uploads *uploads;
    fpd_progress_bridge *bridge; /* NULL: there is no other daemon; without Redis it only looks */
    fpd_metrics *metrics;
    fpd_hub *hub;
    fpd_feed *feed;       /* NULL: nobody can watch here */
    fpd_streams *streams; /* the same: who watches by them */
    fpd_writers *writers;
    fpd_text data; /* absolute path of the data folder; empty when nothing is in it */
    int locks
        [FPD_LOCKS]; /* of it, and of what the addresses of database and storage lead to; -1 = none */
    fpd_metric *uploads_total, *upload_duration, *chunks_uploaded, *streams_dropped, *jobs_finished;
    fpd_metric *scans, *quarantined, *quarantine_seconds; /* NULL: there are no checks */
} fpd_app;

/** Places of uploads_total{status}: the starter kit's, and ours at the end. */
enum {
    FPD_UPLOAD_INITIATED,
    FPD_UPLOAD_COMPLETED,
    FPD_UPLOAD_CANCELLED,
    FPD_UPLOAD_INCOMPLETE,
    FPD_UPLOAD_REJECTED_MIME,
    FPD_UPLOAD_REJECTED_SIZE,
    FPD_UPLOAD_FAILED
};

/** Opens what is needed in the order of dependence. ctx and config are borrowed. On failure nothing stays open and err says in
 *  one line what to change. */
fp_status fpd_app_open(fpd_app *app, fp_context *ctx, const fp_config *config, const char *service,
                       unsigned needs, fp_error *err);
void fpd_app_close(fpd_app *app);

void fpd_count_upload(fpd_app *app, size_t status);

#endif
