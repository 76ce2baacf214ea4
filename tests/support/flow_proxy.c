/* Owns: a TCP proxy on loopback whose flow a test can stop, slow down and cut.
 * Must not know: what flows. */
#include "flow_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#define PAIRS 64
#define TICK_MS 10

typedef struct pair {
    int client, server; /* -1 = free */
    int left;           /* until it is cut; 0 = no end */
} pair;

struct flow_proxy {
    int listener, server_port, port;
    pthread_t thread;
    atomic_bool stop, refuse, hold_up, hold_down;
    atomic_int cuts, slow, cut_after;
    int cuts_done;
    pair pairs[PAIRS];
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void end_pair(pair *c)
{
    struct linger now = { 1, 0 };

    if (c->client < 0)
        return;
    setsockopt(c->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* a reset */
    close(c->client);
    close(c->server);
    *c = (pair){ -1, -1, 0 };
}

static void accept_one(flow_proxy *p)
{
    struct sockaddr_in to = loopback(p->server_port);
    int client = accept(p->listener, NULL, NULL), server = -1;
    pair *c = p->pairs;

    while (c < p->pairs + PAIRS && c->client >= 0)
        c++;
    if (!p->refuse && client >= 0 && c < p->pairs + PAIRS)
        server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server >= 0 && connect(server, (struct sockaddr *)&to, sizeof(to)) == 0) {
        *c = (pair){ client, server, p->cut_after };
        return;
    }
    if (server >= 0)
        close(server);
    if (client >= 0)
        close(client);
}

static bool pass(const flow_proxy *p, pair *c, bool down)
{
    char buffer[16384];
    size_t most = p->slow ? (size_t)p->slow : sizeof(buffer), sent = 0;
    ssize_t n;

    if (down && c->left && (size_t)c->left < most)
        most = (size_t)c->left;
    n = recv(down ? c->server : c->client, buffer, most, 0);
    while (n > 0 && sent < (size_t)n) {
        ssize_t m =
            send(down ? c->client : c->server, buffer + sent, (size_t)n - sent, MSG_NOSIGNAL);

        if (m <= 0)
            return false;
        sent += (size_t)m;
    }
    if (down && c->left && n > 0 && (c->left -= (int)n) == 0)
        return false;
    return n > 0;
}

static void pass_all(flow_proxy *p)
{
    struct pollfd fds[1 + 2 * PAIRS] = { { .fd = p->listener, .events = POLLIN } };

    for (int i = 0; i < PAIRS; i++) {
        fds[1 + 2 * i] = (struct pollfd){ p->hold_up ? -1 : p->pairs[i].client, POLLIN, 0 };
        fds[2 + 2 * i] = (struct pollfd){ p->hold_down ? -1 : p->pairs[i].server, POLLIN, 0 };
    }
    if (poll(fds, 1 + 2 * PAIRS, TICK_MS) <= 0)
        return;
    for (int i = 0; i < PAIRS; i++) {
        bool alive = !fds[1 + 2 * i].revents || pass(p, &p->pairs[i], false);

        if (!alive || (fds[2 + 2 * i].revents && !pass(p, &p->pairs[i], true)))
            end_pair(&p->pairs[i]);
    }
    if (fds[0].revents)
        accept_one(p);
}

static void *run(void *arg)
{
    flow_proxy *p = arg;

    while (!p->stop) {
        if (p->cuts != p->cuts_done) {
            for (int i = 0; i < PAIRS; i++)
                end_pair(&p->pairs[i]);
            p->cuts_done++;
        }
        pass_all(p);
        if (p->slow)
            nanosleep(&(struct timespec){ 0, TICK_MS * 1000000 }, NULL);
    }
    return NULL;
}

flow_proxy *flow_proxy_start(int server_port)
{
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof(at);
    flow_proxy *p = calloc(1, sizeof(*p));

    ck_assert_ptr_nonnull(p);
    p->server_port = server_port;
    for (int i = 0; i < PAIRS; i++)
        p->pairs[i] = (pair){ -1, -1, 0 };
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(p->listener, PAIRS), 0);
    ck_assert_int_eq(getsockname(p->listener, (struct sockaddr *)&at, &size), 0);
    p->port = ntohs(at.sin_port);
    ck_assert_int_eq(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

void flow_proxy_stop(flow_proxy *p)
{
    p->stop = true;
    pthread_join(p->thread, NULL);
    for (int i = 0; i < PAIRS; i++)
        end_pair(&p->pairs[i]);
    close(p->listener);
    free(p);
}

int flow_proxy_port(const flow_proxy *p)
{
    return p->port;
}

void flow_proxy_cut(flow_proxy *p)
{
    p->cuts++;
}

void flow_proxy_refuse(flow_proxy *p, bool refuse)
{
    p->refuse = refuse;
}

void flow_proxy_hold(flow_proxy *p, bool up, bool down)
{
    p->hold_up = up;
    p->hold_down = down;
}

void flow_proxy_slow(flow_proxy *p, int bytes)
{
    p->slow = bytes;
}

void flow_proxy_cut_after(flow_proxy *p, int bytes)
{
    p->cut_after = bytes;
}
