/* Owns: whether the daemon is well: it asks what it depends on, instead of claiming.
 * Must not know: HTTP. */
#include "health.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "log.h"

/* An answer is good for this long. */
#define FRESH_NS INT64_C(1000000000)
/* Less free space than this is a warning that uploads will soon fail. */
#define FREE_BYTES_LEAST (UINT64_C(64) * 1024 * 1024)
#define PROBE_KEY "health/probe"

struct fpd_health {
    fpd_app *app;
    bool needs_helper;
    pthread_mutex_t lock;
    fpd_health_report last;
    int64_t checked_ns; /* 0 = never */
};

const char *fpd_helper_problem(const fp_config *config, const char **path)
{
    struct stat st;

    *path = fp_config_string(config, "FILEPROC_HELPER");
    if (!*path || !**path)
        *path = FPD_HELPER_PATH;
    if (!fp_feature("media"))
        return "the library was built without it";
    if (stat(*path, &st) != 0)
        return "there is no such file";
    if (!S_ISREG(st.st_mode) || access(*path, X_OK) != 0)
        return "it can't be executed";
    return NULL;
}

fpd_health *fpd_health_new(fpd_app *app, bool needs_helper)
{
    fpd_health *health = calloc(1, sizeof(*health));

    if (!health)
        return NULL;
    health->app = app;
    health->needs_helper = needs_helper;
    pthread_mutex_init(&health->lock, NULL);
    return health;
}

void fpd_health_free(fpd_health *health)
{
    if (!health)
        return;
    pthread_mutex_destroy(&health->lock);
    free(health);
}

static bool failed(const char *probe, const fp_error *err)
{
    fpd_log(FILEPROC_LOG_ERROR, "health", "%s: %s", probe, err->message);
    return false;
}

static bool probe_database(fpd_app *app)
{
    fp_error err = { 0 };

    return fp_database_ping(app->database, &err) == FILEPROC_OK || failed("database", &err);
}

/* Writes something and reads it back: a folder that became read-only or full says so here. */
static bool probe_storage(fpd_app *app)
{
    char written[FPD_RFC3339_SIZE], found[FPD_RFC3339_SIZE] = "";
    fp_error err = { 0 };
    size_t got = 0;

    fpd_rfc3339(fpd_now_ms(), written);
    if (fp_storage_put(app->storage, PROBE_KEY, written, strlen(written), 0, &err) < 0 ||
        fp_storage_read(app->storage, PROBE_KEY, 0, found, sizeof(found) - 1, &got, &err) < 0 ||
        fp_storage_remove(app->storage, PROBE_KEY, &err) < 0)
        return failed("storage", &err);
    return got == strlen(written) && memcmp(found, written, got) == 0;
}

static bool probe_queue(fpd_app *app)
{
    fp_error err = { 0 };

    return fp_queue_ping(app->queue, &err) == FILEPROC_OK || failed("queue", &err);
}

static bool probe_redis(fpd_app *app)
{
    fp_error err = { 0 };

    return fp_cache_ping(app->cache, &err) == FILEPROC_OK || failed("redis", &err);
}

static bool probe_helper(const fpd_health *health)
{
    const char *path;

    return !health->needs_helper || !fpd_helper_problem(health->app->config, &path);
}

static void add(fpd_health_report *r, fpd_health_probe probe)
{
    r->probes[r->count++] = probe;
    r->well = r->well && probe.well;
    r->serving = r->serving && (probe.well || !probe.vital);
}

/* What is asked over a connection, as a rule. */
static void ask_one(fpd_health *health, const char *name, bool (*ask)(fpd_app *app))
{
    int64_t began = fpd_monotonic_ns();
    bool well = ask(health->app);

    add(&health->last, (fpd_health_probe){ name, well ? "connected" : "disconnected",
                                           fpd_monotonic_ns() - began, well, true });
}

static void ask(fpd_health *health)
{
    const fpd_app *app = health->app;
    fpd_health_report *r = &health->last;
    struct statvfs disk = { 0 };
    bool helper, room;

    *r = (fpd_health_report){ .well = true, .serving = true };
    ask_one(health, "database", probe_database);
    ask_one(health, "storage", probe_storage);
    ask_one(health, app->has_broker ? "rabbitmq" : "queue", probe_queue);
    if (app->has_redis)
        ask_one(health, "redis", probe_redis);
    helper = probe_helper(health);
    add(r, (fpd_health_probe){ "helper", helper ? "available" : "unavailable", -1, helper, false });
    if (statvfs(app->data.data, &disk) == 0)
        r->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    room = r->free_bytes >= FREE_BYTES_LEAST;
    add(r, (fpd_health_probe){ "disk", room ? "available" : "full", -1, room, false });
}

void fpd_health_check(fpd_health *health, fpd_health_report *out)
{
    pthread_mutex_lock(&health->lock);
    if (health->checked_ns == 0 || fpd_monotonic_ns() - health->checked_ns > FRESH_NS) {
        ask(health);
        health->checked_ns = fpd_monotonic_ns();
    }
    *out = health->last;
    pthread_mutex_unlock(&health->lock);
}
