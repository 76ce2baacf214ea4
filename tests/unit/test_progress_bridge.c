/* Owns: the tests of daemons/common/progress_bridge.c: two daemons in one process, with a cache in memory between them.
 * Must not know: Redis (tests/e2e/test_replicas.py). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fileproc/driver/cache_driver.h>

#include "progress_bridge.h"
#include "runner.h"

/* ---- a cache whose publishing can be stopped ---- */

static fp_cache *real;
static atomic_bool away;
static atomic_int published; /* to the channels of single uploads */

static fp_status relay_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                            void **self, fp_error *err)
{
    (void)ctx;
    (void)uri;
    (void)opts;
    (void)err;
    *self = &away;
    return FILEPROC_OK;
}

static void relay_close(void *self)
{
    (void)self;
}

static fp_status relay_publish(void *self, const char *channel, const void *data, size_t size,
                               uint32_t flags, fp_error *err)
{
    (void)self;
    (void)flags;
    if (atomic_load(&away))
        return fp_error_setf(err, FILEPROC_ERR_BUSY, "the test took the cache away");
    if (strncmp(channel, "progress.", 9) == 0)
        atomic_fetch_add(&published, 1);
    return fp_cache_publish(real, channel, data, size, err);
}

static fp_status relay_subscribe(void *self, void **sub, fp_error *err)
{
    (void)self;
    return fp_cache_subscribe(real, (fp_subscription **)sub, err);
}

static fp_status relay_add(void *sub, const char *channel, fp_error *err)
{
    return fp_subscription_add(sub, channel, err);
}

static void relay_remove(void *sub, const char *channel)
{
    fp_subscription_remove(sub, channel);
}

static fp_status relay_receive(void *sub, uint32_t timeout_ms, fp_news *news, fp_error *err)
{
    return fp_subscription_receive(sub, timeout_ms, news, err);
}

static void relay_wake(void *sub)
{
    fp_subscription_wake(sub);
}

static void relay_free(void *sub)
{
    fp_subscription_free(sub);
}

/* The slots that a bridge does not use lead nowhere. */
static const fp_cache_driver *relay(void)
{
    static fp_cache_driver driver;

    memset(&driver, 0x55, sizeof(driver));
    driver.struct_size = sizeof(driver);
    driver.scheme = "relay";
    driver.open = relay_open;
    driver.close = relay_close;
    driver.publish = relay_publish;
    driver.subscribe = relay_subscribe;
    driver.subscription_add = relay_add;
    driver.subscription_remove = relay_remove;
    driver.subscription_receive = relay_receive;
    driver.subscription_wake = relay_wake;
    driver.subscription_free = relay_free;
    return &driver;
}

/* ---- two daemons ---- */

typedef struct side {
    fpd_metrics *metrics;
    fpd_hub *hub;
    fpd_feed *feed;
    fpd_progress_bridge *bridge;
} side;

static fp_context *ctx;
static fp_database *db;
static fp_storage *st;
static fp_catalog *cat;
static fp_uploads *ups;
static fp_cache *cache;
static side a, b;

#define MUST(call) ck_assert_int_eq((call), FILEPROC_OK)

static void open_side(side *s, int64_t look_every_ms)
{
    fpd_progress_bridge_options o = { .cache = cache, .uploads = ups, .max_watchers = 8 };
    fp_error err = { 0 };

    s->metrics = fpd_metrics_new();
    s->hub = fpd_hub_new(8, 8, s->metrics);
    s->feed = fpd_feed_new();
    o.hub = s->hub;
    o.feed = s->feed;
    o.metrics = s->metrics;
    o.look_every_ms = look_every_ms;
    s->bridge = fpd_progress_bridge_start(&o, &err);
    ck_assert_msg(s->bridge != NULL, "%s", err.message);
}

static void close_side(side *s)
{
    fpd_progress_bridge_stop(s->bridge);
    fpd_feed_free(s->feed);
    fpd_hub_free(s->hub);
    fpd_metrics_free(s->metrics);
}

static void open_world(int64_t look_every_ms)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;

    MUST(fp_context_new(NULL, &ctx, NULL));
    MUST(fp_context_add_cache_driver(ctx, relay(), NULL));
    MUST(fp_database_open(ctx, "sqlite::memory:", NULL, &db, NULL));
    MUST(fp_database_migrate(db, NULL));
    MUST(fp_storage_open(ctx, "mem:", NULL, &st, NULL));
    MUST(fp_catalog_open(ctx, db, st, &cat, NULL));
    o.database = db;
    o.storage = st;
    o.catalog = cat;
    o.chunk_size = 10;
    o.allowed_types = "*";
    MUST(fp_uploads_open(ctx, &o, &ups, NULL));
    MUST(fp_cache_open(ctx, "mem:", NULL, &real, NULL));
    MUST(fp_cache_open(ctx, "relay:", NULL, &cache, NULL));
    atomic_store(&away, false);
    atomic_store(&published, 0);
    open_side(&a, look_every_ms);
    open_side(&b, look_every_ms);
}

static void close_world(void)
{
    close_side(&a);
    close_side(&b);
    fp_cache_free(cache);
    fp_cache_free(real);
    fp_uploads_free(ups);
    fp_catalog_free(cat);
    fp_storage_free(st);
    fp_database_free(db);
    fp_context_free(ctx);
}

/* ---- a watcher in memory ---- */

typedef struct peer {
    fpd_watcher *watcher;
    int received;
    char last[FPD_SOCKET_TEXT_MAX + 1];
} peer;

static void ignore(void *self)
{
    (void)self;
}

/* What it is not told of it would not fetch; that is the hub's own test. */
static void fetch(peer *p)
{
    char text[FPD_SOCKET_TEXT_MAX];
    size_t size = fpd_watcher_take(p->watcher, text);

    if (size == 0)
        return;
    memcpy(p->last, text, size);
    p->last[size] = '\0';
    p->received++;
}

static fpd_watcher *watch(side *s, peer *p, const char *id)
{
    fpd_socket_link link = { NULL, ignore, ignore, p };
    fpd_watcher *w = fpd_watcher_new(s->hub, id);

    ck_assert_ptr_nonnull(w);
    *p = (peer){ .watcher = w };
    fpd_watcher_start(w, &link, NULL);
    return w;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void must_see(peer *p, const char *text)
{
    bool seen = false;

    for (int i = 0; i < 500 && !seen; i++) {
        fetch(p);
        seen = strstr(p->last, text) != NULL;
        if (!seen)
            pause_ms(10);
    }
    ck_assert_msg(seen, "%s is not seen, but %s", text, p->last);
}

static int received(peer *p)
{
    fetch(p);
    return p->received;
}

static fp_upload state(const char *id, uint64_t chunks, const char *status)
{
    return (fp_upload){ .struct_size = sizeof(fp_upload),
                        .id = id,
                        .status = status,
                        .chunks_uploaded = chunks,
                        .total_chunks = 4 };
}

/* As a daemon does after each durable change. */
static void tell(side *s, const char *id, uint64_t chunks, const char *status)
{
    fp_upload upload = state(id, chunks, status);

    fpd_hub_publish(s->hub, &upload);
    fpd_progress_bridge_tell(s->bridge, &upload);
}

START_TEST(watcher_sees_what_the_other_daemon_tells)
{
    fpd_watcher *w;
    peer p;

    open_world(0);
    w = watch(&b, &p, "upload-1");
    pause_ms(100); /* until the channel is heard */
    tell(&a, "upload-1", 1, "uploading");
    must_see(&p, "\"chunks_uploaded\":1,\"total_chunks\":4,\"percentage\":25.00");
    tell(&a, "upload-2", 3, "uploading");
    tell(&a, "upload-1", 4, "completed");
    must_see(&p, "\"status\":\"completed\"");
    ck_assert_int_eq(received(&p), 2);
    fpd_watcher_free(w);
    close_world();
}
END_TEST

START_TEST(own_messages_come_once)
{
    fpd_watcher *w;
    peer p;

    open_world(0);
    w = watch(&a, &p, "upload-1");
    pause_ms(100);
    tell(&a, "upload-1", 1, "uploading");
    must_see(&p, "\"chunks_uploaded\":1");
    pause_ms(300);
    ck_assert_int_eq(received(&p), 1);
    fpd_watcher_free(w);
    close_world();
}
END_TEST

static void make_upload(char id[64])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;

    r.filename = "a";
    r.mime_type = "text/plain";
    r.size = 20;
    MUST(fp_upload_create(ups, &r, &u, NULL));
    snprintf(id, 64, "%s", u->id);
    fp_upload_free(u);
}

static void store_chunk(const char *id, uint64_t index)
{
    fp_chunk *c = NULL;

    MUST(fp_chunk_begin(ups, id, index, NULL, &c, NULL));
    MUST(fp_chunk_write(c, "0123456789", 10, NULL));
    MUST(fp_chunk_commit(c, NULL, NULL));
    fp_chunk_free(c);
}

START_TEST(what_was_missed_is_read)
{
    fpd_watcher *w;
    char id[64];
    peer p;

    open_world(300);
    make_upload(id);
    store_chunk(id, 0); /* nobody tells of it */
    w = watch(&b, &p, id);
    must_see(&p, "\"chunks_uploaded\":1,\"total_chunks\":2"); /* the channel is heard from now on */
    store_chunk(id, 1);
    must_see(&p, "\"chunks_uploaded\":2,\"total_chunks\":2"); /* it was looked at */
    fpd_watcher_free(w);
    close_world();
}
END_TEST

START_TEST(telling_never_waits_and_the_latest_state_arrives)
{
    struct timespec began, ended;
    fpd_watcher *w;
    char id[64];
    peer p;

    open_world(0);
    w = watch(&b, &p, "upload-1");
    pause_ms(100);
    atomic_store(&away, true);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "other-%d", i % 100);
        tell(&a, "upload-1", (uint64_t)i, "uploading");
        tell(&a, id, 1, "uploading");
    }
    tell(&a, "upload-1", 1000, "completed");
    tell(&a, "upload-1", 7, "uploading"); /* somebody who was slower */
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 2);
    pause_ms(500);
    ck_assert_int_eq(received(&p), 0);
    atomic_store(&away, false);
    must_see(&p, "\"chunks_uploaded\":1000,\"total_chunks\":4");
    must_see(&p, "\"status\":\"completed\"");
    fpd_watcher_free(w);
    close_world();
}
END_TEST

START_TEST(too_much_to_tell_is_dropped)
{
    char id[64];

    open_world(0);
    atomic_store(&away, true);
    for (int i = 0; i < 5000; i++) {
        snprintf(id, sizeof(id), "upload-%d", i);
        tell(&a, id, 1, "uploading");
    }
    atomic_store(&away, false);
    for (int i = 0; i < 500 && atomic_load(&published) < 256; i++)
        pause_ms(10);
    pause_ms(100);
    ck_assert_int_ge(atomic_load(&published), 256);
    ck_assert_int_le(atomic_load(&published), 300);
    close_world();
}
END_TEST

/* The next event; what daemons that have nothing to do with each other say is passed over by nobody. */
static fpd_event must_hear(fpd_feed_watcher *w, unsigned kind)
{
    fpd_event e = { 0 };

    ck_assert_int_eq(fpd_feed_next(w, 5000, &e), FPD_FEED_EVENT);
    ck_assert_uint_eq(e.kind, kind);
    return e;
}

START_TEST(who_follows_hears_of_all_uploads_and_jobs)
{
    fp_upload done = state("upload-2", 4, "completed");
    fp_upload unknown = { .id = "upload-0", .status = "initiated", .size_unknown = 1 };
    fpd_feed_watcher w;
    fpd_event e;

    open_world(0);
    fpd_feed_enter(b.feed, &w, FPD_EVENT_UPLOAD | FPD_EVENT_JOB | FPD_EVENT_FILE, NULL, NULL);
    fpd_progress_bridge_follow(b.bridge);
    fpd_progress_bridge_follow(b.bridge);
    (void)must_hear(&w, FPD_EVENT_GAP); /* from now on */
    tell(&a, "upload-1", 1, "uploading");
    e = must_hear(&w, FPD_EVENT_UPLOAD);
    ck_assert_str_eq(e.upload_id, "upload-1");
    ck_assert_str_eq(e.file_id, "");
    ck_assert_uint_eq(e.chunks, 1);
    ck_assert_uint_eq(e.total, 4);
    ck_assert(!e.size_unknown);
    fpd_progress_bridge_tell(a.bridge, &unknown);
    e = must_hear(&w, FPD_EVENT_UPLOAD);
    ck_assert_str_eq(e.upload_id, "upload-0");
    ck_assert(e.size_unknown);
    done.file_id = "file-2";
    done.job_id = "job-2";
    fpd_progress_bridge_tell(a.bridge, &done);
    e = must_hear(&w, FPD_EVENT_UPLOAD);
    ck_assert_str_eq(e.file_id, "file-2");
    ck_assert_str_eq(e.job_id, "job-2");
    ck_assert_str_eq(e.state, "completed");
    fpd_progress_bridge_tell_job(a.bridge, "job-2", "file-2", "running", 0.25);
    e = must_hear(&w, FPD_EVENT_JOB);
    ck_assert_str_eq(e.job_id, "job-2");
    ck_assert_str_eq(e.file_id, "file-2");
    ck_assert(e.progress == 0.25);
    fpd_progress_bridge_tell_file(a.bridge, "file-2", "rejected");
    e = must_hear(&w, FPD_EVENT_FILE);
    ck_assert_str_eq(e.file_id, "file-2");
    ck_assert_str_eq(e.state, "rejected");
    tell(&b, "upload-3", 1, "uploading"); /* its own messages a daemon does not hear */
    pause_ms(300);
    ck_assert_int_eq(fpd_feed_next(&w, 0, &e), FPD_FEED_NOTHING);
    fpd_feed_leave(&w);
    close_world();
}
END_TEST

START_TEST(nonsense_on_the_channel_is_passed_over)
{
    const char *const wrong[] = { "",
                                  "x",
                                  "x job",
                                  "x job j f running",
                                  "x upload u 1 2 uploading",
                                  "x file",
                                  "x file f",
                                  "x upload u one 2 uploading - -",
                                  "x other j f running 0.5" };
    fpd_feed_watcher w;
    fpd_event e;

    open_world(0);
    fpd_feed_enter(b.feed, &w, FPD_EVENT_UPLOAD | FPD_EVENT_JOB, NULL, NULL);
    fpd_progress_bridge_follow(b.bridge);
    (void)must_hear(&w, FPD_EVENT_GAP);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        MUST(fp_cache_publish(real, "events", wrong[i], strlen(wrong[i]), NULL));
    MUST(fp_cache_publish(real, "events", "x job j f running 0.5", 21, NULL));
    e = must_hear(&w, FPD_EVENT_JOB);
    ck_assert_str_eq(e.job_id, "j");
    fpd_feed_leave(&w);
    close_world();
}
END_TEST

/* A daemon that only runs jobs has nobody who watches. */
START_TEST(a_daemon_without_watchers_only_tells)
{
    fpd_progress_bridge_options o = { 0 };
    FPD_CLEANUP(fpd_metrics) metrics = fpd_metrics_new();
    fpd_progress_bridge *bridge;
    fpd_feed_watcher w;

    open_world(0);
    o.cache = cache;
    o.metrics = metrics;
    bridge = fpd_progress_bridge_start(&o, NULL);
    ck_assert_ptr_nonnull(bridge);
    fpd_feed_enter(b.feed, &w, FPD_EVENT_JOB, NULL, NULL);
    fpd_progress_bridge_follow(b.bridge);
    fpd_progress_bridge_follow(bridge);
    (void)must_hear(&w, FPD_EVENT_GAP);
    fpd_progress_bridge_tell_job(bridge, "job-1", "file-1", "succeeded", 1);
    ck_assert_str_eq(must_hear(&w, FPD_EVENT_JOB).job_id, "job-1");
    fpd_feed_leave(&w);
    fpd_progress_bridge_stop(bridge);
    close_world();
}
END_TEST

START_TEST(stopping_does_not_wait_for_a_cache_that_is_away)
{
    struct timespec began, ended;

    open_world(0);
    atomic_store(&away, true);
    tell(&a, "upload-1", 1, "uploading");
    clock_gettime(CLOCK_MONOTONIC, &began);
    close_world();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 3);
}
END_TEST

RUN_TESTS("progress_bridge", watcher_sees_what_the_other_daemon_tells, own_messages_come_once,
          what_was_missed_is_read, telling_never_waits_and_the_latest_state_arrives,
          too_much_to_tell_is_dropped, who_follows_hears_of_all_uploads_and_jobs,
          nonsense_on_the_channel_is_passed_over, a_daemon_without_watchers_only_tells,
          stopping_does_not_wait_for_a_cache_that_is_away)
