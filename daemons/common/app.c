/* Owns: the parts of the library that a daemon has open, and the order in which they are opened and closed.
 * Must not know: HTTP routes. */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fileproc/quarantine.h>

#include "lock_file.h"
#include "log.h"
#include "percent.h"

/* A file with pipelines is read whole. */
#define PIPELINES_MAX (4u * 1024u * 1024u)
/* Files that are read again and again are kept in memory so long; what another process does to them is seen that much later. */
#define CATALOG_BYTES ((size_t)8 << 20)
#define CATALOG_AGE_MS 1000u
/* Without Redis, what watchers see of other daemons' work is looked up. */
#define LOOK_EVERY_MS 2000
/* Of a multipart upload in S3. */
#define PARTS_MAX 10000u
#define PART_MIN (UINT64_C(5) << 20)
#define PART_MAX (UINT64_C(1) << 30)

static const char *const upload_statuses[] = {
    "initiated", "completed", "cancelled", "incomplete", "rejected_mime", "rejected_size", "failed",
};
static const char *const job_states[] = { "succeeded", "failed", "cancelled", "dead" };
static const char *const verdicts[] = { "clean", "infected", "mismatch", "unscannable",
                                        "scanner_down" };
static const char *const outcomes[] = { "released", "held", "rejected" };
static const char *const versions[] = { FILEPROC_VERSION_STRING };
static const double durations[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                    1,     2.5,  5,     10,   60,  300,  3600 };

void fpd_count_upload(fpd_app *app, size_t status)
{
    fpd_metric_count(app->uploads_total, &status, 1);
}

/* Runs on the uploader's thread after each durable change. */
static void on_progress(void *user_data, const fp_upload *upload)
{
    fpd_app *app = user_data;

    fpd_hub_publish(app->hub, upload);
    fpd_feed_upload(app->feed, upload);
    if (app->bridge)
        fpd_progress_bridge_tell(app->bridge, upload);
    if (strcmp(upload->status, "completed") == 0) {
        fpd_count_upload(app, FPD_UPLOAD_COMPLETED);
        fpd_metric_observe(app->upload_duration, NULL,
                           (double)(upload->updated_at_ms - upload->created_at_ms) / 1000.0);
    } else if (strcmp(upload->status, "cancelled") == 0) {
        fpd_count_upload(app, FPD_UPLOAD_CANCELLED);
    } else if (strcmp(upload->status, "failed") == 0) {
        fpd_count_upload(app, FPD_UPLOAD_FAILED);
    }
}

/* What a failed job says of itself is asked for only now: it is rare. */
static void log_job(fpd_app *app, const char *job_id, const char *file_id, const char *state)
{
    bool good = strcmp(state, "succeeded") == 0 || strcmp(state, "cancelled") == 0;
    int32_t level = good ? FILEPROC_LOG_DEBUG : FILEPROC_LOG_WARN;
    FPD_DISPOSE(fpd_text) line = FPD_TEXT_INIT(FPD_LOG_LINE_MAX);
    FPD_CLEANUP(fp_job) job = NULL;

    if (!fpd_log_enabled(level))
        return;
    fpd_log_begin(&line, level, "job");
    fpd_text_printf(&line, ",\"message\":\"job %s\",\"job_id\":\"%s\",\"file_id\":\"%s\"", state,
                    job_id, file_id);
    if (!good && fp_job_get(app->jobs, job_id, &job, NULL) == FILEPROC_OK) {
        fpd_text_string(&line, ",\"code\":");
        fpd_text_json(&line, job->error_code ? job->error_code : "");
        fpd_text_string(&line, ",\"detail\":");
        fpd_text_json(&line, job->error_detail ? job->error_detail : "");
        fpd_text_printf(&line, ",\"attempt\":%u", job->attempt);
    }
    fpd_log_write(&line);
}

/* Runs on the worker's thread, or that of the maintenance, after the commit. */
static void on_job_change(void *user_data, const char *job_id, const char *file_id,
                          const char *state, double progress)
{
    fpd_app *app = user_data;

    if (app->feed)
        fpd_feed_job(app->feed, job_id, file_id, state, progress);
    if (app->bridge)
        fpd_progress_bridge_tell_job(app->bridge, job_id, file_id, state, progress);
    for (size_t i = 0; i < sizeof(job_states) / sizeof(*job_states); i++)
        if (strcmp(job_states[i], state) == 0) {
            fpd_metric_count(app->jobs_finished, &i, 1);
            log_job(app, job_id, file_id, state);
        }
}

static size_t place_of(const char *const *words, size_t count, const char *word)
{
    size_t i = 0;

    while (i < count && strcmp(words[i], word) != 0)
        i++;
    return i;
}

static void log_outcome(const fp_quarantine_notice *n)
{
    int32_t level = strcmp(n->outcome, "released") == 0 ? FILEPROC_LOG_INFO : FILEPROC_LOG_WARN;
    FPD_DISPOSE(fpd_text) line = FPD_TEXT_INIT(FPD_LOG_LINE_MAX);

    if (!fpd_log_enabled(level))
        return;
    fpd_log_begin(&line, level, "quarantine");
    fpd_text_printf(&line, ",\"message\":\"file %s\",\"file_id\":\"%s\",\"verdict\":", n->outcome,
                    n->file_id);
    fpd_text_json(&line, n->verdict);
    fpd_text_string(&line, ",\"reason\":");
    fpd_text_json(&line, n->reason);
    fpd_text_string(&line, ",\"check\":");
    fpd_text_json(&line, n->step);
    fpd_log_write(&line);
}

/* Runs on the worker's thread, or a request's, after the commit. */
static void on_outcome(void *user_data, const fp_quarantine_notice *n)
{
    fpd_app *app = user_data;
    const char *verdict = strcmp(n->outcome, "retried") == 0 ? "scanner_down" : n->verdict;
    size_t outcome = place_of(outcomes, 3, n->outcome);

    log_outcome(n);
    if (verdict)
        fpd_metric_count(app->scans, (size_t[]){ place_of(verdicts, 5, verdict) }, 1);
    fpd_metric_count(app->quarantined, &outcome, 1);
    if (outcome < 3 && app->feed)
        fpd_feed_file(app->feed, n->file_id, n->outcome);
    if (outcome < 3 && app->bridge)
        fpd_progress_bridge_tell_file(app->bridge, n->file_id, n->outcome);
    if (outcome < 3)
        fpd_metric_observe(app->quarantine_seconds, NULL, (double)n->waited_ms / 1000.0);
}

static fp_status out_of_memory(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
}

/* Each is an open file; whatever comes, there is one for the next request. `part`: which part of all files they get at the most. */
static size_t file_limit(const fpd_app *app, const char *setting, unsigned part)
{
    size_t wanted = (size_t)fp_config_int(app->config, setting);
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / part < wanted)
        wanted = (size_t)(files.rlim_cur / part);
    return wanted;
}

static size_t max_watchers(const fpd_app *app)
{
    return file_limit(app, "FILEPROC_MAX_WATCHERS", 2);
}

static bool add_upload_metrics(fpd_app *app)
{
    const fpd_metric_spec uploads = { .name = "uploads_total",
                                      .help = "Total upload attempts",
                                      .kind = FPD_COUNTER,
                                      .labels = { { "status", upload_statuses, 7 } } };
    const fpd_metric_spec duration = { .name = "upload_duration_seconds",
                                       .kind = FPD_HISTOGRAM,
                                       .help = "Upload duration, from initiate to complete",
                                       .bounds = durations,
                                       .bound_count = sizeof(durations) / sizeof(*durations) };
    const fpd_metric_spec chunks = { .name = "chunks_uploaded_total",
                                     .help = "Total chunks uploaded",
                                     .kind = FPD_COUNTER };
    const fpd_metric_spec dropped = { .name = "fileproc_event_streams_dropped_total",
                                      .help = "Event streams ended because the peer did not read.",
                                      .kind = FPD_COUNTER };

    app->streams_dropped = fpd_metrics_add(app->metrics, &dropped);
    app->uploads_total = fpd_metrics_add(app->metrics, &uploads);
    app->upload_duration = fpd_metrics_add(app->metrics, &duration);
    app->chunks_uploaded = fpd_metrics_add(app->metrics, &chunks);
    app->hub =
        fpd_hub_new(max_watchers(app), file_limit(app, "FILEPROC_MAX_STREAMS", 4), app->metrics);
    app->feed = fpd_feed_new();
    app->streams = fpd_streams_new();
    app->writers = fpd_writers_new();
    return app->uploads_total && app->upload_duration && app->chunks_uploaded &&
           app->streams_dropped && app->hub && app->feed && app->streams && app->writers;
}

static bool add_quarantine_metrics(fpd_app *app)
{
    const fpd_metric_spec scans = { .name = "fileproc_scans_total",
                                    .help = "Verdicts on files in quarantine.",
                                    .kind = FPD_COUNTER,
                                    .labels = { { "verdict", verdicts, 5 } } };
    const fpd_metric_spec out = { .name = "fileproc_quarantine_total",
                                  .help = "What became of files in quarantine.",
                                  .kind = FPD_COUNTER,
                                  .labels = { { "outcome", outcomes, 3 } } };
    const fpd_metric_spec seconds = { .name = "fileproc_quarantine_seconds",
                                      .help = "From the completion of an upload to a decision.",
                                      .kind = FPD_HISTOGRAM,
                                      .bounds = durations,
                                      .bound_count = sizeof(durations) / sizeof(*durations) };

    if (!*fp_config_string(app->config, "FILEPROC_PREPUBLISH"))
        return true;
    app->scans = fpd_metrics_add(app->metrics, &scans);
    app->quarantined = fpd_metrics_add(app->metrics, &out);
    app->quarantine_seconds = fpd_metrics_add(app->metrics, &seconds);
    return app->scans && app->quarantined && app->quarantine_seconds;
}

static bool add_job_metrics(fpd_app *app)
{
    const fpd_metric_spec jobs = { .name = "fileproc_jobs_finished_total",
                                   .help = "Jobs ended in this process.",
                                   .kind = FPD_COUNTER,
                                   .labels = { { "state", job_states, 4 } } };

    app->jobs_finished = fpd_metrics_add(app->metrics, &jobs);
    return app->jobs_finished && add_quarantine_metrics(app);
}

/* Of what this service does: a counter that stays 0 for ever would only mislead. */
static fp_status add_metrics(fpd_app *app, fp_error *err)
{
    const fpd_metric_spec build = { .name = "fileproc_build_info",
                                    .help = "The version that runs.",
                                    .kind = FPD_GAUGE,
                                    .labels = { { "version", versions, 1 } } };
    fpd_metric *info;

    app->metrics = fpd_metrics_new();
    if (!app->metrics)
        return out_of_memory(err);
    info = fpd_metrics_add(app->metrics, &build);
    fpd_metric_set(info, (size_t[]){ 0 }, 1);
    if (!info || ((app->needs & FPD_NEEDS_UPLOADS) && !add_upload_metrics(app)) ||
        ((app->needs & FPD_NEEDS_JOBS) && !add_job_metrics(app)))
        return out_of_memory(err);
    return FILEPROC_OK;
}

/* ---- where things are ---- */

/* What belongs to one process at a time: files of ours, and databases in a file. */
static bool is_local(const char *uri)
{
    return strncmp(uri, "file:", 5) == 0 || strncmp(uri, "sqlite:", 7) == 0;
}

static const char *database_setting(const fpd_app *app)
{
    return app->needs & FPD_NEEDS_DATABASE ? fp_config_string(app->config, "DATABASE_URL")
                                           : "none:";
}

/* "" = the data folder. */
static const char *storage_setting(const fpd_app *app)
{
    const char *given = fp_config_string(app->config, "FILEPROC_STORAGE_URL");

    if (!(app->needs & FPD_NEEDS_STORAGE))
        return "none:";
    if (!*given && *fp_config_string(app->config, "MINIO_ENDPOINT"))
        return "s3:";
    return given;
}

/* Where an address of our own leads to another place, that one is locked; what is wrong with it the driver will say. */
static fp_status lock_elsewhere(fpd_app *app, size_t place, const char *uri, fp_error *err)
{
    char path[PATH_MAX], real[PATH_MAX];
    const char *start = strstr(uri, "://");

    if (!is_local(uri) || !start ||
        !fpd_percent_decode(start + 3, strcspn(start + 3, "?"), false, path, sizeof(path)))
        return FILEPROC_OK;
    if (strncmp(uri, "sqlite:", 7) == 0)
        return fpd_file_lock(path, &app->locks[place], err);
    if (!realpath(path, real) || (app->data.size && strcmp(real, app->data.data) == 0))
        return FILEPROC_OK;
    return fpd_folder_lock(real, &app->locks[place], err);
}

/* A folder without data is not the one that is meant. */
static fp_status find_folder(fpd_app *app, fp_error *err)
{
    const char *given = fp_config_string(app->config, "FILEPROC_DATA");
    char real[PATH_MAX];
    int fd = realpath(given, real) ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool found = fd >= 0 && (*database_setting(app) || faccessat(fd, "fileproc.db", R_OK, 0) == 0);

    if (fd >= 0)
        close(fd);
    if (!found)
        return fp_error_setf(err, FILEPROC_ERR_NOTFOUND, "FILEPROC_DATA %.200s: no data is there",
                             given);
    fpd_text_string(&app->data, real);
    return app->data.failed ? out_of_memory(err) : FILEPROC_OK;
}

/* Servers are there for many; then there is no folder. */
static fp_status open_folder(fpd_app *app, fp_error *err)
{
    const char *database = database_setting(app), *storage = storage_setting(app);
    fp_status rc;

    if (app->needs & FPD_BESIDE)
        return !*database || !*storage ? find_folder(app, err) : FILEPROC_OK;
    if (!*database || !*storage) {
        rc = fpd_folder_make(fp_config_string(app->config, "FILEPROC_DATA"), &app->data, err);
        if (rc == FILEPROC_OK)
            rc = fpd_folder_lock(app->data.data, &app->locks[0], err);
        if (rc < 0)
            return rc;
    }
    rc = lock_elsewhere(app, 1, database, err);
    return rc < 0 ? rc : lock_elsewhere(app, 2, storage, err);
}

/* Where objects are: what is said in so many words, the server of the starter kit's variables, the data folder. */
static void storage_uri(const fpd_app *app, fpd_text *uri)
{
    const char *given = fp_config_string(app->config, "FILEPROC_STORAGE_URL");
    const char *endpoint = fp_config_string(app->config, "MINIO_ENDPOINT");

    if (given && *given)
        fpd_text_string(uri, given);
    else if (endpoint && *endpoint)
        fpd_text_printf(uri, "s3://%s?endpoint=%s&secure=%d",
                        fp_config_string(app->config, "MINIO_BUCKET"), endpoint,
                        (int)fp_config_int(app->config, "MINIO_SECURE"));
    else
        fpd_folder_uri(uri, "file", app->data.data, "objects");
}

/* Chunks should be whole parts: then they go through without a copy. So a part is a chunk, or a whole fraction of one, as
 * small as the largest file allows. */
static uint64_t part_size(const fpd_app *app)
{
    uint64_t chunk = (uint64_t)fp_config_int(app->config, "CHUNK_SIZE");
    uint64_t least =
        ((uint64_t)fp_config_int(app->config, "MAX_FILE_SIZE") + PARTS_MAX - 1) / PARTS_MAX;

    least = least < PART_MIN ? PART_MIN : least > PART_MAX ? PART_MAX : least;
    for (uint64_t count = chunk / least; count > 0; count--)
        if (chunk % count == 0 && chunk / count <= PART_MAX)
            return chunk / count;
    return least;
}

static fp_status open_storage(fpd_app *app, fp_error *err)
{
    FPD_DISPOSE(fpd_text) uri = FPD_TEXT_INIT(4097);
    fp_storage_options o = FILEPROC_STORAGE_OPTIONS_INIT;

    storage_uri(app, &uri);
    if (uri.failed)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the storage's URI is too long");
    o.access_key = fp_config_string(app->config, "MINIO_ACCESS_KEY");
    o.secret_key = fp_config_string(app->config, "MINIO_SECRET_KEY");
    if (strncmp(uri.data, "s3:", 3) == 0 &&
        !(o.access_key && *o.access_key && o.secret_key && *o.secret_key))
        return fp_error_setf(err, FILEPROC_ERR_AUTH,
                             "an S3 store needs MINIO_ACCESS_KEY and MINIO_SECRET_KEY");
    o.part_size = part_size(app);
    return fp_storage_open(app->ctx, uri.data, &o, &app->storage, err);
}

static fp_status open_database(fpd_app *app, fp_error *err)
{
    FPD_DISPOSE(fpd_text) uri = FPD_TEXT_INIT(4096);
    const char *given = fp_config_string(app->config, "DATABASE_URL");
    fp_status rc;

    if (given && *given)
        fpd_text_string(&uri, given);
    else
        fpd_folder_uri(&uri, "sqlite", app->data.data, "fileproc.db");
    if (uri.failed)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the database's URI is too long");
    rc = fp_database_open(app->ctx, uri.data, NULL, &app->database, err);
    return rc < 0 || (app->needs & FPD_BESIDE) ? rc : fp_database_migrate(app->database, err);
}

static fp_status open_queue(fpd_app *app, fp_error *err)
{
    fp_queue_options o = FILEPROC_QUEUE_OPTIONS_INIT;
    const char *broker = fp_config_string(app->config, "RABBITMQ_URL");

    o.database = app->database;
    app->has_broker = broker && *broker;
    return fp_queue_open(app->ctx, app->has_broker ? broker : "database:", &o, &app->queue, err);
}

static fp_status open_catalog(fpd_app *app, fp_error *err)
{
    fp_status rc = fp_catalog_open(app->ctx, app->database, app->storage, &app->catalog, err);

    return rc < 0 ? rc : fp_catalog_set_cache(app->catalog, CATALOG_BYTES, CATALOG_AGE_MS, err);
}

static fp_status read_definitions(const char *path, char **out, fp_error *err)
{
    FPD_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    FPD_MEMORY text = NULL;
    size_t size = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't read FILEPROC_PIPELINES %.100s: %s", path,
                             strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)PIPELINES_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "FILEPROC_PIPELINES %.100s is no file of at most 4 MiB", path);
    text = calloc(1, (size_t)st.st_size + 1);
    if (!text)
        return fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
    while (size < (size_t)st.st_size) {
        ssize_t n = read(fd, text + size, (size_t)st.st_size - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fp_error_setf(err, FILEPROC_ERR_IO, "can't read FILEPROC_PIPELINES %.100s",
                                 path);
        size += (size_t)n;
    }
    *out = fpd_steal(&text);
    return FILEPROC_OK;
}

static uint64_t number(const fpd_app *app, const char *name)
{
    return (uint64_t)fp_config_int(app->config, name);
}

static const char *text_or_null(const fpd_app *app, const char *name)
{
    const char *text = fp_config_string(app->config, name);

    return text && *text ? text : NULL;
}

static fp_status open_pipelines(fpd_app *app, fp_error *err)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    const char *path = text_or_null(app, "FILEPROC_PIPELINES");
    FPD_MEMORY definitions = NULL;
    fp_status rc = path ? read_definitions(path, &definitions, err) : FILEPROC_OK;

    if (rc < 0)
        return rc;
    o.definitions = definitions;
    o.helper_path = text_or_null(app, "FILEPROC_HELPER");
    o.helper_memory_bytes = number(app, "FILEPROC_HELPER_MEMORY");
    o.wall_clock_ms = (uint32_t)number(app, "FILEPROC_HELPER_TIMEOUT");
    o.max_pixels = number(app, "FILEPROC_MAX_PIXELS");
    o.max_output_bytes = number(app, "FILEPROC_MAX_OUTPUT_SIZE");
    o.max_unpacked_bytes = number(app, "FILEPROC_MAX_UNPACKED_SIZE");
    o.max_entries = (uint32_t)number(app, "FILEPROC_MAX_ARCHIVE_ENTRIES");
    o.max_pages = (uint32_t)number(app, "FILEPROC_MAX_PAGES");
    o.clamd_uri = text_or_null(app, "FILEPROC_CLAMD_URI");
    o.scan_max_bytes = number(app, "FILEPROC_SCAN_MAX_SIZE");
    o.scan_timeout_ms = (uint32_t)number(app, "FILEPROC_SCAN_TIMEOUT");
    return fp_pipelines_open(app->ctx, &o, &app->pipelines, err);
}

/* Files of a time when there were checks are kept from readers all the same. */
static fp_status find_quarantined(fpd_app *app, fp_error *err)
{
    fp_quarantine_counts counts = FILEPROC_QUARANTINE_COUNTS_INIT;
    fp_status rc = FILEPROC_OK;

    app->quarantine = *fp_config_string(app->config, "FILEPROC_PREPUBLISH") != '\0';
    if (!app->quarantine && app->jobs)
        rc = fp_quarantine_count(app->jobs, &counts, err);
    app->quarantine = app->quarantine || counts.scanning || counts.held || counts.rejected;
    return rc;
}

/* The choices stand in the order of the library's numbers, which begin at 1. */
static uint32_t choice(const fpd_app *app, const char *name)
{
    return (uint32_t)number(app, name) + 1;
}

static fp_quarantine_options quarantine_options(fpd_app *app)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    o.checks = text_or_null(app, "FILEPROC_PREPUBLISH");
    o.on_unscannable = choice(app, "FILEPROC_SCAN_UNSCANNABLE");
    o.on_mismatch = choice(app, "FILEPROC_TYPE_MISMATCH");
    o.on_scanner_down = choice(app, "FILEPROC_SCAN_DOWN");
    o.keep_rejected = number(app, "FILEPROC_REJECTED") == 1;
    o.on_outcome = on_outcome;
    o.user_data = app;
    return o;
}

static fp_status open_jobs(fpd_app *app, fp_error *err)
{
    const fp_quarantine_options quarantine = quarantine_options(app);
    fp_jobs_options o = FILEPROC_JOBS_OPTIONS_INIT;

    o.database = app->database;
    o.queue = app->queue;
    o.storage = app->storage;
    o.catalog = app->catalog;
    o.pipelines = app->pipelines;
    o.lease_ms = (uint32_t)number(app, "FILEPROC_JOB_LEASE");
    o.max_attempts = (uint32_t)number(app, "FILEPROC_JOB_MAX_ATTEMPTS");
    o.backoff_base_ms = (uint32_t)number(app, "FILEPROC_JOB_BACKOFF_BASE");
    o.backoff_cap_ms = (uint32_t)number(app, "FILEPROC_JOB_BACKOFF_CAP");
    o.retention_ms = fp_config_int(app->config, "FILEPROC_JOB_RETENTION");
    o.quarantine = &quarantine;
    o.on_change = on_job_change;
    o.user_data = app;
    return fp_jobs_open(app->ctx, &o, &app->jobs, err);
}

static void set_limits(fpd_app *app)
{
    app->limit = (fpd_rate_limit){
        .per_client = number(app, "FILEPROC_RATE_LIMIT"),
        .per_owner = number(app, "FILEPROC_RATE_LIMIT_OWNER"),
        .window_ms = (uint32_t)number(app, "FILEPROC_RATE_WINDOW"),
        .proxies = fp_config_string(app->config, "FILEPROC_TRUSTED_PROXIES"),
    };
}

/* For the leases of uploads, the counts of limits, and what daemons tell each other. */
static fp_status open_cache(fpd_app *app, fp_error *err)
{
    const char *server = text_or_null(app, "REDIS_URL");
    fp_status rc;

    set_limits(app);
    if (!(app->needs & FPD_NEEDS_UPLOADS) && !app->limit.per_client &&
        !(server && (app->needs & FPD_NEEDS_JOBS)))
        return FILEPROC_OK;
    app->has_redis = server != NULL;
    rc = fp_cache_open(app->ctx, server ? server : "mem:", NULL, &app->cache, err);
    app->limit.cache = app->cache;
    return rc;
}

/* Database and store are servers', so other daemons may be at work there, too. */
static bool has_database_leases(const fpd_app *app)
{
    return !app->has_redis && !app->data.size;
}

static void on_lost(void *user_data, const char *upload_id)
{
    const fpd_app *app = user_data;

    fpd_writers_end(app->writers, upload_id);
}

static fp_status open_uploads(fpd_app *app, fp_error *err)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    o.database = app->database;
    o.storage = app->storage;
    o.catalog = app->catalog;
    o.jobs = app->jobs;
    o.allowed_types = fp_config_string(app->config, "ALLOWED_MIME_TYPES");
    o.bucket = fp_config_string(app->config, "MINIO_BUCKET");
    o.max_file_size = number(app, "MAX_FILE_SIZE");
    o.chunk_size = number(app, "CHUNK_SIZE");
    o.session_timeout_ms = fp_config_int(app->config, "SESSION_TIMEOUT");
    o.idle_timeout_ms = fp_config_int(app->config, "FILEPROC_IDLE_TIMEOUT");
    o.tombstone_ms = fp_config_int(app->config, "FILEPROC_TOMBSTONE");
    o.min_free_bytes = number(app, "FILEPROC_MIN_FREE");
    o.owner_max_bytes = number(app, "FILEPROC_OWNER_MAX_SIZE");
    o.owner_max_uploads = number(app, "FILEPROC_OWNER_MAX_UPLOADS");
    o.on_progress = on_progress;
    o.on_lost = on_lost;
    o.user_data = app;
    o.cache = app->has_redis ? app->cache : NULL;
    o.database_leases = has_database_leases(app);
    return fp_uploads_open(app->ctx, &o, &app->uploads, err);
}

static fp_status open_bridge(fpd_app *app, fp_error *err)
{
    const fpd_progress_bridge_options o = {
        .look_every_ms = app->has_redis ? 0 : LOOK_EVERY_MS,
        .cache = app->cache,
        .uploads = app->uploads,
        .hub = app->hub,
        .feed = app->feed,
        .metrics = app->metrics,
        .max_watchers = max_watchers(app),
    };

    if (!app->has_redis && !(app->uploads && has_database_leases(app)))
        return FILEPROC_OK;
    app->bridge = fpd_progress_bridge_start(&o, err);
    return app->bridge ? FILEPROC_OK : err->code;
}

/* In the order of dependence; a step is taken when any of its needs is needed. */
static const struct {
    unsigned needs;
    fp_status (*open)(fpd_app *app, fp_error *err);
} steps[] = {
    { ~0u, add_metrics },
    { ~0u, open_folder },
    { FPD_NEEDS_STORAGE, open_storage },
    { FPD_NEEDS_DATABASE, open_database },
    { FPD_NEEDS_QUEUE, open_queue },
    { FPD_NEEDS_CATALOG, open_catalog },
    { FPD_NEEDS_JOBS, open_pipelines },
    { FPD_NEEDS_JOBS, open_jobs },
    { FPD_NEEDS_STORAGE, find_quarantined },
    { ~0u, open_cache },
    { FPD_NEEDS_UPLOADS, open_uploads },
    { FPD_NEEDS_JOBS, open_bridge },
};

fp_status fpd_app_open(fpd_app *app, fp_context *ctx, const fp_config *config, const char *service,
                       unsigned needs, fp_error *err)
{
    memset(app, 0, sizeof(*app));
    app->ctx = ctx;
    app->config = config;
    app->service = service;
    app->needs = needs;
    /* Who gives out bytes has to know of which file they are. */
    if ((needs & FPD_NEEDS_STORAGE) && *fp_config_string(config, "FILEPROC_PREPUBLISH"))
        app->needs |= FPD_NEEDS_DATABASE | FPD_NEEDS_CATALOG;
    app->data = (fpd_text)FPD_TEXT_INIT(PATH_MAX);
    for (size_t i = 0; i < FPD_LOCKS; i++)
        app->locks[i] = -1;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        fp_status rc = steps[i].needs == ~0u || (steps[i].needs & app->needs)
                           ? steps[i].open(app, err)
                           : FILEPROC_OK;

        if (rc < 0) {
            fpd_app_close(app);
            return rc;
        }
    }
    return FILEPROC_OK;
}

void fpd_app_close(fpd_app *app)
{
    if (app->feed)
        fpd_feed_close(app->feed);
    fpd_streams_free(app->streams);
    fpd_progress_bridge_stop(app->bridge);
    fp_uploads_free(app->uploads);
    fp_cache_free(app->cache);
    fp_jobs_free(app->jobs);
    fp_pipelines_free(app->pipelines);
    fp_catalog_free(app->catalog);
    fp_queue_free(app->queue);
    fp_database_free(app->database);
    fp_storage_free(app->storage);
    fpd_writers_free(app->writers);
    fpd_feed_free(app->feed);
    fpd_hub_free(app->hub);
    fpd_metrics_free(app->metrics);
    for (size_t i = 0; i < FPD_LOCKS; i++)
        if (app->locks[i] >= 0)
            close(app->locks[i]);
    fpd_text_dispose(&app->data);
    memset(app, 0, sizeof(*app));
}
