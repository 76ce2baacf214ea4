/* Owns: the tests of daemons/common/socket_loop.c. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "runner.h"
#include "socket_loop.h"

/* A service that says numbers, the latest only, and echoes. */
typedef struct service {
    fpd_socket base; /* first */
    fpd_socket_link link;
    atomic_int number, said;
    atomic_bool open, closed, refuse;
    int peer; /* the client's end */
} service;

static bool opened(fpd_socket *socket, const fpd_socket_link *link)
{
    service *s = (service *)socket;

    s->link = *link;
    atomic_store(&s->open, true);
    return !atomic_load(&s->refuse);
}

static bool echo(fpd_socket *socket, const char *text, size_t size)
{
    service *s = (service *)socket;

    return s->link.send(s->link.self, text, size);
}

static size_t more(fpd_socket *socket, char *text)
{
    service *s = (service *)socket;
    int number = atomic_load(&s->number);

    if (number == atomic_load(&s->said))
        return 0;
    atomic_store(&s->said, number);
    return (size_t)snprintf(text, FPD_SOCKET_TEXT_MAX, "%500d", number);
}

static void closed(fpd_socket *socket)
{
    atomic_store(&((service *)socket)->closed, true);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void wait_for(atomic_bool *flag)
{
    for (int i = 0; i < 2000 && !atomic_load(flag); i++)
        pause_ms(5);
    ck_assert(atomic_load(flag));
}

static void add(fpd_socket_loop *loop, service *s)
{
    int ends[2];

    *s = (service){ .base = { opened, echo, more, closed } };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    s->peer = ends[1];
    ck_assert(fpd_socket_loop_add(loop, ends[0], &s->base));
}

static void say(service *s, int number)
{
    atomic_store(&s->number, number);
    s->link.wake(s->link.self);
}

/* Exactly so many bytes, within ten seconds. */
static void must_read(int fd, void *buf, size_t size)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (size_t at = 0; at < size;) {
        ssize_t n;

        ck_assert_int_eq(poll(&p, 1, 10000), 1);
        n = read(fd, (char *)buf + at, size - at);
        ck_assert_int_gt(n, 0);
        at += (size_t)n;
    }
}

static int must_read_number(int fd)
{
    char text[505];

    must_read(fd, text, 504);
    text[504] = '\0';
    ck_assert_mem_eq(text, "\x81\x7e\x01\xf4", 4);
    return (int)strtol(text + 4, NULL, 10);
}

static void must_end(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char byte;

    ck_assert_int_eq(poll(&p, 1, 10000), 1);
    ck_assert_int_le(read(fd, &byte, 1), 0);
}

START_TEST(what_is_said_comes_and_what_is_sent_is_heard)
{
    fpd_socket_loop *loop = fpd_socket_loop_start(NULL);
    char buf[16];
    service s;

    add(loop, &s);
    wait_for(&s.open);
    say(&s, 7);
    ck_assert_int_eq(must_read_number(s.peer), 7);
    ck_assert_int_eq(write(s.peer, "\x81\x82\0\0\0\0hi\x89\x81\0\0\0\0p", 15), 15);
    must_read(s.peer, buf, 7);
    ck_assert_mem_eq(buf, "\x81\x02hi\x8a\x01p", 7);
    close(s.peer);
    wait_for(&s.closed);
    fpd_socket_loop_stop(loop);
}
END_TEST

START_TEST(one_that_does_not_read_sees_the_latest_and_holds_up_nobody)
{
    fpd_socket_loop *loop = fpd_socket_loop_start(NULL);
    service slow, fast;
    int last = 0, count = 0;

    add(loop, &slow);
    add(loop, &fast);
    wait_for(&slow.open);
    wait_for(&fast.open);
    for (int i = 1; i <= 2000; i++) {
        say(&slow, i);
        say(&fast, i);
        ck_assert_int_eq(must_read_number(fast.peer), i);
    }
    while (last < 2000) {
        int number = must_read_number(slow.peer);

        ck_assert_int_gt(number, last);
        last = number;
        count++;
    }
    ck_assert_int_lt(count, 1500);
    close(slow.peer);
    close(fast.peer);
    wait_for(&slow.closed);
    fpd_socket_loop_stop(loop);
    ck_assert(atomic_load(&fast.closed));
}
END_TEST

START_TEST(one_that_takes_nothing_for_long_is_dropped)
{
    const fpd_socket_loop_options o = { .stuck_ms = 300 };
    fpd_socket_loop *loop = fpd_socket_loop_start(&o);
    service s;

    add(loop, &s);
    wait_for(&s.open);
    for (int i = 1; !atomic_load(&s.closed) && i < 4000; i++) {
        say(&s, i);
        pause_ms(1);
    }
    ck_assert(atomic_load(&s.closed));
    close(s.peer);
    fpd_socket_loop_stop(loop);
}
END_TEST

START_TEST(silent_one_is_asked_and_dropped_when_it_does_not_answer)
{
    const fpd_socket_loop_options o = { .ping_ms = 100, .quiet_ms = 1500 };
    fpd_socket_loop *loop = fpd_socket_loop_start(&o);
    char buf[2];
    service s;

    add(loop, &s);
    for (int i = 0; i < 8; i++) { /* longer than quiet_ms */
        must_read(s.peer, buf, 2);
        ck_assert_mem_eq(buf, "\x89\x00", 2);
        ck_assert_int_eq(write(s.peer, "\x8a\x80\0\0\0\0", 6), 6);
    }
    ck_assert(!atomic_load(&s.closed));
    wait_for(&s.closed);
    close(s.peer);
    fpd_socket_loop_stop(loop);
}
END_TEST

START_TEST(what_a_peer_may_not_send_ends_it_with_a_code)
{
    const fpd_socket_loop_options o = { .close_ms = 300 };
    fpd_socket_loop *loop = fpd_socket_loop_start(&o);
    char buf[8];
    service s[2];

    add(loop, &s[0]);
    ck_assert_int_eq(write(s[0].peer, "\x82\x81\0\0\0\0xmore of it", 17), 17);
    must_read(s[0].peer, buf, 4);
    ck_assert_mem_eq(buf, "\x88\x02\x03\xeb", 4);
    must_end(s[0].peer);
    ck_assert(
        !atomic_load(&s[0].closed)); /* which would take the code away from who has not read it */
    wait_for(&s[0].closed);
    add(loop, &s[1]);
    ck_assert_int_eq(write(s[1].peer, "\x88\x82\0\0\0\0\x03\xe8", 8), 8);
    must_read(s[1].peer, buf, 4);
    ck_assert_mem_eq(buf, "\x88\x02\x03\xe8", 4);
    close(s[1].peer);
    wait_for(&s[1].closed);
    close(s[0].peer);
    fpd_socket_loop_stop(loop);
}
END_TEST

START_TEST(dropping_refusing_and_stopping_close)
{
    fpd_socket_loop *loop = fpd_socket_loop_start(NULL);
    char buf[4];
    service s[3];

    add(loop, &s[0]);
    add(loop, &s[1]);
    wait_for(&s[0].open);
    wait_for(&s[1].open);
    s[0].link.drop(s[0].link.self);
    must_read(s[0].peer, buf, 4);
    ck_assert_mem_eq(buf, "\x88\x02\x03\xe9", 4);
    close(s[0].peer);
    wait_for(&s[0].closed);
    fpd_socket_loop_stop(loop);
    ck_assert(atomic_load(&s[1].closed));
    must_read(s[1].peer, buf, 4);
    must_end(s[1].peer);
    close(s[1].peer);
    loop = fpd_socket_loop_start(NULL);
    add(loop, &s[2]);
    atomic_store(&s[2].refuse, true);
    fpd_socket_loop_stop(loop);
    ck_assert(atomic_load(&s[2].closed));
    close(s[2].peer);
}
END_TEST

START_TEST(peer_that_sends_and_does_not_read_is_read_from_no_more)
{
    fpd_socket_loop *loop = fpd_socket_loop_start(NULL);
    static char frame[6 + 125] = "\x81\xfd";
    size_t sent = 0, back = 0;
    char buf[127];
    service s;

    add(loop, &s);
    while (send(s.peer, frame, sizeof(frame), MSG_DONTWAIT) == (ssize_t)sizeof(frame)) {
        sent++;
        if (sent % 100 == 0)
            pause_ms(2);
        ck_assert_uint_lt(sent, 100000);
    }
    for (; back < sent; back++) {
        must_read(s.peer, buf, sizeof(buf));
        ck_assert_mem_eq(buf, "\x81\x7d", 2);
    }
    ck_assert(!atomic_load(&s.closed));
    close(s.peer);
    wait_for(&s.closed);
    fpd_socket_loop_stop(loop);
}
END_TEST

static void *say_many(void *arg)
{
    service *s = arg;

    for (int i = 1; i <= 5000; i++)
        say(s, i);
    return NULL;
}

START_TEST(many_threads_may_wake)
{
    fpd_socket_loop *loop = fpd_socket_loop_start(NULL);
    pthread_t threads[4];
    service s[4];

    for (int i = 0; i < 4; i++) {
        add(loop, &s[i]);
        wait_for(&s[i].open);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, say_many, &s[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        while (must_read_number(s[i].peer) < 5000)
            continue;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fpd_socket_loop_stop(loop);
    for (int i = 0; i < 4; i++)
        close(s[i].peer);
    fpd_socket_loop_stop(NULL);
}
END_TEST

RUN_TESTS("socket_loop", what_is_said_comes_and_what_is_sent_is_heard,
          one_that_does_not_read_sees_the_latest_and_holds_up_nobody,
          one_that_takes_nothing_for_long_is_dropped,
          silent_one_is_asked_and_dropped_when_it_does_not_answer,
          what_a_peer_may_not_send_ends_it_with_a_code, dropping_refusing_and_stopping_close,
          peer_that_sends_and_does_not_read_is_read_from_no_more, many_threads_may_wake)
