/* Owns: the life of a daemon process: settings, start, draining, end.
 * Must not know: which services it has. */
#include "daemon.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hash_thread.h"
#include "health_routes.h"
#include "lifecycle.h"
#include "log.h"
#include "maintenance.h"
#include "peers.h"
#include "reap_dry_run.h"
#include "relay_thread.h"
#include "server.h"
#include "workers.h"

enum { EXIT_STARTING = 1, EXIT_SETTING = 2 };

/* Enough for the deepest JSON and for SQLite; the default of 8 MiB only makes core dumps large. */
#define THREAD_STACK (1024u * 1024u)

/* Everything that runs. */
typedef struct running {
    const fpd_daemon *what;
    fp_context *ctx;
    fp_config *config;
    fpd_app app;
    bool app_open;
    fpd_router router;
    fpd_health *health;
    fpd_health_state health_state;
    fpd_dispatcher *dispatcher;
    fpd_hash_thread *hashing;
    fpd_maintenance *maintenance;
    fpd_relay_thread *relay;
    fpd_server *server;
    fpd_workers *workers;
} running;

/* ---- settings ---- */

/* What has to be said before there is a log level is said in plain words. */
static int complain(const running *r, int status, const fp_error *err)
{
    fprintf(stderr, "%s: %s\n", r->what->name, err->message);
    return status;
}

static int print(running *r, fp_status (*write_text)(const fp_config *, fp_buf *, fp_error *))
{
    FPD_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (write_text(r->config, &text, &err) < 0)
        return complain(r, EXIT_STARTING, &err);
    if (text.size)
        fwrite(text.data, 1, text.size, stdout);
    return fflush(stdout) == 0 ? 0 : EXIT_STARTING;
}

static int show_reaper(const running *r)
{
    fp_error err = { 0 };

    if (fpd_reap_dry_run(r->ctx, r->config, r->what->name, r->what->needs, &err) == FILEPROC_OK)
        return 0;
    return complain(r, err.code == FILEPROC_ERR_INVALID ? EXIT_SETTING : EXIT_STARTING, &err);
}

/* -1 = go on and serve. */
static int obey_commands(running *r)
{
    if (fp_config_int(r->config, "FILEPROC_HELP")) {
        printf("usage: %s [options]\n\n", r->what->name);
        return print(r, fp_config_help);
    }
    if (fp_config_int(r->config, "FILEPROC_VERSION"))
        return printf("%s %s\n", r->what->name, fp_version_string()) > 0 ? 0 : EXIT_STARTING;
    if (fp_config_int(r->config, "FILEPROC_PRINT_CONFIG"))
        return print(r, fp_config_print);
    if (fp_config_int(r->config, "FILEPROC_REAP_DRY_RUN"))
        return show_reaper(r);
    return -1;
}

static int load_settings(running *r, int argc, char **argv)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };
    fp_status rc;

    o.log = fpd_log_hook;
    if (fp_context_new(&o, &r->ctx, &err) < 0 || fp_config_new(r->ctx, &r->config, &err) < 0)
        return complain(r, EXIT_STARTING, &err);
    rc = fp_config_load_environment(r->config, (const char *const *)environ, &err);
    if (rc == FILEPROC_OK)
        rc = fp_config_load_arguments(r->config, argc, (const char *const *)argv, &err);
    if (rc < 0)
        return complain(r, EXIT_SETTING, &err);
    fpd_log_set_service(r->what->name);
    fpd_log_set_level(fpd_log_level_by_name(fp_config_string(r->config, "LOG_LEVEL")));
    return obey_commands(r);
}

/* ---- the process ---- */

static void prepare_process(void)
{
    struct rlimit files;
    pthread_attr_t attr;

    /* Each arena keeps its own free memory: many threads with an arena each would hold on to much that nobody uses. */
    mallopt(M_ARENA_MAX, 2);                /* NOLINT(concurrency-mt-unsafe): there is one thread */
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024); /* NOLINT(concurrency-mt-unsafe) */
    /* The buffer of a request's body is used again by the next one, instead of being mapped page by page each time. */
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024); /* NOLINT(concurrency-mt-unsafe) */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (pthread_attr_init(&attr) == 0) {
        pthread_attr_setstacksize(&attr, THREAD_STACK);
        pthread_setattr_default_np(&attr);
        pthread_attr_destroy(&attr);
    }
}

/* What may be open at once. A connection that is served may bring an upload's two files; other uploads stay open for a while. */
enum { FILES_CONNECTION = 3, FILES_JOB = 8, FILES_UPLOADS = 2 * 128, FILES_REST = 64 };

static size_t worker_count(const running *r)
{
    int64_t wanted = fp_config_int(r->config, "FILEPROC_WORKERS");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (!(r->what->needs & FPD_NEEDS_WORKERS))
        return 0;
    if (wanted < 0) /* auto */
        return cores > 0 ? (size_t)cores : 1;
    return (size_t)wanted;
}

/* ---- start ---- */

/* Without a descriptor left no connection could even be told so. */
static fp_status check_files(const running *r, fp_error *err)
{
    int64_t threads = fp_config_int(r->config, "FILEPROC_HTTP_THREADS");
    uint64_t least = FILES_CONNECTION * (uint64_t)threads + FILES_JOB * worker_count(r) +
                     FPD_CONNECTIONS_QUEUED + FILES_UPLOADS + FILES_REST;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= least)
        return FILEPROC_OK;
    return fp_error_setf(
        err, FILEPROC_ERR_IO,
        "the limit of open files is %llu, and %lld connections and %zu jobs at once take at least %llu",
        (unsigned long long)files.rlim_cur, (long long)threads, worker_count(r),
        (unsigned long long)least);
}

static fp_status out_of_memory(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
}

/* Which names are ours is only known on loopback, or when we are told. */
static const char *allowed_hosts(const running *r)
{
    const char *given = fp_config_string(r->config, "FILEPROC_ALLOWED_HOSTS");

    return *given || fpd_is_loopback(fp_config_string(r->config, "FILEPROC_LISTEN")) ? given : NULL;
}

static fp_status make_parts(running *r, fp_error *err)
{
    r->health = fpd_health_new(&r->app, worker_count(r) > 0);
    if (!r->health || !fpd_peers_init())
        return out_of_memory(err);
    fpd_health_state_init(&r->health_state, &r->app, r->health);
    if (!fpd_health_routes_add(&r->router, &r->health_state) ||
        (r->what->add_routes && !r->what->add_routes(&r->router, &r->app)))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "there are more routes than the router holds");
    r->dispatcher =
        fpd_dispatcher_new(&r->router, r->app.metrics,
                           fp_config_string(r->config, "FILEPROC_CORS_ORIGINS"), allowed_hosts(r));
    if (!r->dispatcher)
        return out_of_memory(err);
    if (r->app.limit.per_client)
        fpd_dispatcher_set_limit(r->dispatcher, &r->app.limit);
    r->health_state.dispatcher = r->dispatcher;
    return FILEPROC_OK;
}

static fp_status start_maintenance(running *r, fp_error *err)
{
    const fpd_maintenance_options o = {
        .uploads = r->app.uploads,
        .jobs = r->what->needs & FPD_NEEDS_WORKERS ? r->app.jobs : NULL,
        .catalog = r->app.catalog,
        .storage = r->what->needs == FPD_NEEDS_STORAGE ? r->app.storage : NULL,
        .metrics = r->app.metrics,
        .quarantine = r->app.quarantine,
        .reap_interval_ms = fp_config_int(r->config, "FILEPROC_REAP_INTERVAL"),
        .reap_grace_ms = fp_config_int(r->config, "FILEPROC_REAP_GRACE"),
    };

    if (!o.uploads && !o.jobs && !o.catalog && !o.storage)
        return FILEPROC_OK;
    r->maintenance = fpd_maintenance_start(&o);
    return r->maintenance ? FILEPROC_OK : out_of_memory(err);
}

static fp_status start_relay(running *r, fp_error *err)
{
    const fpd_relay_thread_options o = {
        .ctx = r->ctx,
        .database = r->app.database,
        .queue = r->app.queue,
        .source = "/fileproc",
        .metrics = r->app.metrics,
    };

    if (!r->app.has_broker)
        return FILEPROC_OK;
    r->relay = fpd_relay_thread_start(&o, err);
    return r->relay ? FILEPROC_OK : err->code;
}

static int64_t port(const running *r)
{
    int64_t given = fp_config_int(r->config, "FILEPROC_PORT");

    return given < 0 ? r->what->port : given; /* auto */
}

static fp_status start_server(running *r, fp_error *err)
{
    const fpd_server_options o = {
        .address = fp_config_string(r->config, "FILEPROC_LISTEN"),
        .port = port(r),
        .insecure = fp_config_int(r->config, "FILEPROC_INSECURE") != 0,
        .threads = fp_config_int(r->config, "FILEPROC_HTTP_THREADS"),
        .keep_alive_ms = fp_config_int(r->config, "FILEPROC_KEEP_ALIVE_TIMEOUT"),
        .request_timeout_ms = fp_config_int(r->config, "FILEPROC_REQUEST_TIMEOUT"),
    };

    r->server = fpd_server_start(&o, r->dispatcher, err);
    return r->server ? FILEPROC_OK : err->code;
}

/* Workers come last: a port that is taken shall not cost a job an attempt. All metrics exist before the server reads them. */
static fp_status start(running *r, fp_error *err)
{
    fp_status rc = check_files(r, err);

    if (rc == FILEPROC_OK)
        rc = fpd_app_open(&r->app, r->ctx, r->config, r->what->name, r->what->needs, err);
    if (rc < 0)
        return rc;
    r->app_open = true;
    if (r->app.uploads)
        r->hashing = fpd_hash_thread_start(r->app.uploads);
    rc = make_parts(r, err);
    if (rc == FILEPROC_OK)
        rc = start_maintenance(r, err);
    if (rc == FILEPROC_OK)
        rc = start_relay(r, err);
    if (rc == FILEPROC_OK)
        rc = start_server(r, err);
    if (rc < 0)
        return rc;
    if (!(r->what->needs & FPD_NEEDS_WORKERS))
        return FILEPROC_OK;
    r->workers = fpd_workers_start(r->app.jobs, r->app.queue, worker_count(r), err);
    return r->workers ? FILEPROC_OK : err->code;
}

/* ---- end ---- */

static void drain(running *r, int number)
{
    int64_t timeout = fp_config_int(r->config, "FILEPROC_DRAIN_TIMEOUT");

    fpd_log(FILEPROC_LOG_INFO, "server", "SIG%s: draining, %lld requests in progress",
            sigabbrev_np(number), (long long)fpd_dispatcher_in_progress(r->dispatcher));
    fpd_dispatcher_drain(r->dispatcher);
    fpd_workers_stop(fpd_steal(&r->workers));
    if (r->app.hub)
        fpd_hub_close(r->app.hub);
    if (r->app.feed)
        fpd_feed_close(r->app.feed);
    if (!fpd_dispatcher_wait_idle(r->dispatcher, timeout))
        fpd_log(FILEPROC_LOG_WARN, "server", "the drain timeout is over: %lld requests are cut",
                (long long)fpd_dispatcher_in_progress(r->dispatcher));
}

/* The opposite order of the start; also after a start that stopped in the middle. */
static void release(running *r)
{
    fpd_workers_stop(r->workers);
    fpd_server_stop(r->server);
    fpd_hash_thread_stop(r->hashing);
    fpd_maintenance_stop(r->maintenance);
    fpd_relay_thread_stop(r->relay);
    fpd_dispatcher_free(r->dispatcher);
    fpd_health_state_dispose(&r->health_state);
    fpd_health_free(r->health);
    if (r->app_open)
        fpd_app_close(&r->app);
    fp_config_free(r->config);
    fp_context_free(r->ctx);
}

/* What works nevertheless is to work, and what doesn't is not to come as a surprise. */
static void warn(const running *r)
{
    const char *address = fp_config_string(r->config, "FILEPROC_LISTEN"), *path;
    const char *problem = worker_count(r) > 0 ? fpd_helper_problem(r->config, &path) : NULL;

    if (!fpd_is_loopback(address))
        fpd_log(FILEPROC_LOG_WARN, "server",
                "--insecure: everyone who reaches %s can read and delete everything", address);
    if (r->app.uploads && !r->app.has_redis && !r->app.data.size)
        fpd_log(
            FILEPROC_LOG_WARN, "uploads",
            "without REDIS_URL watchers hear late of what other daemons do; leases are in the database");
    if (problem)
        fpd_log(FILEPROC_LOG_WARN, "server", "FILEPROC_HELPER %s: %s; jobs that need it will fail",
                path, problem);
}

/* Another program's variables are not ours to judge, so only names that begin like our own. */
static void warn_of_strangers(const running *r)
{
    static const char prefix[] = "FILEPROC_";

    for (char **v = environ; *v; v++) {
        size_t size = strcspn(*v, "=");
        const char *nearest;

        if (strncmp(*v, prefix, sizeof(prefix) - 1) != 0 || !(*v)[size] || !(*v)[size + 1] ||
            fp_config_knows(r->config, *v))
            continue;
        nearest = fp_config_nearest(r->config, *v);
        fpd_log(FILEPROC_LOG_WARN, "settings", "%.*s is no setting and is ignored%s%s%s",
                size < 100 ? (int)size : 100, *v, nearest ? "; did you mean " : "",
                nearest ? nearest : "", nearest ? "?" : "");
    }
}

static int serve(running *r)
{
    fp_error err = { 0 };
    const char *address = fp_config_string(r->config, "FILEPROC_LISTEN");
    int number;

    if (!fpd_lifecycle_install()) {
        (void)fp_error_setf(&err, FILEPROC_ERR_IO, "can't handle signals");
        return complain(r, EXIT_STARTING, &err);
    }
    warn_of_strangers(r); /* first: it may be why the start fails */
    prepare_process();
    if (start(r, &err) < 0)
        return complain(r, err.code == FILEPROC_ERR_INVALID ? EXIT_SETTING : EXIT_STARTING, &err);
    atomic_store(&r->health_state.started, true);
    warn(r);
    fpd_log(FILEPROC_LOG_INFO, "server",
            "listening on http://%s:%d, version %s, data %s%s, %zu workers", address,
            fpd_server_port(r->server), fp_version_string(),
            r->app.data.size ? "in " : "on servers", r->app.data.size ? r->app.data.data : "",
            worker_count(r));
    number = fpd_lifecycle_wait(-1);
    drain(r, number);
    return 0;
}

int fpd_daemon_main(const fpd_daemon *what, int argc, char **argv)
{
    running r = { .what = what };
    int status = load_settings(&r, argc, argv);
    bool served = status < 0;

    if (served)
        status = serve(&r);
    release(&r);
    if (served && status == 0)
        fpd_log(FILEPROC_LOG_INFO, "server", "stopped");
    return status;
}
