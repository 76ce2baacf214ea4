/* Owns: the tests of daemons/common/hub.c. */
#include <pthread.h>
#include <string.h>

#include "hub.h"
#include "runner.h"

/* A peer that fetches when it is told to. */
typedef struct peer {
    int woken, dropped, received;
    char last[FPD_SOCKET_TEXT_MAX + 1];
} peer;

static void peer_wake(void *self)
{
    ((peer *)self)->woken++;
}

static void peer_drop(void *self)
{
    ((peer *)self)->dropped++;
}

static fpd_socket_link link_of(peer *p)
{
    *p = (peer){ 0 };
    return (fpd_socket_link){ NULL, peer_wake, peer_drop, p };
}

/* Whether there was something. */
static bool fetch(peer *p, fpd_watcher *w)
{
    size_t size = fpd_watcher_take(w, p->last);

    if (size == 0)
        return false;
    p->last[size] = '\0';
    p->received++;
    return true;
}

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
    fpd_hub *hub = fpd_hub_new(10, 10, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u1");
    fp_upload first = state("u1", 1, "uploading");
    peer p;
    fpd_socket_link link = link_of(&p);

    fpd_watcher_start(w, &link, &first);
    ck_assert_int_eq(p.woken, 1);
    ck_assert(fetch(&p, w));
    ck_assert_str_eq(
        p.last,
        "{\"upload_id\":\"u1\",\"chunks_uploaded\":1,\"total_chunks\":4,\"percentage\":25.00,"
        "\"status\":\"uploading\"}");
    ck_assert(!fetch(&p, w));
    publish(hub, "u2", 3, "uploading");
    ck_assert_int_eq(p.woken, 1);
    publish(hub, "u1", 2, "uploading");
    ck_assert_int_eq(p.woken, 2);
    ck_assert(fetch(&p, w));
    ck_assert_ptr_nonnull(strstr(p.last, "\"percentage\":50.00"));
    publish(hub, "u1", 4, "completed");
    ck_assert(fetch(&p, w));
    ck_assert_ptr_nonnull(strstr(p.last, "\"status\":\"completed\""));
    fpd_watcher_free(w);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

/* Publishing does not wait for it, others see everything, and it later sees the latest. */
START_TEST(a_slow_watcher_holds_up_nobody)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, 10, metrics);
    fpd_watcher *slow = fpd_watcher_new(hub, "u"), *fast = fpd_watcher_new(hub, "u");
    fp_upload first = state("u", 0, "initiated");
    peer s, f;
    fpd_socket_link slow_link = link_of(&s), fast_link = link_of(&f);

    fpd_watcher_start(slow, &slow_link, &first);
    fpd_watcher_start(fast, &fast_link, &first);
    ck_assert(fetch(&f, fast));
    for (uint64_t i = 1; i <= 4; i++) {
        publish(hub, "u", i, "uploading");
        ck_assert(fetch(&f, fast));
    }
    ck_assert_int_eq(f.received, 5);
    ck_assert(fetch(&s, slow));
    ck_assert_ptr_nonnull(strstr(s.last, "\"chunks_uploaded\":4"));
    ck_assert(!fetch(&s, slow));
    fpd_watcher_free(slow);
    fpd_watcher_free(fast);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(what_is_watched_is_listed_once_and_told_once)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(1000, 10, metrics);
    char ids[10][FPD_HUB_ID_SIZE];
    static peer p[900];
    static fpd_watcher *w[900];

    for (int i = 0; i < 900; i++) {
        const char *names[] = { "a", "b", "c" };
        fpd_socket_link link = link_of(&p[i]);

        w[i] = fpd_watcher_new(hub, names[i % 3]);
        fpd_watcher_start(w[i], &link, NULL);
    }
    ck_assert_uint_eq(fpd_hub_watched(hub, ids, 10), 3);
    ck_assert_uint_eq(fpd_hub_watched(hub, ids, 2), 2);
    publish(hub, "b", 1, "uploading");
    publish(hub, "b", 1, "uploading");
    for (int i = 0; i < 900; i++)
        ck_assert_int_eq(p[i].woken, i % 3 == 1);
    ck_assert(fetch(&p[1], w[1]));
    publish(hub, "b", 1, "uploading");
    ck_assert(!fetch(&p[1], w[1]));
    for (int i = 0; i < 900; i++)
        fpd_watcher_free(w[(i * 7) % 900]);
    ck_assert_uint_eq(fpd_hub_watched(hub, ids, 10), 0);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(a_watcher_never_goes_back)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(10, 10, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u");
    fp_upload stale = state("u", 1, "uploading");
    peer p;
    fpd_socket_link link = link_of(&p);

    publish(hub, "u", 3, "uploading"); /* between the place and the start */
    ck_assert_int_eq(p.woken, 0);
    fpd_watcher_start(w, &link, &stale);
    ck_assert_int_eq(p.woken, 1);
    ck_assert(fetch(&p, w));
    ck_assert_ptr_nonnull(strstr(p.last, "\"chunks_uploaded\":3"));
    publish(hub, "u", 2, "uploading");
    ck_assert(!fetch(&p, w));
    publish(hub, "u", 4, "completed");
    publish(hub, "u", 4, "uploading");
    publish(hub, "u", 4, "uploading");
    ck_assert(fetch(&p, w));
    ck_assert_ptr_nonnull(strstr(p.last, "completed"));
    ck_assert(!fetch(&p, w));
    fpd_watcher_free(w);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

START_TEST(places_are_limited_and_come_back)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(2, 2, metrics);
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

START_TEST(who_watches_otherwise_has_places_of_their_own)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_hub *hub = fpd_hub_new(1, 2, metrics);
    fpd_watcher *w = fpd_watcher_new(hub, "u");

    ck_assert_ptr_nonnull(w);
    ck_assert(fpd_hub_take_place(hub));
    ck_assert(fpd_hub_take_place(hub));
    ck_assert(!fpd_hub_take_place(hub));
    ck_assert_ptr_null(fpd_watcher_new(hub, "u"));
    fpd_hub_give_place(hub);
    ck_assert(fpd_hub_take_place(hub));
    fpd_watcher_free(w);
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
    fpd_hub *hub = fpd_hub_new(10, 10, metrics);
    fpd_watcher *w[3];
    fpd_socket_link link;
    peer p[3];

    for (size_t i = 0; i < 3; i++) {
        w[i] = fpd_watcher_new(hub, "u");
        link = link_of(&p[i]);
        if (i < 2)
            fpd_watcher_start(w[i], &link, NULL);
    }
    fpd_hub_close(hub);
    fpd_watcher_start(w[2], &link, NULL); /* it was just being opened */
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(p[i].dropped, 1);
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
    fpd_hub *hub = fpd_hub_new(100, 100, metrics);
    pthread_t publishers[2];
    peer p;

    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&publishers[i], NULL, publish_many, hub), 0);
    for (int i = 0; i < 200; i++) {
        fpd_watcher *w = fpd_watcher_new(hub, "u");
        fp_upload first = state("u", 0, "initiated");
        fpd_socket_link link = link_of(&p);

        fpd_watcher_start(w, &link, &first);
        (void)fetch(&p, w);
        fpd_watcher_free(w);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(publishers[i], NULL);
    fpd_hub_free(hub);
    fpd_metrics_free(metrics);
}
END_TEST

RUN_TESTS("hub", the_first_state_comes_at_once_and_then_every_change,
          a_slow_watcher_holds_up_nobody, what_is_watched_is_listed_once_and_told_once,
          a_watcher_never_goes_back, places_are_limited_and_come_back,
          who_watches_otherwise_has_places_of_their_own, closing_drops_all_and_lets_no_new_one_in,
          watchers_come_and_go_while_others_publish)
