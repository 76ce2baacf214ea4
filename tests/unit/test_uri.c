/* Owns: the tests of core/uri.c. */
#include <stdlib.h>
#include <string.h>

#include "core/uri.h"
#include "fault.h"
#include "runner.h"

static fp_context *ctx;
static fp_error err;

static void open_context(void)
{
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
}

static void same(const char *got, const char *wanted, const char *text)
{
    if (!wanted)
        ck_assert_msg(!got, "%s: got %s", text, got);
    else
        ck_assert_msg(got && strcmp(got, wanted) == 0, "%s: got %s, wanted %s", text,
                      got ? got : "(null)", wanted);
}

START_TEST(parts_are_taken_apart)
{
    static const struct {
        const char *text, *scheme, *user, *password, *host, *path, *query;
        uint32_t port;
    } rows[] = {
        { "file:///var/lib/x", "file", NULL, NULL, "", "/var/lib/x", NULL, 0 },
        { "mem:", "mem", NULL, NULL, NULL, "", NULL, 0 },
        { "sqlite::memory:", "sqlite", NULL, NULL, NULL, ":memory:", NULL, 0 },
        { "S3+x.y-2://host", "s3+x.y-2", NULL, NULL, "host", "", NULL, 0 },
        { "pg://u:p@h:5432/db?a=%20b&c#frag", "pg", "u", "p", "h", "/db", "a=%20b&c", 5432 },
        { "pg://u@h/", "pg", "u", NULL, "h", "/", NULL, 0 },
        { "pg://:p@h/", "pg", "", "p", "h", "/", NULL, 0 },
        { "pg://us%40er:p%3A%2F%3f@h/a%20b", "pg", "us@er", "p:/?", "h", "/a b", NULL, 0 },
        { "pg://u:p@x@h/", "pg", "u", "p@x", "h", "/", NULL, 0 },
        { "pg://[::1]:5432/db", "pg", NULL, NULL, "::1", "/db", NULL, 5432 },
        { "pg://[fe80::1%25eth0]", "pg", NULL, NULL, "fe80::1%eth0", "", NULL, 0 },
        { "pg://h:/", "pg", NULL, NULL, "h", "/", NULL, 0 },
        { "pg://h:65535?x", "pg", NULL, NULL, "h", "", "x", 65535 },
        { "x:a//b@c:1", "x", NULL, NULL, NULL, "a//b@c:1", NULL, 0 },
        { "x:?q?#", "x", NULL, NULL, NULL, "", "q?", 0 },
    };

    open_context();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        fpi_uri uri = { 0 };

        ck_assert_msg(fpi_uri_parse(ctx, rows[i].text, &uri, &err) == FILEPROC_OK, "%s: %s",
                      rows[i].text, err.message);
        same(uri.scheme, rows[i].scheme, rows[i].text);
        same(uri.user, rows[i].user, rows[i].text);
        same(uri.password, rows[i].password, rows[i].text);
        same(uri.host, rows[i].host, rows[i].text);
        same(uri.path, rows[i].path, rows[i].text);
        same(uri.query, rows[i].query, rows[i].text);
        ck_assert_uint_eq(uri.port, rows[i].port);
        fpi_uri_dispose(&uri);
        ck_assert_ptr_null(uri.scheme);
        fpi_uri_dispose(&uri);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(malformed_ones_are_refused)
{
    static const char *const bad[] = { "",
                                       "/path",
                                       "noscheme",
                                       ":x",
                                       "1a:x",
                                       "a b:x",
                                       "-a:x",
                                       "x://h:port/",
                                       "x://h:65536/",
                                       "x://h:99999999999/",
                                       "x://h:-1/",
                                       "x://a:b:c/",
                                       "x://[::1/",
                                       "x://[::1]x:80/",
                                       "x:%",
                                       "x:%4",
                                       "x:%zz",
                                       "x:%4g",
                                       "x:%00",
                                       "x://u%0@h/",
                                       "abcdefghijklmnopqrstuvwxyzabcdefg:x" };
    fpi_uri untouched = { .port = 77 };
    char *huge = malloc(FPI_URI_MAX + 2);

    open_context();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(fpi_uri_parse(ctx, bad[i], &untouched, &err) == FILEPROC_ERR_INVALID, "%s",
                      bad[i]);
        ck_assert_uint_eq(untouched.port, 77);
        ck_assert_ptr_null(untouched.scheme);
    }
    memset(huge, 'x', FPI_URI_MAX + 1);
    huge[1] = ':';
    huge[FPI_URI_MAX] = '\0';
    ck_assert_int_eq(fpi_uri_parse(ctx, huge, &untouched, &err), FILEPROC_OK);
    fpi_uri_dispose(&untouched);
    huge[FPI_URI_MAX] = 'x';
    huge[FPI_URI_MAX + 1] = '\0';
    ck_assert_int_eq(fpi_uri_parse(ctx, huge, &untouched, &err), FILEPROC_ERR_INVALID);
    free(huge);
    fp_context_free(ctx);
}
END_TEST

START_TEST(errors_never_show_the_password)
{
    static const char *const bad[] = { "pg://u:hunter2@h:port/", "pg://u:hunter2%@h/",
                                       "pg://u:hunter2@[h/", "hunter2" };
    fpi_uri uri = { 0 };

    open_context();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_int_eq(fpi_uri_parse(ctx, bad[i], &uri, &err), FILEPROC_ERR_INVALID);
        ck_assert_ptr_null(strstr(err.message, "hunter2"));
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(the_scheme_alone_can_be_had)
{
    char scheme[32] = "untouched";

    ck_assert_int_eq(fpi_uri_scheme("MEM:", scheme, &err), FILEPROC_OK);
    ck_assert_str_eq(scheme, "mem");
    ck_assert_int_eq(fpi_uri_scheme("abcdefghijklmnopqrstuvwxyzabcde:", scheme, &err), FILEPROC_OK);
    ck_assert_uint_eq(strlen(scheme), 31);
}
END_TEST

START_TEST(parse_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *faulty = NULL;
        fpi_uri uri = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &faulty, &err), FILEPROC_OK);
        fault_arm(&f);
        rc = fpi_uri_parse(faulty, "pg://user:pass@host:1/path?query", &uri, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(uri.scheme);
        fpi_uri_dispose(&uri);
        fp_context_free(faulty);
    }
}
END_TEST

RUN_TESTS("uri", parts_are_taken_apart, malformed_ones_are_refused, errors_never_show_the_password,
          the_scheme_alone_can_be_had, parse_survives_every_allocation_failure)
