/* Owns: the tests of cache/cache.c and of the driver mem.
 * Must not know: what caches are used for. */
#include <stdio.h>
#include <string.h>

#include "cache/cache_private.h"
#include "cache_contract.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static fp_cache *open_mem(fp_context *ctx, uint64_t max_bytes)
{
    fp_cache_options o = FILEPROC_CACHE_OPTIONS_INIT;
    fp_error err = { 0 };
    fp_cache *c = NULL;

    o.max_bytes = max_bytes;
    ck_status(fp_cache_open(ctx, "mem:", &o, &c, &err), FILEPROC_OK, &err);
    return c;
}

static fp_cache *fresh_mem(fp_context *ctx)
{
    return open_mem(ctx, 0);
}

static fp_cache *same(fp_cache *c)
{
    return c;
}

static const cache_contract drivers[] = { { fresh_mem, same, fp_cache_free } };

static fp_context *new_context(void)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    return ctx;
}

static fp_status set_number(fp_cache *c, int number, size_t size, fp_error *err)
{
    static const char zeros[4096];
    char key[16];

    snprintf(key, sizeof(key), "%d", number);
    return fp_cache_set(c, key, zeros, size, 0, err);
}

static bool has_number(fp_cache *c, int number)
{
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    int32_t found = 0;
    char key[16];

    snprintf(key, sizeof(key), "%d", number);
    ck_status(fp_cache_get(c, key, &buf, &found, &err), FILEPROC_OK, &err);
    fp_buf_dispose(&buf);
    return found;
}

START_TEST(what_was_used_least_lately_goes_first)
{
    fp_context *ctx = new_context();
    fp_cache *c = open_mem(ctx, 100000);
    fp_error err = { 0 };

    for (int i = 0; i < 1000; i++) {
        ck_status(set_number(c, i, 1000, &err), FILEPROC_OK, &err);
        ck_assert(has_number(c, 0)); /* used all the time */
        ck_assert(has_number(c, i));
    }
    ck_assert(!has_number(c, 500));
    ck_assert(has_number(c, 960));
    fp_cache_free(c);
    fp_context_free(ctx);
}
END_TEST

START_TEST(lease_that_is_held_makes_no_room_for_others)
{
    fp_lease lease = FILEPROC_LEASE_INIT;
    fp_context *ctx = new_context();
    fp_cache *c = open_mem(ctx, 20000);
    fp_status rc = FILEPROC_OK;
    fp_error err = { 0 };
    char name[24];
    int count = 0;

    lease.holder = "a";
    lease.ttl_ms = 60000;
    lease.name = name;
    while (rc == FILEPROC_OK) {
        snprintf(name, sizeof(name), "lease %d", count++);
        lease.epoch = 0;
        rc = fp_lease_acquire(c, &lease, 0, &err);
    }
    ck_status(rc, FILEPROC_ERR_QUOTA, &err);
    ck_assert_int_gt(count, 10);
    ck_status(set_number(c, 1, 4096, &err), FILEPROC_ERR_QUOTA, &err);
    ck_assert_int_eq(set_number(c, 1, 4096, NULL), FILEPROC_ERR_QUOTA);
    snprintf(name, sizeof(name), "lease 0");
    ck_status(fp_lease_acquire(c, &lease, 0, &err), FILEPROC_OK, &err);
    ck_status(fp_lease_release(c, &lease, &err), FILEPROC_OK, &err);
    ck_status(set_number(c, 1, 10, &err), FILEPROC_OK, &err);
    fp_cache_free(c);
    fp_context_free(ctx);
}
END_TEST

START_TEST(receiver_who_is_too_slow_is_told_so)
{
    fp_context *ctx = new_context();
    fp_cache *c = open_mem(ctx, 0);
    fp_subscription *sub = NULL;
    fp_news news = FILEPROC_NEWS_INIT;
    fp_error err = { 0 };
    int messages = 0;

    ck_status(fp_cache_subscribe(c, &sub, &err), FILEPROC_OK, &err);
    ck_status(fp_subscription_add(sub, "a", &err), FILEPROC_OK, &err);
    ck_status(fp_subscription_receive(sub, 0, &news, &err), FILEPROC_OK, &err);
    for (int i = 0; i < 1500; i++)
        ck_status(fp_cache_publish(c, "a", "x", 1, &err), FILEPROC_OK, &err);
    ck_status(fp_subscription_receive(sub, 0, &news, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(news.kind, FILEPROC_NEWS_RESUMED);
    do {
        ck_status(fp_subscription_receive(sub, 0, &news, &err), FILEPROC_OK, &err);
        messages += news.kind == FILEPROC_NEWS_MESSAGE;
    } while (news.kind != FILEPROC_NEWS_NONE);
    ck_assert_int_eq(messages, 1500 - 1024);
    fp_subscription_free(sub);
    fp_cache_free(c);
    fp_context_free(ctx);
}
END_TEST

START_TEST(uri_says_which_driver)
{
    fp_context *ctx = new_context();
    fp_cache *c = NULL;
    fp_error err = { 0 };

    ck_status(fp_cache_open(ctx, "nobody:", NULL, &c, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_cache_open(ctx, "rediss://host", NULL, &c, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "TLS"));
    ck_status(fp_cache_open(ctx, "mem:x", NULL, &c, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_cache_open(ctx, "", NULL, &c, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_cache_open(NULL, "mem:", NULL, &c, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_ptr_null(c);
    fp_cache_free(NULL);
    fp_context_free(ctx);
}
END_TEST

/* One call of everything; the first that fails ends it. */
static fp_status use(fp_cache *c, fp_subscription *sub, fp_error *err)
{
    fp_lease lease = FILEPROC_LEASE_INIT;
    fp_news news = FILEPROC_NEWS_INIT;
    fp_rate rate = FILEPROC_RATE_INIT;
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_status rc = fp_cache_set(c, "key", "value", 5, 1000, err);
    int32_t found = 0;

    lease.name = "thing";
    lease.holder = "a";
    lease.ttl_ms = 1000;
    rate.limit = rate.window_ms = 1000;
    if (rc == FILEPROC_OK)
        rc = fp_cache_get(c, "key", &buf, &found, err);
    if (rc == FILEPROC_OK)
        rc = fp_lease_acquire(c, &lease, 0, err);
    if (rc == FILEPROC_OK)
        rc = fp_cache_count(c, "key", &rate, err);
    if (rc == FILEPROC_OK)
        rc = fp_subscription_add(sub, "a", err);
    if (rc == FILEPROC_OK)
        rc = fp_cache_publish(c, "a", "x", 1, err);
    for (int i = 0; rc == FILEPROC_OK && i < 2; i++)
        rc = fp_subscription_receive(sub, 0, &news, err);
    if (rc == FILEPROC_OK) {
        ck_assert_int_eq(found, 1);
        ck_assert_uint_eq(news.kind, FILEPROC_NEWS_MESSAGE);
    }
    fp_buf_dispose(&buf);
    return rc;
}

START_TEST(everything_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options co = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_subscription *sub = NULL;
        fp_context *ctx = NULL;
        fp_cache *c = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        co.allocator = &f.allocator;
        ck_status(fp_context_new(&co, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_cache_open(ctx, "mem:", NULL, &c, &err);
        if (rc < 0)
            ck_assert_ptr_null(c);
        if (rc == FILEPROC_OK)
            rc = fp_cache_subscribe(c, &sub, &err);
        if (rc == FILEPROC_OK)
            rc = use(c, sub, &err);
        fault_judge(&f, rc, &err);
        fp_subscription_free(sub);
        fp_cache_free(c);
        fp_context_free(ctx);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_used_least_lately_goes_first,        lease_that_is_held_makes_no_room_for_others,
        receiver_who_is_too_slow_is_told_so,          uri_says_which_driver,
        everything_survives_every_allocation_failure,
    };
    Suite *suite = suite_of("cache", tests, sizeof(tests) / sizeof(*tests));

    cache_contract_add(suite, drivers, sizeof(drivers) / sizeof(*drivers));
    return run_suite(suite);
}
