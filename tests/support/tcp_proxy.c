/* Owns: a proxy between a program and a server on loopback that cuts or freezes connections at a chosen moment.
 * Must not know: what is said through it. One thread and poll(); connections are few. */
#include "tcp_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#define PAIRS 64

typedef struct pair {
    int client, server; /* -1 = none */
    int what;           /* decided for this one */
} pair;

struct tcp_proxy {
    int listener, stop, port, server_port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    char needle[64];
    int what, hits;
    pair pairs[PAIRS]; /* the thread's own */
};

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void close_pair(pair *p)
{
    if (p->client >= 0)
        close(p->client);
    if (p->server >= 0)
        close(p->server);
    *p = (pair){ -1, -1, TCP_PROXY_PASS };
}

static void add_pair(tcp_proxy *proxy)
{
    struct sockaddr_in to = loopback(proxy->server_port);
    pair p = { accept(proxy->listener, NULL, NULL), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
               TCP_PROXY_PASS };
    pair *at = proxy->pairs;

    while (at < proxy->pairs + PAIRS && (at->client >= 0 || at->server >= 0))
        at++;
    if (at == proxy->pairs + PAIRS ||
        connect(p.server, (const struct sockaddr *)&to, sizeof(to)) != 0)
        close_pair(&p);
    else
        *at = p;
}

static int decide(tcp_proxy *proxy, const char *data, size_t size)
{
    int what = TCP_PROXY_PASS;

    pthread_mutex_lock(&proxy->lock);
    if (proxy->needle[0] && memmem(data, size, proxy->needle, strlen(proxy->needle))) {
        what = proxy->what;
        proxy->needle[0] = '\0';
        proxy->hits++;
    }
    pthread_mutex_unlock(&proxy->lock);
    return what;
}

/* Small and local: sent in one go. */
static void pass(pair *p, int to, const char *data, size_t size)
{
    if (send(to, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        close_pair(p);
}

static void from_client(tcp_proxy *proxy, pair *p)
{
    static char data[65536];
    ssize_t size = recv(p->client, data, sizeof(data), 0);

    if (size <= 0 && p->what == TCP_PROXY_FREEZE) {
        close(p->client); /* the server does not get to know */
        p->client = -1;
        return;
    }
    if (size <= 0) {
        close_pair(p);
        return;
    }
    if (p->what == TCP_PROXY_PASS)
        p->what = decide(proxy, data, (size_t)size);
    if (p->what == TCP_PROXY_CUT_BEFORE)
        close_pair(p);
    else if (p->what != TCP_PROXY_FREEZE)
        pass(p, p->server, data, (size_t)size);
}

static void from_server(pair *p)
{
    static char data[65536];
    ssize_t size = recv(p->server, data, sizeof(data), 0);

    if (size <= 0 || p->what == TCP_PROXY_CUT_AFTER)
        close_pair(p);
    else
        pass(p, p->client, data, (size_t)size);
}

static void *run(void *arg)
{
    tcp_proxy *proxy = arg;
    struct pollfd fds[2 + 2 * PAIRS];

    for (;;) {
        fds[0] = (struct pollfd){ proxy->stop, POLLIN, 0 };
        fds[1] = (struct pollfd){ proxy->listener, POLLIN, 0 };
        for (int i = 0; i < PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){ proxy->pairs[i].client, POLLIN, 0 };
            fds[3 + 2 * i] = (struct pollfd){ proxy->pairs[i].server, POLLIN, 0 };
        }
        if (poll(fds, 2 + 2 * PAIRS, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (int i = 0; i < PAIRS; i++) {
            if (fds[2 + 2 * i].revents)
                from_client(proxy, &proxy->pairs[i]);
            else if (fds[3 + 2 * i].revents)
                from_server(&proxy->pairs[i]);
        }
        if (fds[1].revents)
            add_pair(proxy);
    }
}

tcp_proxy *tcp_proxy_start(int server_port)
{
    tcp_proxy *proxy = calloc(1, sizeof(*proxy));
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof(at);

    ck_assert_ptr_nonnull(proxy);
    proxy->server_port = server_port;
    proxy->stop = eventfd(0, EFD_CLOEXEC);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(proxy->listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(proxy->listener, 64), 0);
    ck_assert_int_eq(getsockname(proxy->listener, (struct sockaddr *)&at, &size), 0);
    proxy->port = ntohs(at.sin_port);
    for (int i = 0; i < PAIRS; i++)
        proxy->pairs[i] = (pair){ -1, -1, TCP_PROXY_PASS };
    pthread_mutex_init(&proxy->lock, NULL);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

int tcp_proxy_port(const tcp_proxy *proxy)
{
    return proxy->port;
}

void tcp_proxy_when(tcp_proxy *proxy, const char *needle, int what)
{
    pthread_mutex_lock(&proxy->lock);
    snprintf(proxy->needle, sizeof(proxy->needle), "%s", needle);
    proxy->what = what;
    pthread_mutex_unlock(&proxy->lock);
}

int tcp_proxy_hits(tcp_proxy *proxy)
{
    int hits;

    pthread_mutex_lock(&proxy->lock);
    hits = proxy->hits;
    pthread_mutex_unlock(&proxy->lock);
    return hits;
}

void tcp_proxy_stop(tcp_proxy *proxy)
{
    ck_assert_int_eq(eventfd_write(proxy->stop, 1), 0);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PAIRS; i++)
        close_pair(&proxy->pairs[i]);
    close(proxy->listener);
    close(proxy->stop);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}
