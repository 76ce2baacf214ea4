/* Owns: the promises of fileproc/cache.h as tests, to be run against every driver.
 * Must not know: any driver. */
#include "cache_contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

#include "scratch.h"

#define THREADS 4
/* Longer than a server needs to bring a message that is there. */
#define SOON_MS 2000

static const cache_contract *drivers;

typedef struct world {
    const cache_contract *driver;
    fp_context *ctx;
    fp_cache *c, *peer;
} world;

static void world_open(world *w, int index)
{
    fp_error err = { 0 };

    *w = (world){ .driver = &drivers[index] };
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    w->c = w->driver->fresh(w->ctx);
    w->peer = w->driver->peer(w->c);
}

static void world_close(world *w)
{
    w->driver->gone(w->c);
    fp_context_free(w->ctx);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* ---- values ---- */

static void must_set(fp_cache *c, const char *key, const char *value, int64_t ttl_ms)
{
    fp_error err = { 0 };

    ck_status(fp_cache_set(c, key, value, strlen(value), ttl_ms, &err), FILEPROC_OK, &err);
}

/* value is NULL: there must be none. */
static void must_get(fp_cache *c, const char *key, const char *value)
{
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    int32_t found = -1;

    ck_status(fp_cache_get(c, key, &buf, &found, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(found, value != NULL);
    if (value && *value)
        ck_assert_str_eq(buf.data, value);
    ck_assert_uint_eq(buf.size, value ? strlen(value) : 0);
    fp_buf_dispose(&buf);
}

START_TEST(value_is_there_until_it_is_removed)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_get(w.c, "key", NULL);
    must_set(w.c, "key", "one", 0);
    must_get(w.peer, "key", "one");
    must_set(w.peer, "key", "two", 60000);
    must_get(w.c, "key", "two");
    must_set(w.c, "other", "", 0);
    must_get(w.peer, "other", "");
    ck_status(fp_cache_remove(w.c, "key", &err), FILEPROC_OK, &err);
    ck_status(fp_cache_remove(w.c, "key", &err), FILEPROC_OK, &err);
    must_get(w.peer, "key", NULL);
    must_get(w.peer, "other", "");
    world_close(&w);
}
END_TEST

START_TEST(value_ends_with_its_time)
{
    world w;

    world_open(&w, _i);
    must_set(w.c, "short", "x", 150);
    must_set(w.c, "long", "x", 60000);
    must_set(w.c, "renewed", "x", 150);
    must_get(w.c, "short", "x");
    must_set(w.c, "renewed", "y", 0);
    pause_ms(300);
    must_get(w.c, "short", NULL);
    must_get(w.c, "long", "x");
    must_get(w.c, "renewed", "y");
    world_close(&w);
}
END_TEST

START_TEST(any_bytes_up_to_the_limit_pass)
{
    static unsigned char value[FILEPROC_CACHE_VALUE_MAX + 1];
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    int32_t found = 0;
    world w;

    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (unsigned char)(i * 7 + i / 256);
    ck_status(fp_cache_set(w.c, "key", value, sizeof(value), 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_cache_set(w.c, "key", value, sizeof(value) - 1, 0, &err), FILEPROC_OK, &err);
    ck_status(fp_cache_get(w.peer, "key", &buf, &found, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(found, 1);
    ck_assert_uint_eq(buf.size, sizeof(value) - 1);
    ck_assert_mem_eq(buf.data, value, buf.size);
    fp_buf_dispose(&buf);
    world_close(&w);
}
END_TEST

/* ---- leases ---- */

static fp_lease lease_of(const char *holder, uint32_t ttl_ms)
{
    fp_lease lease = FILEPROC_LEASE_INIT;

    lease.name = "thing";
    lease.holder = holder;
    lease.ttl_ms = ttl_ms;
    return lease;
}

static void must_acquire(fp_cache *c, fp_lease *lease, uint32_t flags)
{
    fp_error err = { 0 };

    ck_status(fp_lease_acquire(c, lease, flags, &err), FILEPROC_OK, &err);
}

static void must_be_held(fp_cache *c, fp_lease *lease, int64_t most_ms)
{
    uint64_t epoch = lease->epoch;
    fp_error err = { 0 };

    ck_status(fp_lease_acquire(c, lease, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_str_eq(fp_error_reason(&err), "lease_held");
    ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
    ck_assert_int_gt(err.retry_after_ms, 0);
    ck_assert_int_le(err.retry_after_ms, most_ms);
    ck_assert_uint_eq(lease->epoch, epoch);
}

static void must_release(fp_cache *c, const fp_lease *lease)
{
    fp_error err = { 0 };

    ck_status(fp_lease_release(c, lease, &err), FILEPROC_OK, &err);
}

static void must_have_lost(fp_cache *c, fp_lease *lease)
{
    fp_error err = { 0 };

    ck_status(fp_lease_renew(c, lease, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_str_eq(fp_error_reason(&err), "lease_lost");
    ck_status(fp_lease_check(c, lease, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_str_eq(fp_error_reason(&err), "lease_lost");
}

START_TEST(lease_has_one_holder)
{
    fp_lease a = lease_of("a", 60000), b = lease_of("b", 60000), other = lease_of("b", 60000);
    fp_error err = { 0 };
    uint64_t first;
    world w;

    world_open(&w, _i);
    must_acquire(w.c, &a, 0);
    first = a.epoch;
    ck_assert_uint_gt(first, 0);
    must_be_held(w.peer, &b, 60000);
    other.name = "another thing";
    must_acquire(w.peer, &other, 0);
    must_acquire(w.c, &a, 0); /* once more */
    ck_assert_uint_eq(a.epoch, first);
    ck_status(fp_lease_check(w.c, &a, &err), FILEPROC_OK, &err);
    ck_status(fp_lease_renew(w.c, &a, &err), FILEPROC_OK, &err);
    must_release(w.c, &a);
    must_have_lost(w.c, &a);
    must_acquire(w.peer, &b, 0);
    ck_assert_uint_gt(b.epoch, first);
    must_be_held(w.c, &a, 60000);
    ck_status(fp_lease_release(w.c, &a, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_lease_check(w.peer, &b, &err), FILEPROC_OK, &err);
    world_close(&w);
}
END_TEST

START_TEST(lease_ends_by_itself)
{
    fp_lease a = lease_of("a", 200), b = lease_of("b", 60000);
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_acquire(w.c, &a, 0);
    must_be_held(w.peer, &b, 200);
    pause_ms(120);
    ck_status(fp_lease_renew(w.c, &a, &err), FILEPROC_OK, &err);
    pause_ms(120);
    must_be_held(w.peer, &b, 200);
    pause_ms(200);
    must_have_lost(w.c, &a);
    ck_status(fp_lease_look(w.c, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.epoch, a.epoch);
    ck_assert_int_eq(info.left_ms, 0);
    ck_assert_uint_eq(info.released, 0);
    must_acquire(w.peer, &b, 0);
    ck_assert_uint_gt(b.epoch, a.epoch);
    world_close(&w);
}
END_TEST

START_TEST(newcomer_may_take_over)
{
    fp_lease a = lease_of("a", 60000), b = lease_of("b", 60000);
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_acquire(w.c, &a, FILEPROC_LEASE_TAKE_OVER);
    must_acquire(w.peer, &b, FILEPROC_LEASE_TAKE_OVER);
    ck_assert_uint_gt(b.epoch, a.epoch);
    must_have_lost(w.c, &a);
    ck_status(fp_lease_release(w.c, &a, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_lease_check(w.peer, &b, &err), FILEPROC_OK, &err);
    must_be_held(w.c, &a, 60000);
    world_close(&w);
}
END_TEST

START_TEST(holder_who_comes_back_knows_whether_others_were_there)
{
    fp_lease a = lease_of("a", 100), b = lease_of("b", 60000);
    uint64_t first, second;
    world w;

    world_open(&w, _i);
    must_acquire(w.c, &a, 0);
    first = a.epoch;
    must_release(w.c, &a);
    must_acquire(w.c, &a, 0);
    ck_assert_uint_eq(a.epoch, first);
    pause_ms(200); /* it ends by itself */
    must_acquire(w.c, &a, 0);
    ck_assert_uint_eq(a.epoch, first);
    must_release(w.c, &a);
    must_acquire(w.peer, &b, 0);
    second = b.epoch;
    must_release(w.peer, &b);
    must_acquire(w.c, &a, 0);
    ck_assert_uint_gt(second, first);
    ck_assert_uint_gt(a.epoch, second);
    world_close(&w);
}
END_TEST

START_TEST(epoch_exceeds_what_is_known)
{
    fp_lease a = lease_of("a", 60000), b = lease_of("b", 60000);
    world w;

    world_open(&w, _i);
    a.epoch = UINT64_C(4000000000000000);
    must_acquire(w.c, &a, 0);
    ck_assert_uint_gt(a.epoch, UINT64_C(4000000000000000));
    must_acquire(w.peer, &b, FILEPROC_LEASE_TAKE_OVER);
    ck_assert_uint_gt(b.epoch, a.epoch);
    world_close(&w);
}
END_TEST

START_TEST(note_is_there_for_others_to_read)
{
    fp_lease a = lease_of("a", 60000), b = lease_of("b", 60000);
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    unsigned char note[FILEPROC_LEASE_NOTE_MAX];
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(note); i++)
        note[i] = (unsigned char)(255 - i);
    ck_status(fp_lease_look(w.c, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.epoch, 0);
    ck_assert_str_eq(info.holder, "");
    must_acquire(w.c, &a, 0);
    a.note = note;
    a.note_size = sizeof(note);
    ck_status(fp_lease_renew(w.c, &a, &err), FILEPROC_OK, &err);
    ck_status(fp_lease_look(w.peer, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.epoch, a.epoch);
    ck_assert_str_eq(info.holder, "a");
    ck_assert_int_gt(info.left_ms, 0);
    ck_assert_int_le(info.left_ms, 60000);
    ck_assert_uint_eq(info.released, 0);
    ck_assert_uint_eq(info.note_size, sizeof(note));
    ck_assert_mem_eq(info.note, note, sizeof(note));
    a.note = "last";
    a.note_size = 4;
    must_release(w.c, &a);
    ck_status(fp_lease_look(w.peer, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(info.left_ms, 0);
    ck_assert_uint_eq(info.released, 1);
    ck_assert_uint_eq(info.note_size, 4);
    ck_assert_mem_eq(info.note, "last", 4);
    must_acquire(w.c, &a, 0); /* the same one's note stays */
    ck_status(fp_lease_look(w.peer, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.note_size, 4);
    must_acquire(w.peer, &b, FILEPROC_LEASE_TAKE_OVER);
    ck_status(fp_lease_look(w.c, "thing", &info, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(info.holder, "b");
    ck_assert_uint_eq(info.note_size, 0);
    world_close(&w);
}
END_TEST

START_TEST(who_waits_comes_next)
{
    fp_lease a = lease_of("a", 60000), b = lease_of("b", 60000), c = lease_of("c", 60000);
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    must_acquire(w.c, &a, 0);
    ck_assert_uint_eq(a.wanted, 0);
    must_be_held(w.peer, &b, 60000);
    must_be_held(w.peer, &c, 60000);
    ck_status(fp_lease_renew(w.c, &a, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(a.wanted, 1);
    must_acquire(w.c, &a, 0);
    ck_assert_uint_eq(a.wanted, 1);
    must_release(w.c, &a);
    must_be_held(w.c, &a, 60000); /* b is in front */
    must_be_held(w.c, &c, 60000);
    must_acquire(w.peer, &b, 0);
    ck_assert_uint_eq(b.wanted, 0);
    must_be_held(w.c, &c, 60000);
    pause_ms(400); /* c has lost interest */
    ck_status(fp_lease_renew(w.peer, &b, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(b.wanted, 0);
    must_release(w.peer, &b);
    must_acquire(w.c, &a, 0);
    world_close(&w);
}
END_TEST

typedef struct worker {
    fp_cache *c;
    char holder[8];
    atomic_int *inside;
    uint64_t *last; /* guarded by the lease */
    int rounds;
} worker;

static void *work_alone(void *arg)
{
    worker *k = arg;
    fp_lease lease = lease_of(k->holder, 60000);

    for (int i = 0; i < k->rounds;) {
        fp_error err = { 0 };
        fp_status rc = fp_lease_acquire(k->c, &lease, 0, &err);

        if (rc == FILEPROC_ERR_CONFLICT) {
            pause_ms(1);
            continue;
        }
        ck_status(rc, FILEPROC_OK, &err);
        ck_assert_int_eq(atomic_fetch_add(k->inside, 1), 0);
        ck_assert_uint_ge(lease.epoch, *k->last);
        *k->last = lease.epoch;
        atomic_fetch_sub(k->inside, 1);
        ck_status(fp_lease_release(k->c, &lease, &err), FILEPROC_OK, &err);
        i++;
    }
    return NULL;
}

START_TEST(nobody_is_ever_inside_with_another)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    atomic_int inside = 0;
    uint64_t last = 0;
    world w;

    world_open(&w, _i);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){ i % 2 ? w.peer : w.c, "", &inside, &last, 50 };
        snprintf(workers[i].holder, sizeof(workers[i].holder), "w%d", i);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work_alone, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    world_close(&w);
}
END_TEST

/* ---- limits ---- */

static fp_rate count(fp_cache *c, uint64_t limit, uint32_t window_ms, uint32_t cost)
{
    fp_rate rate = FILEPROC_RATE_INIT;
    fp_error err = { 0 };

    rate.limit = limit;
    rate.window_ms = window_ms;
    rate.cost = cost;
    ck_status(fp_cache_count(c, "who", &rate, &err), FILEPROC_OK, &err);
    return rate;
}

START_TEST(limit_is_kept)
{
    fp_rate rate;
    world w;

    world_open(&w, _i);
    rate = count(w.c, 5, 3600000, 0);
    ck_assert_uint_eq(rate.remaining, 5);
    ck_assert_int_eq(rate.reset_ms, 0);
    for (uint64_t i = 0; i < 5; i++) {
        rate = count(i % 2 ? w.peer : w.c, 5, 3600000, 1);
        ck_assert_uint_eq(rate.allowed, 1);
        ck_assert_uint_eq(rate.remaining, 4 - i);
        ck_assert_int_gt(rate.reset_ms, 0);
        ck_assert_int_le(rate.reset_ms, 7200000);
        ck_assert_int_eq(rate.retry_after_ms, 0);
    }
    rate = count(w.c, 5, 3600000, 1);
    ck_assert_uint_eq(rate.allowed, 0);
    ck_assert_uint_eq(rate.remaining, 0);
    ck_assert_int_gt(rate.retry_after_ms, 0);
    ck_assert_int_le(rate.retry_after_ms, 7200000);
    rate = count(w.c, 5, 3600000, 0);
    ck_assert_uint_eq(rate.remaining, 0);
    ck_assert_uint_eq(rate.allowed, 1);
    rate = count(w.c, 5, 3600000, 6);
    ck_assert_uint_eq(rate.allowed, 0);
    ck_assert_int_eq(rate.retry_after_ms, -1);
    world_close(&w);
}
END_TEST

START_TEST(limit_is_there_again_when_it_was_said)
{
    fp_rate rate;
    world w;

    world_open(&w, _i);
    rate = count(w.c, 4, 300, 4);
    ck_assert_uint_eq(rate.allowed, 1);
    rate = count(w.c, 4, 300, 1);
    ck_assert_uint_eq(rate.allowed, 0);
    pause_ms((long)rate.retry_after_ms + 5);
    rate = count(w.c, 4, 300, 1);
    ck_assert_uint_eq(rate.allowed, 1);
    pause_ms((long)rate.reset_ms + 5);
    rate = count(w.c, 4, 300, 4);
    ck_assert_uint_eq(rate.allowed, 1);
    world_close(&w);
}
END_TEST

typedef struct counter {
    fp_cache *c;
    atomic_int *allowed;
} counter;

static void *count_many(void *arg)
{
    const counter *k = arg;

    for (int i = 0; i < 50; i++)
        if (count(k->c, 100, 3600000, 1).allowed)
            atomic_fetch_add(k->allowed, 1);
    return NULL;
}

START_TEST(limit_is_kept_by_many_at_once)
{
    pthread_t threads[THREADS];
    counter counters[THREADS];
    atomic_int allowed = 0;
    world w;

    world_open(&w, _i);
    for (int i = 0; i < THREADS; i++) {
        counters[i] = (counter){ i % 2 ? w.peer : w.c, &allowed };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_many, &counters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(allowed, 100);
    world_close(&w);
}
END_TEST

/* ---- news ---- */

static fp_subscription *must_subscribe(fp_cache *c)
{
    fp_subscription *sub = NULL;
    fp_error err = { 0 };

    ck_status(fp_cache_subscribe(c, &sub, &err), FILEPROC_OK, &err);
    return sub;
}

static fp_news next_news(fp_subscription *sub, uint32_t timeout_ms)
{
    fp_news news = FILEPROC_NEWS_INIT;
    fp_error err = { 0 };

    ck_status(fp_subscription_receive(sub, timeout_ms, &news, &err), FILEPROC_OK, &err);
    return news;
}

static void must_resume(fp_subscription *sub, const char *channel)
{
    fp_news news = next_news(sub, SOON_MS);

    ck_assert_uint_eq(news.kind, FILEPROC_NEWS_RESUMED);
    ck_assert_str_eq(news.channel, channel);
}

static void must_add(fp_subscription *sub, const char *channel)
{
    fp_error err = { 0 };

    ck_status(fp_subscription_add(sub, channel, &err), FILEPROC_OK, &err);
}

static void must_publish(fp_cache *c, const char *channel, const char *text)
{
    fp_error err = { 0 };

    ck_status(fp_cache_publish(c, channel, text, strlen(text), &err), FILEPROC_OK, &err);
}

static void must_hear(fp_subscription *sub, const char *channel, const char *text)
{
    fp_news news = next_news(sub, SOON_MS);

    ck_assert_uint_eq(news.kind, FILEPROC_NEWS_MESSAGE);
    ck_assert_str_eq(news.channel, channel);
    ck_assert_str_eq(news.data, text);
    ck_assert_uint_eq(news.size, strlen(text));
}

static void must_be_silent(fp_subscription *sub, uint32_t timeout_ms)
{
    ck_assert_uint_eq(next_news(sub, timeout_ms).kind, FILEPROC_NEWS_NONE);
}

START_TEST(messages_reach_all_who_listen)
{
    fp_subscription *one, *two;
    world w;

    world_open(&w, _i);
    must_publish(w.c, "a", "nobody listens");
    one = must_subscribe(w.c);
    two = must_subscribe(w.peer);
    must_add(one, "a");
    must_resume(one, "a");
    must_add(two, "a");
    must_resume(two, "a");
    must_add(two, "b");
    must_resume(two, "b");
    must_publish(w.c, "a", "first");
    must_publish(w.peer, "b", "second");
    must_publish(w.peer, "a", "");
    must_publish(w.peer, "c", "nobody");
    must_hear(one, "a", "first");
    must_hear(one, "a", "");
    must_hear(two, "a", "first");
    must_hear(two, "b", "second");
    must_hear(two, "a", "");
    fp_subscription_remove(two, "a");
    must_be_silent(two, 50);
    must_publish(w.c, "a", "again");
    must_publish(w.c, "b", "again");
    must_hear(two, "b", "again");
    must_be_silent(two, 50);
    must_add(two, "a");
    must_resume(two, "a");
    must_publish(w.c, "a", "once more");
    must_hear(two, "a", "once more");
    fp_subscription_free(two);
    must_hear(one, "a", "again");
    must_hear(one, "a", "once more");
    fp_subscription_free(one);
    world_close(&w);
}
END_TEST

START_TEST(any_bytes_pass_in_a_message)
{
    unsigned char data[FILEPROC_CACHE_MESSAGE_MAX + 1];
    fp_subscription *sub;
    fp_error err = { 0 };
    fp_news news;
    world w;

    world_open(&w, _i);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 5);
    sub = must_subscribe(w.c);
    must_add(sub, "a");
    must_resume(sub, "a");
    ck_status(fp_cache_publish(w.c, "a", data, sizeof(data), &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_cache_publish(w.c, "a", data, sizeof(data) - 1, &err), FILEPROC_OK, &err);
    news = next_news(sub, SOON_MS);
    ck_assert_uint_eq(news.size, sizeof(data) - 1);
    ck_assert_mem_eq(news.data, data, news.size);
    ck_assert_int_eq(news.data[news.size], 0);
    fp_subscription_free(sub);
    world_close(&w);
}
END_TEST

START_TEST(waiting_ends_with_its_time)
{
    fp_subscription *sub;
    int64_t began, took;
    world w;

    world_open(&w, _i);
    sub = must_subscribe(w.c);
    for (int i = 0; i < 2; i++) {
        began = now_ms();
        must_be_silent(sub, 200);
        took = now_ms() - began;
        ck_assert_int_ge(took, 199);
        ck_assert_int_lt(took, 200 + SOON_MS);
        must_add(sub, "a"); /* the second time there is something to listen to */
        if (i == 0)
            must_resume(sub, "a");
    }
    began = now_ms();
    must_be_silent(sub, 0);
    ck_assert_int_lt(now_ms() - began, 100);
    fp_subscription_free(sub);
    world_close(&w);
}
END_TEST

typedef struct listener {
    fp_subscription *sub;
    int64_t returned_ms;
    uint32_t kind;
} listener;

static void *listen_long(void *arg)
{
    listener *l = arg;

    l->kind = next_news(l->sub, 10000).kind;
    l->returned_ms = now_ms();
    return NULL;
}

START_TEST(who_waits_hears_at_once)
{
    pthread_t thread;
    int64_t sent;
    listener l;
    world w;

    world_open(&w, _i);
    l = (listener){ must_subscribe(w.c), 0, 0 };
    must_add(l.sub, "a");
    must_resume(l.sub, "a");
    ck_assert_int_eq(pthread_create(&thread, NULL, listen_long, &l), 0);
    pause_ms(100);
    sent = now_ms();
    must_publish(w.peer, "a", "now");
    pthread_join(thread, NULL);
    ck_assert_uint_eq(l.kind, FILEPROC_NEWS_MESSAGE);
    ck_assert_int_lt(l.returned_ms - sent, 100);
    ck_assert_int_eq(pthread_create(&thread, NULL, listen_long, &l), 0);
    pause_ms(100);
    sent = now_ms();
    must_add(l.sub, "b");
    pthread_join(thread, NULL);
    ck_assert_uint_eq(l.kind, FILEPROC_NEWS_RESUMED);
    ck_assert_int_lt(l.returned_ms - sent, 100);
    fp_subscription_free(l.sub);
    world_close(&w);
}
END_TEST

START_TEST(wake_ends_the_waiting_and_stays)
{
    pthread_t thread;
    int64_t woken;
    listener l;
    world w;

    world_open(&w, _i);
    l = (listener){ must_subscribe(w.c), 0, 0 };
    must_add(l.sub, "a");
    must_resume(l.sub, "a");
    ck_assert_int_eq(pthread_create(&thread, NULL, listen_long, &l), 0);
    pause_ms(100);
    woken = now_ms();
    fp_subscription_wake(l.sub);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(l.kind, FILEPROC_NEWS_NONE);
    must_be_silent(l.sub, 10000);
    ck_assert_int_lt(now_ms() - woken, 500);
    fp_subscription_free(l.sub);
    world_close(&w);
}
END_TEST

/* ---- mistakes ---- */

static void refuse_lease(fp_cache *c, fp_lease lease)
{
    ck_assert_int_eq(fp_lease_acquire(c, &lease, 0, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_lease_renew(c, &lease, NULL), FILEPROC_ERR_INVALID);
}

START_TEST(wrong_leases_change_nothing)
{
    char longest[FILEPROC_CACHE_KEY_MAX + 2];
    fp_lease lease = lease_of("a", 1000);
    world w;

    world_open(&w, _i);
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(fp_lease_acquire(w.c, &lease, 2, NULL), FILEPROC_ERR_INVALID);
    lease.name = longest;
    refuse_lease(w.c, lease);
    longest[FILEPROC_CACHE_KEY_MAX] = '\0';
    must_acquire(w.c, &lease, 0);
    lease.name = "";
    refuse_lease(w.c, lease);
    lease.name = NULL;
    refuse_lease(w.c, lease);
    lease = lease_of(longest + FILEPROC_CACHE_KEY_MAX - FILEPROC_LEASE_HOLDER_MAX - 1, 1000);
    refuse_lease(w.c, lease);
    lease.holder++;
    must_acquire(w.c, &lease, 0);
    must_release(w.c, &lease);
    refuse_lease(w.c, lease_of("", 1000));
    refuse_lease(w.c, lease_of("a", 0));
    refuse_lease(w.c, lease_of("a", 86400001));
    lease.note = "x";
    lease.note_size = FILEPROC_LEASE_NOTE_MAX + 1;
    refuse_lease(w.c, lease);
    lease.note = NULL;
    refuse_lease(w.c, lease);
    world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_change_nothing)
{
    fp_rate rate = FILEPROC_RATE_INIT;
    fp_buf buf = FILEPROC_BUF_INIT;
    int32_t found = 7;
    world w;

    world_open(&w, _i);
    ck_assert_int_eq(fp_cache_get(w.c, "", &buf, &found, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(found, 7);
    ck_assert_int_eq(fp_cache_set(w.c, "", "x", 1, 0, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_cache_set(w.c, "a", NULL, 1, 0, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_cache_set(w.c, "a", "x", 1, -1, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_cache_remove(w.c, "", NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_cache_publish(w.c, "", "x", 1, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_cache_publish(w.c, "a", NULL, 1, NULL), FILEPROC_ERR_INVALID);
    rate.window_ms = 1000;
    ck_assert_int_eq(fp_cache_count(w.c, "a", &rate, NULL), FILEPROC_ERR_INVALID);
    rate.limit = 1;
    rate.window_ms = 0;
    ck_assert_int_eq(fp_cache_count(w.c, "a", &rate, NULL), FILEPROC_ERR_INVALID);
    must_get(w.c, "a", NULL);
    world_close(&w);
}
END_TEST

START_TEST(ping_says_that_it_works)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, _i);
    ck_status(fp_cache_ping(w.c, &err), FILEPROC_OK, &err);
    must_set(w.c, "a", "x", 0);
    ck_status(fp_cache_ping(w.peer, &err), FILEPROC_OK, &err);
    ck_status(fp_cache_ping(NULL, &err), FILEPROC_ERR_INVALID, &err);
    world_close(&w);
}
END_TEST

void cache_contract_add(Suite *suite, const cache_contract *list, int count_of_drivers)
{
    const TTest *const tests[] = {
        value_is_there_until_it_is_removed,
        value_ends_with_its_time,
        any_bytes_up_to_the_limit_pass,
        lease_has_one_holder,
        lease_ends_by_itself,
        newcomer_may_take_over,
        holder_who_comes_back_knows_whether_others_were_there,
        epoch_exceeds_what_is_known,
        note_is_there_for_others_to_read,
        who_waits_comes_next,
        nobody_is_ever_inside_with_another,
        limit_is_kept,
        limit_is_there_again_when_it_was_said,
        limit_is_kept_by_many_at_once,
        messages_reach_all_who_listen,
        any_bytes_pass_in_a_message,
        waiting_ends_with_its_time,
        who_waits_hears_at_once,
        wake_ends_the_waiting_and_stays,
        wrong_leases_change_nothing,
        wrong_arguments_change_nothing,
        ping_says_that_it_works,
    };
    TCase *tcase = tcase_create("cache contract");

    drivers = list;
    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(tcase, tests[i], 0, count_of_drivers);
    suite_add_tcase(suite, tcase);
}
