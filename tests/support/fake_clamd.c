/* Owns: a clamd for tests that does what a real one can't be made to do.
 * Must not know: what is tested. */
#include "fake_clamd.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "core/digest.h"

#define MOST (1u << 20)

struct fake_clamd {
    int listener;
    atomic_bool stopping;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    int how;
    char reply[2048];
    size_t reply_size;
    fake_clamd_heard heard;
    char uri[160];
};

/* False when the other side, or the test, is gone. */
static bool readable(fake_clamd *c, int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    while (!atomic_load(&c->stopping))
        if (poll(&p, 1, 20) > 0)
            return true;
    return false;
}

static bool take(fake_clamd *c, int fd, void *to, size_t size)
{
    unsigned char *at = to;

    while (size > 0 && readable(c, fd)) {
        ssize_t n = recv(fd, at, size, 0);

        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return size == 0;
}

static bool take_piece(fake_clamd *c, int fd, unsigned char *buf, fake_clamd_heard *h, bool *end)
{
    uint32_t length = 0;

    if (!take(c, fd, &length, sizeof(length)))
        return false;
    length = ntohl(length);
    *end = length == 0;
    if (length > MOST || !take(c, fd, buf, length))
        return false;
    if (length) {
        h->pieces++;
        h->bytes += length;
        h->crc32c = fpi_crc32c(h->crc32c, buf, length);
        h->largest = length > h->largest ? length : h->largest;
    }
    return true;
}

static void say(fake_clamd *c, int fd, int how)
{
    size_t step = how == FAKE_CLAMD_PIECEWISE ? 1 : c->reply_size;

    for (size_t at = 0; at < c->reply_size; at += step) {
        (void)!send(fd, c->reply + at, step, MSG_NOSIGNAL);
        if (step == 1)
            nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}

static void wait_for_the_end(fake_clamd *c, int fd)
{
    char byte;

    while (readable(c, fd) && recv(fd, &byte, 1, 0) > 0)
        continue;
}

static void converse(fake_clamd *c, int fd, unsigned char *buf)
{
    fake_clamd_heard h = { 0 };
    char command[10];
    bool end = false, good;
    int how = c->how;

    if (how == FAKE_CLAMD_DEAF) {
        while (!atomic_load(&c->stopping))
            nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
        return;
    }
    good = take(c, fd, command, sizeof(command)) && memcmp(command, "zINSTREAM", 10) == 0;
    while (good && !end) {
        good = take_piece(c, fd, buf, &h, &end);
        if (how == FAKE_CLAMD_EARLY || how == FAKE_CLAMD_HANG_UP)
            break;
    }
    h.well_formed = good && end;
    pthread_mutex_lock(&c->lock);
    c->heard = h;
    if (how != FAKE_CLAMD_HANG_UP && how != FAKE_CLAMD_SILENT)
        say(c, fd, how);
    pthread_mutex_unlock(&c->lock);
    if (how == FAKE_CLAMD_SILENT)
        wait_for_the_end(c, fd);
}

static void *serve(void *arg)
{
    fake_clamd *c = arg;
    unsigned char *buf = malloc(MOST);

    while (buf && readable(c, c->listener)) {
        int fd = accept(c->listener, NULL, NULL);

        if (fd < 0)
            continue;
        converse(c, fd, buf);
        close(fd);
    }
    free(buf);
    return NULL;
}

static void listen_local(fake_clamd *c, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    snprintf(c->uri, sizeof(c->uri), "unix://%s", path);
    c->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(c->listener, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void listen_tcp(fake_clamd *c)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof(a);

    c->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(c->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(c->listener, (struct sockaddr *)&a, &size), 0);
    snprintf(c->uri, sizeof(c->uri), "tcp://127.0.0.1:%u", ntohs(a.sin_port));
}

void fake_clamd_set(fake_clamd *c, int how, const char *reply, size_t size)
{
    pthread_mutex_lock(&c->lock);
    ck_assert_uint_le(size, sizeof(c->reply));
    c->how = how;
    memcpy(c->reply, reply, size);
    c->reply_size = size;
    pthread_mutex_unlock(&c->lock);
}

fake_clamd *fake_clamd_start(const char *socket_path, int how, const char *reply, size_t size)
{
    fake_clamd *c = calloc(1, sizeof(*c));

    ck_assert_ptr_nonnull(c);
    pthread_mutex_init(&c->lock, NULL);
    atomic_init(&c->stopping, false);
    if (socket_path)
        listen_local(c, socket_path);
    else
        listen_tcp(c);
    ck_assert_int_eq(listen(c->listener, 8), 0);
    fake_clamd_set(c, how, reply, size);
    ck_assert_int_eq(pthread_create(&c->thread, NULL, serve, c), 0);
    return c;
}

const char *fake_clamd_uri(const fake_clamd *c)
{
    return c->uri;
}

fake_clamd_heard fake_clamd_heard_last(fake_clamd *c)
{
    fake_clamd_heard heard;

    pthread_mutex_lock(&c->lock);
    heard = c->heard;
    pthread_mutex_unlock(&c->lock);
    return heard;
}

void fake_clamd_stop(fake_clamd *c)
{
    atomic_store(&c->stopping, true);
    pthread_join(c->thread, NULL);
    close(c->listener);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
