/* Owns: the tests of daemons/common/server.c that need no client: what it refuses to start on. The rest is in tests/e2e. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "runner.h"
#include "server.h"

static const fpd_server_options usual = {
    .address = "127.0.0.1", .threads = 4, .keep_alive_ms = 500, .request_timeout_ms = 1000
};
static fpd_router router;

/* Starts and stops; "" or why it did not start. */
static void try_start(const fpd_server_options *o, fp_error *err)
{
    fpd_metrics *metrics = fpd_metrics_new();
    fpd_dispatcher *dispatcher = fpd_dispatcher_new(&router, metrics, "", NULL);
    fpd_server *server = fpd_server_start(o, dispatcher, err);

    if (server)
        ck_assert_int_gt(fpd_server_port(server), 0);
    else
        ck_assert_int_ne(err->message[0], 0);
    fpd_server_stop(server);
    fpd_dispatcher_free(dispatcher);
    fpd_metrics_free(metrics);
}

START_TEST(loopback_is_recognised)
{
    ck_assert(fpd_is_loopback("127.0.0.1"));
    ck_assert(fpd_is_loopback("127.1.2.3"));
    ck_assert(fpd_is_loopback("localhost"));
    ck_assert(!fpd_is_loopback("0.0.0.0"));
    ck_assert(!fpd_is_loopback("192.168.1.1"));
    ck_assert(!fpd_is_loopback("128.0.0.1"));
    ck_assert(!fpd_is_loopback("127.0.0.1.evil.example"));
}
END_TEST

START_TEST(it_starts_on_a_free_port)
{
    fp_error err = { 0 };

    try_start(&usual, &err);
    ck_assert_str_eq(err.message, "");
}
END_TEST

START_TEST(other_addresses_are_refused_unless_meant)
{
    fpd_server_options o = usual;
    fp_error err = { 0 };

    o.address = "0.0.0.0";
    try_start(&o, &err);
    ck_assert_int_eq(err.code, FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "--insecure"));
    o.address = "::1";
    try_start(&o, &err);
    ck_assert_int_eq(err.code, FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "IPv6"));
}
END_TEST

START_TEST(a_taken_port_is_named)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    fpd_server_options o = usual;
    fp_error err = { 0 };
    char port[16];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    o.port = ntohs(at.sin_port);
    try_start(&o, &err);
    ck_assert_int_eq(err.code, FILEPROC_ERR_BUSY);
    snprintf(port, sizeof(port), "port %d ", (int)o.port);
    ck_assert_ptr_nonnull(strstr(err.message, port));
    close(fd);
}
END_TEST

/* CivetWeb alone takes two seconds. */
START_TEST(it_ends_at_once_when_nobody_is_connected)
{
    int64_t began = fpd_monotonic_ns();
    fp_error err = { 0 };

    try_start(&usual, &err);
    ck_assert_str_eq(err.message, "");
    ck_assert_int_lt(fpd_monotonic_ns() - began, INT64_C(1500000000));
}
END_TEST

RUN_TESTS("server", loopback_is_recognised, it_starts_on_a_free_port,
          other_addresses_are_refused_unless_meant, a_taken_port_is_named,
          it_ends_at_once_when_nobody_is_connected)
