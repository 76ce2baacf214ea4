/* Owns: one connection to a Redis server: its socket, commands on their way out, answers on their way in, never waiting past a
 * deadline.
 * Must not know: what is asked, and what becomes of a connection that broke.
 *
 * Of hiredis only the parser is used: its own connections wait for each read anew, and end the process when they are out
 * of memory. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cache/cache_redis_private.h"
#include "core/error_private.h"

#define PIECE (16u * 1024u)
/* More than this is no answer to anything that we ask. */
#define ANSWER_MAX (FILEPROC_CACHE_VALUE_MAX + 64u * 1024u)

static fp_status retryable(fp_error *err, fp_status rc)
{
    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

static fp_status failed(int number, const char *what, fp_error *err)
{
    return retryable(err, fpi_error_causef(err, FILEPROC_ERR_BUSY, "errno", number, "redis: %s: %s",
                                           what, strerrordesc_np(number)));
}

static fp_status too_late(const char *what, fp_error *err)
{
    return retryable(err, fpi_error_causef(err, FILEPROC_ERR_BUSY, "errno", ETIMEDOUT,
                                           "redis: %s: no answer in time", what));
}

/* False when the time is over. Errors of the socket show in what is done with it next. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = { fd, events, 0 };

    for (;;) {
        int64_t left = deadline_ms - fpi_monotonic_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return true;
        if (n == 0 && left <= 0)
            return false;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* ---- connecting ---- */

static fp_status connect_one(const struct addrinfo *to, int64_t deadline_ms, int *out,
                             fp_error *err)
{
    FPI_FD fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(int);
    int one = 1, number = 0;

    if (fd < 0)
        return failed(errno, "socket", err);
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        if (errno != EINPROGRESS)
            return failed(errno, "connecting", err);
        if (!wait_for(fd, POLLOUT, deadline_ms))
            return too_late("connecting", err);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
            number = errno;
        if (number)
            return failed(number, "connecting", err);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    *out = fpi_steal_fd(&fd);
    return FILEPROC_OK;
}

/* One address after the other, as the resolver orders them. */
static fp_status connect_any(const fpi_redis_settings *s, int64_t deadline_ms, int *fd,
                             fp_error *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    fp_status rc = FILEPROC_ERR_BUSY;
    char port[16];
    int number;

    snprintf(port, sizeof(port), "%u", s->port);
    number = getaddrinfo(s->host, port, &hints, &found);
    if (number == EAI_MEMORY)
        return fpi_no_memory(err);
    if (number != 0)
        return retryable(err, fpi_error_causef(err, FILEPROC_ERR_BUSY, "resolver", number,
                                               "redis: %.100s: %s", s->host, gai_strerror(number)));
    for (const struct addrinfo *a = found; a && rc < 0; a = a->ai_next)
        rc = connect_one(a, deadline_ms, fd, err);
    freeaddrinfo(found);
    return rc;
}

/* The answers to what log_in() asks, in order. */
static fp_status hear(fpi_redis_link *link, int64_t deadline_ms, bool needed, fp_error *err)
{
    FPI_CLEANUP(fpi_redis_reply) r = NULL;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && !r) {
        rc = fpi_redis_link_next(link, &r, err);
        if (rc == FILEPROC_OK && !r) {
            if (!wait_for(link->fd, POLLIN, deadline_ms))
                return too_late("logging in", err);
            rc = fpi_redis_link_fill(link, err);
        }
    }
    if (rc < 0 || !r || r->type != REDIS_REPLY_ERROR)
        return rc;
    if (needed || fpi_redis_is_error(r, "NOAUTH") || fpi_redis_is_error(r, "LOADING"))
        return fpi_redis_error(r, err);
    return FILEPROC_OK;
}

/* With the name comes an answer in any case: a server that accepts connections and says nothing is away, too. */
static fp_status log_in(fpi_redis_link *link, const fpi_redis_settings *s, int64_t deadline_ms,
                        fp_error *err)
{
    fpi_redis_word words[3] = { FPI_REDIS_TEXT("AUTH") };
    fp_status rc = FILEPROC_OK;
    char number[16];
    size_t count = 1;

    if (s->password) {
        if (s->user)
            words[count++] = FPI_REDIS_TEXT(s->user);
        words[count++] = FPI_REDIS_TEXT(s->password);
        rc = fpi_redis_link_add(link, words, count, err);
    }
    if (rc == FILEPROC_OK && s->database) {
        snprintf(number, sizeof(number), "%u", s->database);
        words[0] = FPI_REDIS_TEXT("SELECT");
        words[1] = FPI_REDIS_TEXT(number);
        rc = fpi_redis_link_add(link, words, 2, err);
    }
    words[0] = FPI_REDIS_TEXT("CLIENT");
    words[1] = FPI_REDIS_TEXT("SETNAME");
    words[2] = FPI_REDIS_TEXT("fileproc");
    if (rc == FILEPROC_OK)
        rc = fpi_redis_link_add(link, words, 3, err);
    if (rc == FILEPROC_OK)
        rc = fpi_redis_link_flush(link, deadline_ms, err);
    if (rc == FILEPROC_OK && s->password)
        rc = hear(link, deadline_ms, true, err);
    if (rc == FILEPROC_OK && s->database)
        rc = hear(link, deadline_ms, true, err);
    return rc < 0 ? rc : hear(link, deadline_ms, false, err);
}

fp_status fpi_redis_link_open(fp_context *ctx, const fpi_redis_settings *s, int64_t deadline_ms,
                              fpi_redis_link **out, fp_error *err)
{
    FPI_CLEANUP(fpi_redis_link) link = fpi_calloc(&ctx->a, 1, sizeof(*link));
    fp_status rc;

    if (!link)
        return fpi_no_memory(err);
    link->ctx = ctx;
    link->fd = -1;
    link->maker.a = &ctx->a;
    link->reader = redisReaderCreateWithFunctions(&fpi_redis_reply_functions);
    if (!link->reader)
        return fpi_no_memory(err);
    link->reader->privdata = &link->maker;
    rc = connect_any(s, deadline_ms, &link->fd, err);
    if (rc == FILEPROC_OK)
        rc = log_in(link, s, deadline_ms, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&link);
    return rc;
}

/* What was to be sent may have had the password in it. */
static void wipe(fp_buf *out)
{
    if (out->capacity)
        explicit_bzero(out->data, out->capacity);
}

void fpi_redis_link_close(fpi_redis_link *link)
{
    if (!link)
        return;
    if (link->reader)
        redisReaderFree(link->reader);
    if (link->fd >= 0)
        close(link->fd);
    wipe(&link->out);
    fp_buf_dispose(&link->out);
    fpi_free(&link->ctx->a, link);
}

bool fpi_redis_link_is_up(const fpi_redis_link *link)
{
    char byte;
    ssize_t n;

    do
        n = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK); /* nobody has asked, so nothing may come */
}

/* ---- out ---- */

static size_t decimal_size(size_t n)
{
    size_t size = 1;

    while (n >= 10) {
        n /= 10;
        size++;
    }
    return size;
}

/* All or nothing: half a command would spoil the connection. */
fp_status fpi_redis_link_add(fpi_redis_link *link, const fpi_redis_word *words, size_t count,
                             fp_error *err)
{
    size_t size = decimal_size(count) + 3;
    fp_buf *out = &link->out;
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        size += decimal_size(words[i].size) + words[i].size + 5;
    rc = fpi_buf_reserve(link->ctx, out, size, err);
    if (rc < 0)
        return rc;
    out->size +=
        (size_t)snprintf(out->data + out->size, out->capacity - out->size, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        out->size += (size_t)snprintf(out->data + out->size, out->capacity - out->size, "$%zu\r\n",
                                      words[i].size);
        if (words[i].size)
            memcpy(out->data + out->size, words[i].data, words[i].size);
        out->size += words[i].size;
        memcpy(out->data + out->size, "\r\n", 2);
        out->size += 2;
    }
    return FILEPROC_OK;
}

fp_status fpi_redis_link_flush(fpi_redis_link *link, int64_t deadline_ms, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    size_t sent = 0;

    while (rc == FILEPROC_OK && sent < link->out.size) {
        ssize_t n = send(link->fd, link->out.data + sent, link->out.size - sent, MSG_NOSIGNAL);

        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(link->fd, POLLOUT, deadline_ms)) {
                link->silent = true;
                rc = too_late("sending", err);
            }
        } else if (errno != EINTR) {
            rc = failed(errno, "sending", err);
        }
    }
    wipe(&link->out);
    link->out.size = 0;
    link->broken = link->broken || rc < 0;
    return rc;
}

/* ---- in ---- */

fp_status fpi_redis_link_next(fpi_redis_link *link, fpi_redis_reply **out, fp_error *err)
{
    void *reply = NULL;

    if (redisReaderGetReply(link->reader, &reply) == REDIS_OK) {
        *out = reply;
        return FILEPROC_OK;
    }
    link->broken = true;
    return link->maker.out_of_memory ? fpi_no_memory(err) : fpi_redis_nonsense(err);
}

fp_status fpi_redis_link_fill(fpi_redis_link *link, fp_error *err)
{
    char piece[PIECE];
    ssize_t n;

    do
        n = recv(link->fd, piece, sizeof(piece), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return FILEPROC_OK;
    if (n <= 0) {
        link->broken = true;
        return n < 0 ? failed(errno, "receiving", err)
                     : failed(ECONNRESET, "the server closed the connection", err);
    }
    if (link->reader->len + (size_t)n > ANSWER_MAX) {
        link->broken = true;
        return fpi_redis_nonsense(err);
    }
    if (redisReaderFeed(link->reader, piece, (size_t)n) != REDIS_OK) {
        link->broken = true;
        return fpi_no_memory(err);
    }
    return FILEPROC_OK;
}

fp_status fpi_redis_link_ask(fpi_redis_link *link, const fpi_redis_word *words, size_t count,
                             int64_t deadline_ms, fpi_redis_reply **out, fp_error *err)
{
    fpi_redis_reply *reply = NULL;
    fp_status rc = fpi_redis_link_add(link, words, count, err);

    if (rc == FILEPROC_OK)
        rc = fpi_redis_link_flush(link, deadline_ms, err);
    while (rc == FILEPROC_OK && !reply) {
        rc = fpi_redis_link_next(link, &reply, err);
        if (rc < 0 || reply)
            break;
        if (!wait_for(link->fd, POLLIN, deadline_ms)) {
            link->broken = link->silent = true;
            return too_late("waiting", err);
        }
        rc = fpi_redis_link_fill(link, err);
    }
    if (rc == FILEPROC_OK)
        *out = reply;
    return rc;
}
