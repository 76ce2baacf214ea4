/* Owns: the tests of daemons/common/hub.c. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hub.h"
#include "runner.h"

/* A peer in memory that reads only while its gate is open. */
typedef struct peer {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool open, gone, dropped;
    int received, waiting;
    char last[512];
} peer;

static bool peer_send(void *self, const char *text, size_t size)
{
    peer *p = self;
    bool ok;

    pthread_mutex_lock(&p->lock);
    p->waiting++;
    pthread_cond_broadcast(&p->change);
    while (!p->open && !p->gone)
        pthread_cond_wait(&p->change, &p->lock);
    p->waiting--;
    ok = !p->gone;
    if (ok) {
        memcpy(p->last, text, size);
        p->last[size] = '\0';
        p->received++;
    }
    pthread_cond_broadcast(&p->change);
    pthread_mutex_unlock(&p->lock);
    return ok;
}

static void peer_drop(void *self)
{
    peer *p = self;

    pthread_mutex_lock(&p->lock);
    p->dropped = true;
    pthread_cond_broadcast(&p->change);
    pthread_mutex_unlock(&p->lock);
}

static void peer_init(peer *p, bool open)
{
    *p = (peer){ .open = open };
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->change, NULL);
}

static fpd_socket_link link_of(peer *p)
{
    return (fpd_socket_link){ peer_send, peer_drop, p };
}

static void set_open(peer *p, bool open)
{
    pthread_mutex_lock(&p->lock);
    p->open = open;
    pthread_cond_broadcast(&p->change);
    pthread_mutex_unlock(&p->lock);
}

#define WAIT_FOR(p, condition)                                                                     \
    do {                                                                                           \
        struct timespec at;                                                                        \
        clock_gettime(CLOCK_REALTIME, &at);                                                        \
        at.tv_sec += 20;                                                                           \
        pthread_mutex_lock(&(p)->lock);                                                            \
        while (!(condition))                                                                       \
            ck_assert_int_eq(pthread_cond_timedwait(&(p)->change, &(p)->lock, &at), 0);            \
        pthread_mutex_unlock(&(p)->lock);                                                          \
    } while (0)

static fp_upload state(const char *id, uint64_t chunks, const char *status)
{
    return (fp_upload){ .struct_size = sizeof(fp_upload),
                        .id = id,
                        .status = status,
                        .chunks_uploaded = chunks,
                        .total_chunks = 4 };
}

static void publish(fpd_hub *hub, const char *id, uint64_t chunks, const char *status)
{
    fp_upload u = state(id, chunks, status);

    fpd_hub_publish(hub, &u);
}

START_TEST(the_first_state_comes_at_once_and_then_every_change)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u1");
    fp_upload first = state("u1", 1, "uploading");
    fpd_socket_link link;
    peer p;

    peer_init(&p, true);
    link = link_of(&p);
    ck_assert(fpd_watcher_start(w, &link, &first));
    WAIT_FOR(&p, p.received == 1);
    ck_assert_str_eq(
        p.last,
        "{\"upload_id\":\"u1\",\"chunks_uploaded\":1,\"total_chunks\":4,\"percentage\":25.00,"
        "\"status\":\"uploading\"}");
    publish(hub, "u2", 3, "uploading");
    publish(hub, "u1", 2, "uploading");
    WAIT_FOR(&p, p.received == 2);
    ck_assert_ptr_nonnull(strstr(p.last, "\"percentage\":50.00"));
    publish(hub, "u1", 4, "completed");
    WAIT_FOR(&p, p.received == 3);
    ck_assert_ptr_nonnull(strstr(p.last, "\"status\":\"completed\""));
    fpd_watcher_free(w);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

/* While one watcher does not read, publishing returns at once, others see everything, and it later sees the latest. */
START_TEST(a_slow_watcher_holds_up_nobody)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, metrics);
    fpd_watcher *slow = fpd_watcher_new(hub, "u"), *fast = fpd_watcher_new(hub, "u");
    fp_upload first = state("u", 0, "initiated");
    fpd_socket_link slow_link, fast_link;
    peer s, f;

    peer_init(&s, false);
    peer_init(&f, true);
    slow_link = link_of(&s);
    fast_link = link_of(&f);
    ck_assert(fpd_watcher_start(slow, &slow_link, &first));
    ck_assert(fpd_watcher_start(fast, &fast_link, &first));
    WAIT_FOR(&s, s.waiting == 1);
    WAIT_FOR(&f, f.received == 1);
    for (uint64_t i = 1; i <= 4; i++) {
        publish(hub, "u", i, "uploading");
        WAIT_FOR(&f, f.received == (int)i + 1);
    }
    ck_assert_int_eq(s.received, 0);
    set_open(&s, true);
    WAIT_FOR(&s, s.received == 2);
    ck_assert_ptr_nonnull(strstr(s.last, "\"chunks_uploaded\":4"));
    fpd_watcher_free(slow);
    fpd_watcher_free(fast);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(a_watcher_never_goes_back)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u");
    fp_upload stale = state("u", 1, "uploading");
    fpd_socket_link link;
    peer p;

    peer_init(&p, true);
    link = link_of(&p);
    publish(hub, "u", 3, "uploading"); /* between the place and the start */
    ck_assert(fpd_watcher_start(w, &link, &stale));
    WAIT_FOR(&p, p.received == 1);
    ck_assert_ptr_nonnull(strstr(p.last, "\"chunks_uploaded\":3"));
    publish(hub, "u", 2, "uploading");
    publish(hub, "u", 4, "completed");
    WAIT_FOR(&p, strstr(p.last, "completed") != NULL);
    publish(hub, "u", 4, "uploading");
    publish(hub, "u", 4, "uploading");
    usleep(20000);
    ck_assert_ptr_nonnull(strstr(p.last, "completed"));
    fpd_watcher_free(w);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(a_watcher_that_fails_is_dropped)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u");
    fp_upload first = state("u", 1, "uploading");
    fpd_socket_link link;
    peer p;

    peer_init(&p, true);
    p.gone = true;
    link = link_of(&p);
    ck_assert(fpd_watcher_start(w, &link, &first));
    WAIT_FOR(&p, p.dropped);
    publish(hub, "u", 2, "uploading");
    fpd_watcher_free(w);
    ck_assert_int_eq(p.received, 0);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(places_are_limited_and_come_back)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(2, metrics);
    fpd_watcher *a = fpd_watcher_new(hub, "u"), *b = fpd_watcher_new(hub, "u");
    char long_id[100];

    ck_assert(a && b);
    ck_assert_ptr_null(fpd_watcher_new(hub, "v"));
    fpd_watcher_free(a);
    a = fpd_watcher_new(hub, "v");
    ck_assert_ptr_nonnull(a);
    fpd_watcher_free(a);
    memset(long_id, 'x', sizeof(long_id));
    long_id[sizeof(long_id) - 1] = '\0';
    ck_assert_ptr_null(fpd_watcher_new(hub, long_id));
    fpd_watcher_free(b);
    fpd_watcher_free(NULL);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(places_are_shared_with_those_who_watch_otherwise)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(2, metrics);
    fpd_watcher *w;

    ck_assert(fpd_hub_take_place(hub));
    w = fpd_watcher_new(hub, "u");
    ck_assert_ptr_nonnull(w);
    ck_assert(!fpd_hub_take_place(hub));
    ck_assert_ptr_null(fpd_watcher_new(hub, "u"));
    fpd_watcher_free(w);
    ck_assert(fpd_hub_take_place(hub));
    fpd_hub_give_place(hub);
    fpd_hub_close(hub);
    ck_assert(!fpd_hub_take_place(hub));
    fpd_hub_give_place(hub);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(closing_drops_all_and_lets_no_new_one_in)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, metrics);
    fpd_watcher *w[3];
    fpd_socket_link link;
    peer p[3];

    for (size_t i = 0; i < 3; i++) {
        peer_init(&p[i], true);
        link = link_of(&p[i]);
        w[i] = fpd_watcher_new(hub, "u");
        ck_assert(fpd_watcher_start(w[i], &link, NULL));
    }
    fpd_hub_close(hub);
    for (size_t i = 0; i < 3; i++) {
        WAIT_FOR(&p[i], p[i].dropped);
        fpd_watcher_free(w[i]);
    }
    ck_assert_ptr_null(fpd_watcher_new(hub, "u"));
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

static void *publish_many(void *hub)
{
    for (uint64_t i = 0; i < 3000; i++)
        publish(hub, "u", i, "uploading");
    return NULL;
}

START_TEST(watchers_come_and_go_while_others_publish)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(100, metrics);
    pthread_t publishers[2];
    peer p;

    peer_init(&p, true);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&publishers[i], NULL, publish_many, hub), 0);
    for (int i = 0; i < 200; i++) {
        fpd_watcher *w = fpd_watcher_new(hub, "u");
        fp_upload first = state("u", 0, "initiated");
        fpd_socket_link link = link_of(&p);

        ck_assert(fpd_watcher_start(w, &link, &first));
        fpd_watcher_free(w);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(publishers[i], NULL);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

RUN_TESTS("hub", the_first_state_comes_at_once_and_then_every_change,
          a_slow_watcher_holds_up_nobody, a_watcher_never_goes_back,
          a_watcher_that_fails_is_dropped, places_are_limited_and_come_back,
          places_are_shared_with_those_who_watch_otherwise,
          closing_drops_all_and_lets_no_new_one_in, watchers_come_and_go_while_others_publish)
