/* Owns: the tests of daemons/common/connection.c. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "runner.h"

static int port_of(int fd)
{
    struct sockaddr_in at = { 0 };
    socklen_t size = sizeof(at);

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin_port);
}

/* Both ends are in this process, as when it asks itself. */
START_TEST(each_end_is_told_from_the_other)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    int served, port;

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    port = port_of(listener);
    at.sin_port = htons((uint16_t)port);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    served = accept(listener, NULL, NULL);
    ck_assert_int_ge(served, 0);
    ck_assert_int_eq(fpd_connection_descriptor("127.0.0.1", port_of(client), port), served);
    ck_assert_int_eq(fpd_connection_descriptor("127.0.0.1", port, port_of(client)), client);
    ck_assert_int_eq(fpd_connection_descriptor("127.0.0.2", port_of(client), port), -1);
    ck_assert_int_eq(fpd_connection_descriptor("nobody", port_of(client), port), -1);
    close(served);
    ck_assert_int_eq(fpd_connection_descriptor("127.0.0.1", port_of(client), port), -1);
    close(client);
    close(listener);
}
END_TEST

START_TEST(who_loses_a_connection_finds_that_it_has_ended)
{
    int ends[2], taken;
    char c = 0;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    taken = fpd_connection_take(ends[0]);
    ck_assert_int_ge(taken, FPD_CONNECTION_TAKEN_MIN);
    ck_assert_int_eq(read(ends[0], &c, 1), 0);
    close(ends[0]);
    ck_assert_int_eq(write(taken, "x", 1), 1);
    ck_assert_int_eq(read(ends[1], &c, 1), 1);
    ck_assert_int_eq(c, 'x');
    close(taken);
    ck_assert_int_eq(read(ends[1], &c, 1), 0);
    close(ends[1]);
    ck_assert_int_eq(fpd_connection_take(-1), -1);
}
END_TEST

RUN_TESTS("connection", each_end_is_told_from_the_other,
          who_loses_a_connection_finds_that_it_has_ended)
