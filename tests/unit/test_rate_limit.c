/* Owns: the tests of daemons/common/rate_limit.c.
 * Must not know: where the counts are kept: a cache in memory does. */
#include <string.h>

#include "fake_http.h"
#include "log.h"
#include "rate_limit.h"
#include "reply.h"
#include "runner.h"

static fp_context *ctx;
static fpd_rate_limit limit;

static void set_up(uint64_t per_client, uint64_t per_owner)
{
    fpd_log_set_level(FILEPROC_LOG_ERROR + 1);
    limit = (fpd_rate_limit){
        .per_client = per_client, .per_owner = per_owner, .window_ms = 3600000, .proxies = ""
    };
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_cache_open(ctx, "mem:", NULL, &limit.cache, NULL), FILEPROC_OK);
}

static void tear_down(void)
{
    fp_cache_free(limit.cache);
    fp_context_free(ctx);
}

/* One request from there; what it answers is in f. */
static bool ask(fake_http *f, const char *remote, const char *lines)
{
    bool allowed;

    fake_init(f, "GET", "/", lines);
    f->head.remote = remote;
    allowed = fpd_rate_limit_client(&limit, fake_request(f));
    if (allowed)
        fpd_reply_empty(&f->rq, 204);
    return allowed;
}

START_TEST(each_client_has_a_limit_of_its_own)
{
    fake_http f;

    set_up(2, 0);
    ck_assert(ask(&f, "192.0.2.1", ""));
    ck_assert(fake_sent(&f, "\r\nRateLimit-Policy: \"client\";q=2;w=3600\r\n"));
    ck_assert(fake_sent(&f, "\r\nRateLimit: \"client\";r=1;t="));
    fake_dispose(&f);
    ck_assert(ask(&f, "192.0.2.1", ""));
    ck_assert(fake_sent(&f, "\r\nRateLimit: \"client\";r=0;t="));
    fake_dispose(&f);
    ck_assert(!ask(&f, "192.0.2.1", ""));
    ck_assert_int_eq(f.rq.status, 429);
    ck_assert(fake_sent(&f, "\"code\":\"rate_limited\""));
    ck_assert(fake_sent(&f, "\r\nRetry-After: "));
    ck_assert(fake_sent(&f, "\r\nRateLimit: \"client\";r=0;t="));
    fake_dispose(&f);
    ck_assert(ask(&f, "192.0.2.2", ""));
    fake_dispose(&f);
    tear_down();
}
END_TEST

START_TEST(owners_are_counted_apart)
{
    fake_http f;

    set_up(0, 1);
    fake_init(&f, "POST", "/", "Content-Length: 0");
    fake_request(&f);
    ck_assert(fpd_rate_limit_owner(&limit, &f.rq, "ann"));
    ck_assert(fpd_rate_limit_owner(&limit, &f.rq, "bob"));
    ck_assert(fpd_rate_limit_owner(&limit, &f.rq, NULL));
    ck_assert(fpd_rate_limit_owner(&limit, &f.rq, NULL));
    ck_assert(!fpd_rate_limit_owner(&limit, &f.rq, "ann"));
    ck_assert_int_eq(f.rq.status, 429);
    fake_dispose(&f);
    for (int i = 0; i < 3; i++) { /* no limit for clients */
        ck_assert(ask(&f, "192.0.2.1", ""));
        fake_dispose(&f);
    }
    tear_down();
}
END_TEST

static void ck_address(const char *remote, const char *forwarded, const char *proxies,
                       const char *address)
{
    char lines[256], found[64];
    fake_http f;

    snprintf(lines, sizeof(lines), "%s%s%s", forwarded ? "X-Forwarded-For: " : "",
             forwarded ? forwarded : "", forwarded ? "\n" : "");
    fake_init(&f, "GET", "/", lines);
    f.head.remote = remote;
    fake_request(&f);
    ck_assert(fpd_client_address(&f.rq, proxies, found, sizeof(found)) == (address != NULL));
    if (address)
        ck_assert_str_eq(found, address);
    fake_dispose(&f);
}

START_TEST(client_behind_a_proxy_is_found_and_not_believed)
{
    ck_address("192.0.2.1", NULL, "", "192.0.2.1");
    ck_address("192.0.2.1", "198.51.100.7", "", "192.0.2.1");
    ck_address("127.0.0.1", "198.51.100.7", "10.0.0.1,127.0.0.1", "198.51.100.7");
    ck_address("127.0.0.1", "203.0.113.9, 198.51.100.7", "127.0.0.1", "198.51.100.7");
    ck_address("127.0.0.1", "203.0.113.9, 198.51.100.7 ,10.0.0.1", "10.0.0.1,127.0.0.1",
               "198.51.100.7");
    ck_address("127.0.0.1", "10.0.0.1", "10.0.0.1,127.0.0.1", "10.0.0.1");
    ck_address("127.0.0.1", NULL, "127.0.0.1", "127.0.0.1");
    ck_address("127.0.0.1", "a,", "127.0.0.1", NULL);
    ck_address("127.0.0.1",
               "0123456789012345678901234567890123456789012345678901234567890123456789",
               "127.0.0.1", NULL);
}
END_TEST

RUN_TESTS("rate_limit", each_client_has_a_limit_of_its_own, owners_are_counted_apart,
          client_behind_a_proxy_is_found_and_not_believed)
