/* Owns: the thread that does what has to be done now and then: rescue jobs, reap uploads, finish deletions.
 * Must not know: HTTP. */
#include "maintenance.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include <fileproc/quarantine.h>

#include "app.h"
#include "clock.h"
#include "log.h"

#define JOBS_INTERVAL_MS 2000
#define STAGED_PAGE 1000

static const double durations[] = { 0.01, 0.1, 1, 10, 60, 600 };
static const char *const quarantine_states[] = { "scanning", "held", "rejected" };
static const char *const reaped_kinds[] = { "expired", "discarded", "forgotten" };

struct fpd_maintenance {
    fpd_maintenance_options o;
    fpd_metric *queued, *running, *rescued, *open_uploads, *reaped, *swept, *failures, *quarantined;
    fpd_metric *reaped_bytes, *reaper_runs, *reaper_failures, *reaper_duration;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
};

/* Nothing is shown of what is looked after elsewhere. */
static bool add_metric(fpd_maintenance *m, bool wanted, const fpd_metric_spec *spec,
                       fpd_metric **out)
{
    *out = wanted ? fpd_metrics_add(m->o.metrics, spec) : NULL;
    return !wanted || *out;
}

static bool add_reaper_metrics(fpd_maintenance *m)
{
    const fpd_metric_spec bytes = { .name = "fileproc_reaped_bytes_total",
                                    .help = "Bytes of the staged objects that the reaper removed.",
                                    .kind = FPD_COUNTER };
    const fpd_metric_spec runs = { .name = "fileproc_reaper_runs_total",
                                   .help = "Passes of the reaper, failed ones among them.",
                                   .kind = FPD_COUNTER };
    const fpd_metric_spec failures = {
        .name = "fileproc_reaper_failures_total",
        .kind = FPD_COUNTER,
        .help = "Passes of the reaper in which something failed; the next one tries it again."
    };
    const fpd_metric_spec duration = { .name = "fileproc_reaper_duration_seconds",
                                       .kind = FPD_HISTOGRAM,
                                       .help = "How long a pass of the reaper took.",
                                       .bounds = durations,
                                       .bound_count = sizeof(durations) / sizeof(*durations) };
    bool wanted = m->o.uploads || m->o.storage;

    return add_metric(m, wanted, &bytes, &m->reaped_bytes) &&
           add_metric(m, wanted, &runs, &m->reaper_runs) &&
           add_metric(m, wanted, &failures, &m->reaper_failures) &&
           add_metric(m, wanted, &duration, &m->reaper_duration);
}

static bool add_metrics(fpd_maintenance *m)
{
    const fpd_metric_spec queued = { .name = "fileproc_jobs_queued",
                                     .help = "Jobs that wait.",
                                     .kind = FPD_GAUGE };
    const fpd_metric_spec running = { .name = "fileproc_jobs_running",
                                      .help = "Jobs that run.",
                                      .kind = FPD_GAUGE };
    const fpd_metric_spec rescued = { .name = "fileproc_jobs_rescued_total",
                                      .kind = FPD_COUNTER,
                                      .help =
                                          "Jobs whose worker gave no sign of life, queued again." };
    const fpd_metric_spec open_uploads = { .name = "fileproc_uploads_open",
                                           .help = "Unfinished uploads.",
                                           .kind = FPD_GAUGE };
    const fpd_metric_spec reaped = {
        .name = "fileproc_reaped_total",
        .kind = FPD_COUNTER,
        .help =
            "What the reaper removed: sessions expired, staged objects discarded, tombstones forgotten.",
        .labels = { { "kind", reaped_kinds, 3 } }
    };
    const fpd_metric_spec swept = {
        .name = "fileproc_deletions_finished_total",
        .kind = FPD_COUNTER,
        .help = "Interrupted deletions of files that were finished later."
    };
    const fpd_metric_spec failures = { .name = "fileproc_maintenance_failures_total",
                                       .kind = FPD_COUNTER,
                                       .help =
                                           "Maintenance steps that failed; they are tried again." };

    const fpd_metric_spec quarantined = { .name = "fileproc_quarantine_files",
                                          .kind = FPD_GAUGE,
                                          .help = "Files in quarantine, and rejected ones.",
                                          .labels = { { "state", quarantine_states, 3 } } };
    bool jobs = m->o.jobs != NULL, uploads = m->o.uploads != NULL, catalog = m->o.catalog != NULL;

    return add_metric(m, jobs, &queued, &m->queued) && add_metric(m, jobs, &running, &m->running) &&
           add_metric(m, jobs, &rescued, &m->rescued) &&
           add_metric(m, uploads, &open_uploads, &m->open_uploads) &&
           add_metric(m, uploads || m->o.storage, &reaped, &m->reaped) && add_reaper_metrics(m) &&
           add_metric(m, jobs && m->o.quarantine, &quarantined, &m->quarantined) &&
           add_metric(m, catalog, &swept, &m->swept) &&
           add_metric(m, true, &failures, &m->failures);
}

static void note_failure(fpd_maintenance *m, const char *step, const fp_error *err)
{
    fpd_metric_count(m->failures, NULL, 1);
    fpd_log(FILEPROC_LOG_WARN, "maintenance", "%s: %s", step, err->message);
}

static void maintain_jobs(fpd_maintenance *m)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    fp_error err = { 0 };

    if (!m->o.jobs)
        return;
    if (fp_jobs_maintain(m->o.jobs, &did, &err) < 0) {
        note_failure(m, "rescuing jobs", &err);
        return;
    }
    fpd_metric_set(m->queued, NULL, (int64_t)did.queued);
    fpd_metric_set(m->running, NULL, (int64_t)did.running);
    fpd_metric_count(m->rescued, NULL, did.rescued);
    if (did.rescued || did.dead)
        fpd_log(FILEPROC_LOG_WARN, "maintenance",
                "%llu jobs of lost workers queued again, %llu given up",
                (unsigned long long)did.rescued, (unsigned long long)did.dead);
}

static void count_quarantine(fpd_maintenance *m)
{
    fp_quarantine_counts counts = FILEPROC_QUARANTINE_COUNTS_INIT;
    fp_error err = { 0 };

    if (!m->quarantined)
        return;
    if (fp_quarantine_count(m->o.jobs, &counts, &err) < 0) {
        note_failure(m, "counting files in quarantine", &err);
        return;
    }
    fpd_metric_set(m->quarantined, (size_t[]){ 0 }, (int64_t)counts.scanning);
    fpd_metric_set(m->quarantined, (size_t[]){ 1 }, (int64_t)counts.held);
    fpd_metric_set(m->quarantined, (size_t[]){ 2 }, (int64_t)counts.rejected);
}

/* Of either reaper; in one process there is one. */
static void note_pass(fpd_maintenance *m, int64_t began_ns, bool good)
{
    fpd_metric_count(m->reaper_runs, NULL, 1);
    fpd_metric_count(m->reaper_failures, NULL, !good);
    fpd_metric_observe(m->reaper_duration, NULL, (double)(fpd_monotonic_ns() - began_ns) / 1e9);
}

static void reap_uploads(fpd_maintenance *m)
{
    int64_t began = fpd_monotonic_ns();
    fp_reaped did = FILEPROC_REAPED_INIT;
    fp_error err = { 0 };
    fp_status rc;

    if (!m->o.uploads)
        return;
    rc = fp_uploads_reap(m->o.uploads, m->o.reap_grace_ms, &did, &err);
    note_pass(m, began, rc == FILEPROC_OK);
    if (rc < 0)
        note_failure(m, "reaping uploads", &err);
    else
        fpd_metric_set(m->open_uploads, NULL, (int64_t)did.open);
    fpd_metric_count(m->reaped_bytes, NULL, did.bytes);
    fpd_metric_count(m->reaped, (size_t[]){ 0 }, did.expired);
    fpd_metric_count(m->reaped, (size_t[]){ 1 }, did.discarded);
    fpd_metric_count(m->reaped, (size_t[]){ 2 }, did.forgotten);
    if (did.expired || did.discarded)
        fpd_log(FILEPROC_LOG_INFO, "maintenance",
                "%llu uploads expired, %llu staged objects removed, %llu bytes",
                (unsigned long long)did.expired, (unsigned long long)did.discarded,
                (unsigned long long)did.bytes);
}

static void sweep_catalog(fpd_maintenance *m)
{
    uint64_t removed = 0;
    fp_error err = { 0 };

    if (!m->o.catalog)
        return;
    if (fp_catalog_sweep(m->o.catalog, &removed, &err) < 0)
        note_failure(m, "finishing deletions", &err);
    fpd_metric_count(m->swept, NULL, removed);
}

/* Objects that were never received wholly, when the process died meanwhile. What belongs to others is theirs. */
static fp_status discard_page(fpd_maintenance *m, const fp_storage_list_page *page, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < page->count; i++) {
        if (strncmp(page->names[i], FPD_OBJECT_STAGED, strlen(FPD_OBJECT_STAGED)) != 0 ||
            page->modified_ms[i] > fpd_now_ms() - m->o.reap_grace_ms)
            continue;
        rc = fp_storage_discard(m->o.storage, page->names[i], err);
        if (rc == FILEPROC_OK) {
            fpd_metric_count(m->reaped, (size_t[]){ 1 }, 1);
            fpd_metric_count(m->reaped_bytes, NULL, page->sizes[i]);
        }
    }
    return rc;
}

static void reap_objects(fpd_maintenance *m)
{
    FPD_DISPOSE(fpd_text) cursor = FPD_TEXT_INIT(2048);
    int64_t began = fpd_monotonic_ns();
    bool more = m->o.storage != NULL;
    fp_error err = { 0 };
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && more) {
        fp_storage_list_page *page = NULL;

        rc = fp_storage_list_staged(m->o.storage, cursor.size ? cursor.data : NULL, STAGED_PAGE,
                                    &page, &err);
        if (rc == FILEPROC_OK)
            rc = discard_page(m, page, &err);
        more = rc == FILEPROC_OK && page->next != NULL;
        fpd_text_clear(&cursor, 2048);
        if (more)
            fpd_text_string(&cursor, page->next);
        fp_storage_list_free(page);
    }
    if (rc == FILEPROC_OK && m->o.storage)
        rc = fp_storage_reap(m->o.storage, m->o.reap_grace_ms, NULL, &err);
    if (rc < 0)
        note_failure(m, "removing unfinished objects", &err);
    if (m->o.storage)
        note_pass(m, began, rc == FILEPROC_OK);
}

/* False when it is time to end. */
static bool sleep_until(fpd_maintenance *m, int64_t ns)
{
    struct timespec at = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    bool go_on;

    pthread_mutex_lock(&m->lock);
    while (!m->stopping && pthread_cond_timedwait(&m->wake, &m->lock, &at) == 0)
        continue;
    go_on = !m->stopping;
    pthread_mutex_unlock(&m->lock);
    return go_on;
}

static void *run(void *arg)
{
    fpd_maintenance *m = arg;
    int64_t jobs_at = fpd_monotonic_ns(), reap_at = jobs_at;

    while (sleep_until(m, jobs_at < reap_at ? jobs_at : reap_at)) {
        int64_t now = fpd_monotonic_ns();

        if (now >= jobs_at) {
            maintain_jobs(m);
            jobs_at = fpd_monotonic_ns() + (int64_t)JOBS_INTERVAL_MS * 1000000;
        }
        if (now >= reap_at) {
            reap_uploads(m);
            sweep_catalog(m);
            count_quarantine(m);
            reap_objects(m);
            reap_at = fpd_monotonic_ns() + m->o.reap_interval_ms * 1000000;
        }
    }
    return NULL;
}

static void release(fpd_maintenance *m)
{
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

fpd_maintenance *fpd_maintenance_start(const fpd_maintenance_options *options)
{
    fpd_maintenance *m = calloc(1, sizeof(*m));
    pthread_condattr_t attr;

    if (!m)
        return NULL;
    m->o = *options;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (!add_metrics(m) || pthread_create(&m->thread, NULL, run, m) != 0) {
        release(m);
        return NULL;
    }
    return m;
}

void fpd_maintenance_stop(fpd_maintenance *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    release(m);
}
