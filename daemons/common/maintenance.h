/* Owns: the thread that does what has to be done now and then: rescue jobs, reap uploads, finish deletions.
 * Must not know: HTTP. */
#ifndef FPD_MAINTENANCE_H
#define FPD_MAINTENANCE_H

#include <fileproc/upload.h>

#include "scoped.h"
#include "metrics.h"

typedef struct fpd_maintenance fpd_maintenance;

typedef struct fpd_maintenance_options {
    fp_uploads *uploads; /* NULL = not looked after here; the same for those below */
    fp_jobs *jobs;
    fp_catalog *catalog;
    fp_storage *storage; /* where nobody looks after uploads, but objects are put */
    fpd_metrics *metrics;
    bool quarantine; /* with jobs: files in quarantine are counted */
    int64_t reap_interval_ms;
    int64_t reap_grace_ms;
} fpd_maintenance_options;

/** Starts the thread, which begins at once. Handles are borrowed and must outlive it. NULL: out of memory or threads. */
fpd_maintenance *fpd_maintenance_start(const fpd_maintenance_options *options);

/** Ends it after the step in progress. NULL is allowed. */
void fpd_maintenance_stop(fpd_maintenance *m);
FPD_DEFINE_CLEANUP(fpd_maintenance, fpd_maintenance_stop)

#endif
