/* Owns: the tests of daemons/common/peers.c. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "peers.h"
#include "runner.h"

/* A server that takes one connection, reads a head, says something and hangs up; silent: says nothing for ever. */
typedef struct fake_peer {
    int listener, port;
    const char *answer; /* NULL = silent */
    size_t filler;      /* bytes of 'x' behind it */
    char head[1024];
    pthread_t thread;
} fake_peer;

static void *serve(void *arg)
{
    fake_peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    ssize_t n = fd < 0 ? 0 : recv(fd, p->head, sizeof(p->head) - 1, 0);

    if (n > 0 && p->answer) {
        send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL);
        for (size_t i = 0; i < p->filler; i++)
            if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
                break;
    } else if (n > 0) {
        char byte;

        (void)!recv(fd, &byte, 1, 0); /* until the other side gives up */
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void peer_start(fake_peer *p)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(p->listener, 4), 0);
    ck_assert_int_eq(getsockname(p->listener, (struct sockaddr *)&at, &size), 0);
    p->port = ntohs(at.sin_port);
    ck_assert_int_eq(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void peer_end(fake_peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
}

typedef struct world {
    fp_context *ctx;
    fp_config *config;
    fpd_peer_answer answers[FPD_SERVICES];
} world;

static void world_open(world *w)
{
    memset(w, 0, sizeof(*w));
    ck_assert(fpd_peers_init());
    ck_assert_int_eq(fp_context_new(NULL, &w->ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_new(w->ctx, &w->config, NULL), FILEPROC_OK);
}

static void point(world *w, size_t i, int port, const char *path)
{
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
    w->answers[i].service = &fpd_services[i];
    ck_assert_int_eq(fp_config_set(w->config, fpd_services[i].setting, url, NULL), FILEPROC_OK);
}

static void world_close(world *w)
{
    for (size_t i = 0; i < FPD_SERVICES; i++)
        fpd_peer_answer_dispose(&w->answers[i]);
    fp_config_free(w->config);
    fp_context_free(w->ctx);
}

START_TEST(who_answers_is_heard_and_who_does_not_is_given_up)
{
    fake_peer good = { .answer = "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}" };
    fake_peer silent = { 0 }, gone = { 0 };
    world w;
    int64_t began;

    world_open(&w);
    peer_start(&good);
    peer_start(&silent);
    peer_start(&gone);
    peer_end(&gone);
    point(&w, 0, good.port, "/");
    point(&w, 1, silent.port, "");
    point(&w, 2, gone.port, "");
    began = fpd_monotonic_ns();
    ck_assert(fpd_peers_ask(w.config, 300, w.answers, FPD_SERVICES));
    ck_assert_int_lt(fpd_monotonic_ns() - began, INT64_C(2000000000));
    ck_assert_int_eq(w.answers[0].status, 503);
    ck_assert_ptr_null(w.answers[0].problem);
    ck_assert_str_eq(w.answers[0].body.data, "{}");
    ck_assert_int_gt(w.answers[0].latency_ns, 0);
    ck_assert_int_eq(w.answers[1].status, 0);
    ck_assert_ptr_nonnull(w.answers[1].problem);
    ck_assert_int_eq(w.answers[2].status, 0);
    ck_assert_ptr_nonnull(w.answers[2].problem);
    ck_assert_ptr_null(w.answers[3].service);
    peer_end(&good);
    peer_end(&silent);
    ck_assert_int_eq(strncmp(good.head, "GET /health HTTP/1.1", 20), 0);
    ck_assert_int_eq(strncmp(silent.head, "GET /health HTTP/1.1", 20), 0);
    world_close(&w);
}
END_TEST

START_TEST(an_answer_without_an_end_is_cut)
{
    fake_peer endless = { .answer = "HTTP/1.0 200 OK\r\n\r\n", .filler = (size_t)1 << 20 };
    world w;

    world_open(&w);
    peer_start(&endless);
    point(&w, 4, endless.port, "");
    ck_assert(fpd_peers_ask(w.config, 5000, w.answers, FPD_SERVICES));
    ck_assert_int_eq(w.answers[4].status, 0);
    ck_assert_ptr_nonnull(w.answers[4].problem);
    ck_assert_uint_le(w.answers[4].body.size, 64 * 1024);
    peer_end(&endless);
    world_close(&w);
}
END_TEST

START_TEST(only_http_is_spoken)
{
    world w;

    world_open(&w);
    w.answers[0].service = &fpd_services[0];
    ck_assert_int_eq(
        fp_config_set(w.config, fpd_services[0].setting, "file:///etc/hostname#", NULL),
        FILEPROC_OK);
    ck_assert(fpd_peers_ask(w.config, 1000, w.answers, FPD_SERVICES));
    ck_assert_int_eq(w.answers[0].status, 0);
    ck_assert_ptr_nonnull(w.answers[0].problem);
    ck_assert_uint_eq(w.answers[0].body.size, 0);
    world_close(&w);
}
END_TEST

RUN_TESTS("peers", who_answers_is_heard_and_who_does_not_is_given_up,
          an_answer_without_an_end_is_cut, only_http_is_spoken)
