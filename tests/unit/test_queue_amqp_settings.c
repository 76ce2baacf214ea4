/* Owns: the tests of queue/queue_amqp_settings.c.
 * Must not know: how one connects. */
#include "queue/queue_amqp_settings.h"

#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
#include "scratch.h"

static fp_context *ctx;

static void must_parse(const char *uri, fpi_amqp_settings *s)
{
    fp_error err = { 0 };

    if (!ctx)
        ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_amqp_settings_parse(ctx, uri, s, &err), FILEPROC_OK, &err);
}

static void done(fpi_amqp_settings *s)
{
    fpi_amqp_settings_dispose(s);
    fp_context_free(fpi_steal(&ctx));
}

START_TEST(nothing_given_means_a_broker_on_this_machine)
{
    fpi_amqp_settings s;

    must_parse("amqp:", &s);
    ck_assert_str_eq(s.host, "localhost");
    ck_assert_uint_eq(s.port, 5672);
    ck_assert_str_eq(s.user, "guest");
    ck_assert_str_eq(s.password, "guest");
    ck_assert_str_eq(s.vhost, "/");
    ck_assert_str_eq(s.prefix, "fileproc.");
    ck_assert_uint_eq(s.heartbeat_s, 30);
    ck_assert_uint_eq(s.connect_timeout_ms, 3000);
    ck_assert_uint_eq(s.prefetch, 8);
    ck_assert(!s.tls && s.verify);
    ck_assert_ptr_null(s.ca_file);
    fpi_amqp_settings_dispose(&s);
    must_parse("amqps://h", &s);
    ck_assert_uint_eq(s.port, 5671);
    ck_assert(s.tls);
    done(&s);
}
END_TEST

START_TEST(parts_are_decoded)
{
    fpi_amqp_settings s;

    must_parse("amqps://me%40x:p%2F%3A%25@host.example:1234/a%2Fb?prefix=p-1.&heartbeat=5&"
               "connection_timeout=250&prefetch=20&verify=verify_none&cacertfile=/etc/my%20ca.pem&"
               "certfile=c&keyfile=k&",
               &s);
    ck_assert_str_eq(s.user, "me@x");
    ck_assert_str_eq(s.password, "p/:%");
    ck_assert_str_eq(s.host, "host.example");
    ck_assert_uint_eq(s.port, 1234);
    ck_assert_str_eq(s.vhost, "a/b");
    ck_assert_str_eq(s.prefix, "p-1.");
    ck_assert_uint_eq(s.heartbeat_s, 5);
    ck_assert_uint_eq(s.connect_timeout_ms, 250);
    ck_assert_uint_eq(s.prefetch, 20);
    ck_assert(!s.verify);
    ck_assert_str_eq(s.ca_file, "/etc/my ca.pem");
    ck_assert_str_eq(s.certificate_file, "c");
    ck_assert_str_eq(s.key_file, "k");
    done(&s);
}
END_TEST

START_TEST(slash_alone_is_the_virtual_host_of_that_name)
{
    static const char *const uris[] = { "amqp://h", "amqp://h/", "amqp://h/%2F", "amqp://h/%2f" };
    fpi_amqp_settings s;

    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        must_parse(uris[i], &s);
        ck_assert_str_eq(s.vhost, "/");
        fpi_amqp_settings_dispose(&s);
    }
    must_parse("amqp://h/name", &s);
    ck_assert_str_eq(s.vhost, "name");
    done(&s);
}
END_TEST

START_TEST(wrong_parameters_are_named_and_no_password)
{
    static const char *const queries[] = {
        "heartbeat=",
        "heartbeat=-1",
        "heartbeat=3601",
        "heartbeat=1s",
        "prefetch=0",
        "prefetch=1001",
        "prefetch=99999999999999999999",
        "verify=perhaps",
        "connection_timeout=0",
        "prefix=",
        "prefix=a%20b",
        "prefix=a/b",
        "nonsense=1",
        "heartbeat",
        "certfile=alone",
        "keyfile=alone",
        "cacertfile=%zz",
    };
    fpi_amqp_settings s = { 0 };

    must_parse("amqp:", &s);
    fpi_amqp_settings_dispose(&s);
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        char uri[200];
        fp_error err = { 0 };

        snprintf(uri, sizeof(uri), "amqp://u:w0rdz@h/?%s", queries[i]);
        ck_status(fpi_amqp_settings_parse(ctx, uri, &s, &err), FILEPROC_ERR_INVALID, &err);
        ck_assert_ptr_null(strstr(err.message, "w0rdz"));
        ck_assert_ptr_null(s.uri.a);
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
        fpi_amqp_settings s = { 0 };
        fp_context *own = NULL;
        fp_error err = { 0 };
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&o, &own, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fpi_amqp_settings_parse(
            own, "amqps://u:p@h:1/v?prefix=x.&cacertfile=a&certfile=b&keyfile=c&prefix=y.", &s,
            &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(s.uri.a != NULL, rc == FILEPROC_OK);
        fpi_amqp_settings_dispose(&s);
        fp_context_free(own);
    }
}
END_TEST

RUN_TESTS("queue_amqp_settings", nothing_given_means_a_broker_on_this_machine, parts_are_decoded,
          slash_alone_is_the_virtual_host_of_that_name, wrong_parameters_are_named_and_no_password,
          parsing_survives_every_allocation_failure)
