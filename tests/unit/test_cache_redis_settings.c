/* Owns: the tests of cache/cache_redis_settings.c.
 * Must not know: how one connects. */
#include <stdio.h>
#include <string.h>

#include "cache/cache_redis_private.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static fp_context *ctx;

static void must_parse(const char *uri, fpi_redis_settings *s)
{
    fp_error err = { 0 };

    if (!ctx)
        ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_redis_settings_parse(ctx, uri, s, &err), FILEPROC_OK, &err);
}

static void done(fpi_redis_settings *s)
{
    fpi_redis_settings_dispose(s);
    fp_context_free(fpi_steal(&ctx));
}

START_TEST(nothing_given_means_a_server_on_this_machine)
{
    static const char *const uris[] = { "redis:", "redis://", "redis:///", "redis://localhost",
                                        "redis://:@localhost/?" };

    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        fpi_redis_settings s;

        must_parse(uris[i], &s);
        ck_assert_str_eq(s.host, "localhost");
        ck_assert_uint_eq(s.port, 6379);
        ck_assert_ptr_null(s.user);
        ck_assert_ptr_null(s.password);
        ck_assert_uint_eq(s.database, 0);
        ck_assert_str_eq(s.prefix, "fileproc:");
        ck_assert_uint_eq(s.timeout_ms, 1000);
        ck_assert_uint_eq(s.pool_size, 8);
        done(&s);
    }
}
END_TEST

START_TEST(parts_are_decoded)
{
    fpi_redis_settings s;

    must_parse(
        "redis://me%40x:p%2F%3A%25@host.example:1234/15?prefix=a.b:&timeout=250&pool_size=3&", &s);
    ck_assert_str_eq(s.host, "host.example");
    ck_assert_uint_eq(s.port, 1234);
    ck_assert_str_eq(s.user, "me@x");
    ck_assert_str_eq(s.password, "p/:%");
    ck_assert_uint_eq(s.database, 15);
    ck_assert_str_eq(s.prefix, "a.b:");
    ck_assert_uint_eq(s.timeout_ms, 250);
    ck_assert_uint_eq(s.pool_size, 3);
    fpi_redis_settings_dispose(&s);
    must_parse("redis://:p%40ss@[::1]:1/2", &s);
    ck_assert_str_eq(s.host, "::1");
    ck_assert_ptr_null(s.user);
    ck_assert_str_eq(s.password, "p@ss");
    done(&s);
}
END_TEST

START_TEST(bad_uris_are_refused_and_the_password_is_not_told)
{
    static const char *const uris[] = {
        "redis://:s3cret@host/x",           "redis://:s3cret@host/-1",
        "redis://:s3cret@host/1/2",         "redis://:s3cret@host:99999",
        "redis://:s3cret%zz@host",          "redis://s3cret@host",
        "redis://:s3cret@host?prefix=",     "redis://:s3cret@host?prefix=a%20b",
        "redis://:s3cret@host?timeout=0",   "redis://:s3cret@host?timeout=99999999",
        "redis://:s3cret@host?pool_size=0", "redis://:s3cret@host?pool_size=65",
        "redis://:s3cret@host?other=1",     "redis://:s3cret@host?timeout",
    };
    fpi_redis_settings s = { 0 };
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        ck_assert_msg(fpi_redis_settings_parse(ctx, uris[i], &s, &err) == FILEPROC_ERR_INVALID,
                      "%s is taken", uris[i]);
        ck_assert_ptr_null(strstr(err.message, "s3cret"));
        ck_assert_ptr_null(s.prefix);
    }
    done(&s);
}
END_TEST

START_TEST(parsing_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fpi_redis_settings s = { 0 };
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fpi_redis_settings_parse(ctx, "redis://u:p@h:1/2?prefix=a:&timeout=20", &s, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(s.host);
        done(&s);
    }
}
END_TEST

RUN_TESTS("cache_redis_settings", nothing_given_means_a_server_on_this_machine, parts_are_decoded,
          bad_uris_are_refused_and_the_password_is_not_told,
          parsing_survives_every_allocation_failure)
