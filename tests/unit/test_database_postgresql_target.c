/* Owns: the promises about PostgreSQL URIs. */
#include <stdio.h>
#include <string.h>

#include "database/database_postgresql.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

FPI_DEFINE_DISPOSE(fpi_postgresql_target, fpi_postgresql_target_dispose)

static const char *value(const fpi_postgresql_target *t, const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->keys[i], key) == 0)
            return t->values[i];
    return NULL;
}

START_TEST(parts_of_the_uri_are_libpqs_parameters)
{
    fpi_postgresql_target t = { 0 };
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_postgresql_target_parse(
                  ctx,
                  "postgresql+asyncpg://us%40er:pa%3Ass@db.example:6543/na%20me?sslmode=verify-full"
                  "&options=-csearch_path%3Dx&pool_size=7&connect_timeout=3&keepalives_idle=99",
                  &t, &err),
              FILEPROC_OK, &err);
    ck_assert_str_eq(value(&t, "user"), "us@er");
    ck_assert_str_eq(value(&t, "password"), "pa:ss");
    ck_assert_str_eq(value(&t, "host"), "db.example");
    ck_assert_str_eq(value(&t, "port"), "6543");
    ck_assert_str_eq(value(&t, "dbname"), "na me");
    ck_assert_str_eq(value(&t, "sslmode"), "verify-full");
    ck_assert_str_eq(value(&t, "options"), "-csearch_path=x");
    ck_assert_str_eq(value(&t, "keepalives_idle"), "99");
    ck_assert_str_eq(value(&t, "client_encoding"), "UTF8");
    ck_assert_uint_eq(t.pool_size, 7);
    ck_assert_uint_eq(t.connect_timeout_ms, 3000);
    ck_assert_ptr_null(t.keys[t.count]);
    fpi_postgresql_target_dispose(&t);
    fp_context_free(ctx);
}
END_TEST

START_TEST(what_others_write_is_understood)
{
    static const struct {
        const char *uri, *key, *value;
    } cases[] = {
        { "postgres://h/d?ssl=true", "sslmode", "require" },
        { "postgres://h/d?ssl=verify-ca", "sslmode", "verify-ca" },
        { "postgres://h/d?ssl=0", "sslmode", "disable" },
        { "postgresql:///d?host=a,b&port=1,2&target_session_attrs=read-write", "host", "a,b" },
        { "postgresql://%2Fvar%2Frun/d", "host", "/var/run" },
        { "postgresql://[::1]:5432/d", "host", "::1" },
        { "postgresql:///", "dbname", NULL },
        { "postgresql://", "host", NULL },
        { "postgresql://u:@h/d", "password", "" },
    };
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        FPI_DISPOSE(fpi_postgresql_target) t = { 0 };

        ck_status(fpi_postgresql_target_parse(ctx, cases[i].uri, &t, &err), FILEPROC_OK, &err);
        ck_assert_pstr_eq(value(&t, cases[i].key), cases[i].value);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(bad_uri_is_refused_without_showing_secrets)
{
    static const char *const uris[] = {
        "postgresql:name",
        "postgresql://u:secret@h:99999/d",
        "postgresql://u:secret@h/d?nosuch=1",
        "postgresql://u:secret@h/d?password=secret",
        "postgresql://u:secret@h/d?sslmode",
        "postgresql://h/d?password=secret&pool_size=0",
        "postgresql://h/d?password=secret&pool_size=65",
        "postgresql://h/d?password=secret&pool_size=x",
        "postgresql://h/d?password=secret&connect_timeout=-1",
        "postgresql://h/d?password=%zzsecret",
        "postgresql://u:secret@h/d?client_encoding=LATIN1",
        "postgresql://u:secret@h/d?replication=1",
        "postgresql://u:secret@h/d?sslmode=a&ssl=b",
    };
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        fpi_postgresql_target t = { 0 };

        ck_status(fpi_postgresql_target_parse(ctx, uris[i], &t, &err), FILEPROC_ERR_INVALID, &err);
        ck_assert_ptr_null(strstr(err.message, "secret"));
        ck_assert_uint_eq(t.count, 0);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(parse_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fpi_postgresql_target t = { 0 };
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fpi_postgresql_target_parse(ctx, "postgresql://u:p@h:1/d?sslmode=require", &t, &err);
        fault_judge(&f, rc, &err);
        ck_assert(rc == FILEPROC_OK || t.count == 0);
        fpi_postgresql_target_dispose(&t);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("database_postgresql_target", parts_of_the_uri_are_libpqs_parameters,
          what_others_write_is_understood, bad_uri_is_refused_without_showing_secrets,
          parse_survives_every_allocation_failure)
