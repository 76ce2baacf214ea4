/* Owns: the tests of daemons/common/takeover.c. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner.h"
#include "takeover.h"

#define CAPACITY 1024u

static int client, server;
static char *buffer; /* as the HTTP server has one */

static void open_connection(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    server = accept(listener, NULL, NULL);
    close(listener);
    buffer = malloc(CAPACITY);
    fpd_takeover_reset();
}

static void close_connection(void)
{
    close(client);
    close(server);
    free(buffer);
    fpd_takeover_reset();
}

/* The client sends it, and the server takes `taken` bytes of what is there into its buffer from `at` on. */
static void move(const char *text, size_t at, size_t taken)
{
    struct pollfd ready = { .fd = server, .events = POLLIN };

    if (*text)
        ck_assert_int_eq(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert_int_eq(recv(server, buffer + at, taken, MSG_WAITALL), (ssize_t)taken);
}

static void ck_ahead(size_t head_size, const char *ahead)
{
    fpd_raw raw = { .timeout_ms = 7 };

    ck_assert(fpd_takeover(buffer, head_size, CAPACITY, server, &raw));
    ck_assert_uint_eq(raw.size, strlen(ahead));
    ck_assert(memcmp(raw.data, ahead, raw.size) == 0);
    ck_assert_int_eq(raw.fd, server);
}

START_TEST(what_was_read_ahead_is_known)
{
    open_connection();
    move("HEADbody and more", 0, 8);
    ck_ahead(4, "body");
    move("", 8, 4); /* by whoever reads on */
    ck_ahead(4, "body and");
    close_connection();
}
END_TEST

START_TEST(requests_before_are_counted)
{
    open_connection();
    move("HEADfirst", 0, 9);
    fpd_takeover_count(9);
    move("HEADsecond", 0, 6);
    ck_ahead(4, "se");
    fpd_takeover_reset(); /* and forgotten with their connection */
    close_connection();
}
END_TEST

START_TEST(what_nobody_knows_is_not_guessed)
{
    fpd_raw raw = { 0 };

    open_connection();
    move("HEADbody", 0, 8);
    ck_assert(!fpd_takeover(buffer, 4, CAPACITY, -1, &raw));
    ck_assert(!fpd_takeover(buffer, 4, CAPACITY, STDERR_FILENO, &raw));
    ck_assert(!fpd_takeover(buffer + 1, 4, CAPACITY, server, &raw)); /* blanks before the head */
    ck_assert(!fpd_takeover(buffer, 9, CAPACITY, server, &raw));     /* less than the head */
    ck_assert(!fpd_takeover(buffer, 4, 7, server, &raw));            /* more than the buffer has */
    fpd_takeover_count(5);
    ck_assert(!fpd_takeover(buffer, 4, CAPACITY, server, &raw));
    fpd_takeover_reset();
    ck_assert(fpd_takeover(buffer, 4, CAPACITY, server, &raw));
    fpd_takeover_lose();
    ck_assert(!fpd_takeover(buffer, 4, CAPACITY, server, &raw));
    close_connection();
}
END_TEST

RUN_TESTS("takeover", what_was_read_ahead_is_known, requests_before_are_counted,
          what_nobody_knows_is_not_guessed)
