/* Owns: whether the daemon is well: it asks what it depends on, instead of claiming.
 * Must not know: HTTP. */
#include "health.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "clock.h"
#include "log.h"

/* An answer is good for this long. */
#define FRESH_NS INT64_C(1000000000)
/* Who has not answered after this long is away, whatever it may still say. */
#define WAIT_NS INT64_C(2000000000)
/* Less free space than this is a warning that uploads will soon fail. */
#define FREE_BYTES_LEAST (UINT64_C(64) * 1024 * 1024)
/* Where copies of objects are made that are no files, before they are sent or processed. */
#define SCRATCH "/var/tmp"

/* What is asked over a connection, each by a thread of its own: one that hangs holds up no other, and no request. */
typedef struct checker {
    fpd_health *health;
    const char *name;
    bool (*ask)(const fpd_health *health);
    pthread_t thread;
    int64_t asked_ns, took_ns, done_ns; /* done_ns 0 = never */
    unsigned needs;
    bool started, asked, busy, well;
} checker;

#define CHECKERS 4u

struct fpd_health {
    fpd_app *app;
    bool needs_helper;
    char probe_key[32];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work, done;
    bool stopping;
    checker checkers[CHECKERS];
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

static bool failed(const char *probe, const fp_error *err)
{
    fpd_log(FILEPROC_LOG_ERROR, "health", "%s: %s", probe, err->message);
    return false;
}

static bool probe_database(const fpd_health *health)
{
    fp_error err = { 0 };

    return fp_database_ping(health->app->database, &err) == FILEPROC_OK || failed("database", &err);
}

/* Writes something and reads it back: a folder that became read-only or full says so here. The key is this process's own: two
 * that ask at once must not remove each other's. */
static bool probe_storage(const fpd_health *health)
{
    fp_storage *storage = health->app->storage;
    char written[FPD_RFC3339_SIZE], found[FPD_RFC3339_SIZE] = "";
    fp_error err = { 0 };
    size_t got = 0;

    fpd_rfc3339(fpd_now_ms(), written);
    if (fp_storage_put(storage, health->probe_key, written, strlen(written), 0, &err) < 0 ||
        fp_storage_read(storage, health->probe_key, 0, found, sizeof(found) - 1, &got, &err) < 0 ||
        fp_storage_remove(storage, health->probe_key, &err) < 0)
        return failed("storage", &err);
    return got == strlen(written) && memcmp(found, written, got) == 0;
}

static bool probe_queue(const fpd_health *health)
{
    fp_error err = { 0 };

    return fp_queue_ping(health->app->queue, &err) == FILEPROC_OK || failed("queue", &err);
}

static bool probe_redis(const fpd_health *health)
{
    fp_error err = { 0 };

    return fp_cache_ping(health->app->cache, &err) == FILEPROC_OK || failed("redis", &err);
}

/* ---- the threads ---- */

static void ask(checker *c)
{
    bool well;

    c->asked = false;
    c->busy = true;
    pthread_mutex_unlock(&c->health->lock);
    well = c->ask(c->health);
    pthread_mutex_lock(&c->health->lock);
    c->well = well;
    c->busy = false;
    c->done_ns = fpd_monotonic_ns();
    c->took_ns = c->done_ns - c->asked_ns;
    pthread_cond_broadcast(&c->health->done);
}

static void *run(void *arg)
{
    checker *c = arg;
    fpd_health *health = c->health;

    pthread_mutex_lock(&health->lock);
    while (!health->stopping)
        if (c->asked)
            ask(c);
        else
            pthread_cond_wait(&health->work, &health->lock);
    pthread_mutex_unlock(&health->lock);
    return NULL;
}

static bool start(fpd_health *health)
{
    const checker all[CHECKERS] = {
        { .name = "database", .needs = FPD_NEEDS_DATABASE, .ask = probe_database },
        { .name = "storage", .needs = FPD_NEEDS_STORAGE, .ask = probe_storage },
        { .name = health->app->has_broker ? "rabbitmq" : "queue",
          .needs = FPD_NEEDS_QUEUE,
          .ask = probe_queue },
        { .name = "redis",
          .needs = health->app->has_redis ? FPD_NEEDS_UPLOADS : 0,
          .ask = probe_redis },
    };

    for (size_t i = 0; i < CHECKERS; i++) {
        checker *c = &health->checkers[i];

        *c = all[i];
        c->health = health;
        if (!(c->needs & health->app->needs))
            continue;
        c->started = pthread_create(&c->thread, NULL, run, c) == 0;
        if (!c->started)
            return false;
    }
    return true;
}

static void name_key(fpd_health *health)
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        number = (uint64_t)fpd_now_ms() ^ (uint64_t)getpid() << 40;
    snprintf(health->probe_key, sizeof(health->probe_key), "health/%016llx",
             (unsigned long long)number);
}

fpd_health *fpd_health_new(fpd_app *app, bool needs_helper)
{
    fpd_health *health = calloc(1, sizeof(*health));
    pthread_condattr_t attr;

    if (!health)
        return NULL;
    health->app = app;
    health->needs_helper = needs_helper;
    name_key(health);
    pthread_mutex_init(&health->lock, NULL);
    pthread_cond_init(&health->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&health->done, &attr);
    pthread_condattr_destroy(&attr);
    if (!start(health)) {
        fpd_health_free(health);
        return NULL;
    }
    return health;
}

void fpd_health_free(fpd_health *health)
{
    if (!health)
        return;
    pthread_mutex_lock(&health->lock);
    health->stopping = true;
    pthread_cond_broadcast(&health->work);
    pthread_mutex_unlock(&health->lock);
    for (size_t i = 0; i < CHECKERS; i++)
        if (health->checkers[i].started)
            pthread_join(health->checkers[i].thread, NULL);
    pthread_cond_destroy(&health->done);
    pthread_cond_destroy(&health->work);
    pthread_mutex_destroy(&health->lock);
    free(health);
}

/* ---- the report ---- */

static void order(fpd_health *health)
{
    int64_t now = fpd_monotonic_ns();

    for (size_t i = 0; i < CHECKERS; i++) {
        checker *c = &health->checkers[i];

        if (!c->started || c->asked || c->busy || (c->done_ns && now - c->done_ns <= FRESH_NS))
            continue;
        c->asked = true;
        c->asked_ns = now;
    }
    pthread_cond_broadcast(&health->work);
}

/* When the first of those that have not answered is given up; 0 = all have. */
static int64_t patience(const fpd_health *health)
{
    int64_t now = fpd_monotonic_ns(), until = 0;

    for (size_t i = 0; i < CHECKERS; i++) {
        const checker *c = &health->checkers[i];

        if ((c->asked || c->busy) && c->asked_ns + WAIT_NS > now &&
            (!until || c->asked_ns + WAIT_NS < until))
            until = c->asked_ns + WAIT_NS;
    }
    return until;
}

static void add(fpd_health_report *r, fpd_health_probe probe)
{
    r->probes[r->count++] = probe;
    r->well = r->well && probe.well;
    r->serving = r->serving && (probe.well || !probe.vital);
}

static void report_checker(const checker *c, fpd_health_report *r)
{
    bool waiting = c->asked || c->busy;
    fpd_health_probe probe = {
        c->name, waiting ? "timeout" : "connected", c->needs, c->took_ns, c->well && !waiting, true
    };

    if (!waiting && !c->well)
        probe.answer = "disconnected";
    if (waiting)
        probe.latency_ns = fpd_monotonic_ns() - c->asked_ns;
    if (c->started)
        add(r, probe);
}

static void report_helper(const fpd_health *health, fpd_health_report *r)
{
    const char *path;
    bool well = !health->needs_helper || !fpd_helper_problem(health->app->config, &path);

    if (health->app->needs & FPD_NEEDS_WORKERS)
        add(r, (fpd_health_probe){ "helper", well ? "available" : "unavailable", FPD_NEEDS_WORKERS,
                                   -1, well, false });
}

static void report_disk(const fpd_health *health, fpd_health_report *r)
{
    const fpd_app *app = health->app;
    struct statvfs disk = { 0 };
    bool known, well;

    if (!app->data.size && !(app->needs & FPD_NEEDS_CATALOG))
        return;
    known = statvfs(app->data.size ? app->data.data : SCRATCH, &disk) == 0;
    r->has_disk = true;
    r->free_bytes = known ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
    well = r->free_bytes >= FREE_BYTES_LEAST;
    add(r, (fpd_health_probe){ "disk", well ? "available" : "full",
                               app->data.size ? FPD_NEEDS_STORAGE : FPD_NEEDS_CATALOG, -1, well,
                               false });
}

void fpd_health_check(fpd_health *health, fpd_health_report *out)
{
    int64_t until;

    *out = (fpd_health_report){ .well = true, .serving = true };
    pthread_mutex_lock(&health->lock);
    order(health);
    while ((until = patience(health)) != 0) {
        struct timespec at = { (time_t)(until / 1000000000), (long)(until % 1000000000) };

        pthread_cond_timedwait(&health->done, &health->lock, &at);
    }
    for (size_t i = 0; i < CHECKERS; i++)
        report_checker(&health->checkers[i], out);
    pthread_mutex_unlock(&health->lock);
    report_helper(health, out);
    report_disk(health, out);
}
