/* Owns: the conversation with a clamd: connecting, zINSTREAM and its pieces, the reply.
 * Must not know: pipelines, jobs, and what becomes of a file.
 *
 * clamd hangs up on what is too long for it, with a reply that is already on its way while we still send. So whoever sends here looks
 * for a reply all the time, and reads it before he calls the scanner unavailable. */
#include "pipeline/clamd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/error_private.h"
#include "core/uri.h"
#include "core/utf8.h"

#define COMMAND "zINSTREAM"
#define PIECE ((size_t)64 * 1024)
#define LENGTH_SIZE 4u
#define REPLY_MAX 1024u
/* Between two ticks. */
#define SLICE_MS 500
#define CONNECT_MS 5000

struct fpi_clamd {
    const fp_context *ctx;
    fpi_uri address; /* host and port, or path */
    bool local;
    uint64_t max_bytes;
    uint32_t timeout_ms;
};

/* One question. */
typedef struct talk {
    const fpi_clamd *clamd;
    fpi_clamd_tick tick;
    void *handle;
    int fd; /* of the connection */
    unsigned char *buf;
    bool answered; /* clamd has said something, or hung up, before it had everything */
    size_t reply_size;
    char reply[REPLY_MAX + 1];
} talk;

static void talk_dispose(talk *t)
{
    fpi_cleanup_fd(&t->fd);
    fpi_free(&t->clamd->ctx->a, t->buf);
}
FPI_DEFINE_DISPOSE(talk, talk_dispose)

/* ---- the address ---- */

static fp_status check_address(const fpi_clamd *c, fp_error *err)
{
    const fpi_uri *u = &c->address;
    bool tcp = u->scheme && strcmp(u->scheme, "tcp") == 0;

    if (c->local && !u->host && u->path[0] == '/' && !u->query &&
        strlen(u->path) < sizeof(((struct sockaddr_un *)0)->sun_path))
        return FILEPROC_OK;
    if (tcp && u->host && u->host[0] && u->port && u->path[0] == '\0' && !u->query)
        return FILEPROC_OK;
    return fp_error_setf(err, FILEPROC_ERR_INVALID,
                         "clamd is at tcp://host:port or unix:///path/of/its/socket");
}

fp_status fpi_clamd_new(const fp_context *ctx, const char *uri, uint64_t max_bytes,
                        uint32_t timeout_ms, fpi_clamd **out, fp_error *err)
{
    FPI_CLEANUP(fpi_clamd) c = fpi_calloc(&ctx->a, 1, sizeof(*c));
    fp_status rc;

    if (!c)
        return fpi_no_memory(err);
    c->ctx = ctx;
    c->max_bytes = max_bytes;
    c->timeout_ms = timeout_ms;
    rc = fpi_uri_parse(ctx, uri, &c->address, err);
    if (rc < 0)
        return rc;
    c->local = strcmp(c->address.scheme, "unix") == 0;
    if (c->local && c->address.host && !c->address.host[0]) {
        fpi_free(&ctx->a, c->address.host);
        c->address.host = NULL;
    }
    rc = check_address(c, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&c);
    return rc;
}

void fpi_clamd_free(fpi_clamd *c)
{
    if (!c)
        return;
    if (c->address.a)
        fpi_uri_dispose(&c->address);
    fpi_free(&c->ctx->a, c);
}

/* ---- failures ---- */

static fp_status unavailable(fp_error *err, const char *what, int number)
{
    fp_error_reasonf(err, FILEPROC_ERR_BUSY, FILEPROC_REASON_SCANNER_UNAVAILABLE, "clamd: %s%s%s",
                     what, number ? ": " : "", number ? strerrordesc_np(number) : "");
    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return FILEPROC_ERR_BUSY;
}

static fp_status failed(fp_error *err, const char *what, const char *reply)
{
    char text[120];

    snprintf(text, sizeof(text), "%s", reply);
    fpi_utf8_clean(text, strlen(reply) >= sizeof(text));
    fp_error_reasonf(err, FILEPROC_ERR_PROTOCOL, FILEPROC_REASON_SCANNER_FAILED, "clamd %s: \"%s\"",
                     what, text);
    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return FILEPROC_ERR_PROTOCOL;
}

/* ---- waiting ---- */

static fp_status wait_for(talk *t, short events, int64_t timeout_ms, short *seen, fp_error *err)
{
    int64_t until = fpi_monotonic_ms() + timeout_ms;

    for (;;) {
        struct pollfd p = { .fd = t->fd, .events = events };
        int64_t left = until - fpi_monotonic_ms();
        fp_status rc = t->tick(t->handle, err);
        int n;

        if (rc < 0)
            return rc;
        if (left <= 0)
            return unavailable(err, "no answer in time", 0);
        n = poll(&p, 1, left < SLICE_MS ? (int)left : SLICE_MS);
        if (n < 0 && errno != EINTR)
            return unavailable(err, "waiting for it", errno);
        if (n > 0) {
            *seen = p.revents;
            return FILEPROC_OK;
        }
    }
}

/* ---- connecting ---- */

static fp_status connect_to(talk *t, const struct sockaddr *address, socklen_t size, int family,
                            fp_error *err)
{
    int64_t wait = t->clamd->timeout_ms < CONNECT_MS ? t->clamd->timeout_ms : CONNECT_MS;
    socklen_t length = sizeof(int);
    int failure = 0;
    short seen;
    fp_status rc;

    fpi_cleanup_fd(&t->fd);
    t->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0)
        return unavailable(err, "no socket", errno);
    if (connect(t->fd, address, size) == 0)
        return FILEPROC_OK;
    if (errno != EINPROGRESS)
        return unavailable(err, "can't connect", errno);
    rc = wait_for(t, POLLOUT, wait, &seen, err);
    if (rc < 0)
        return rc;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &failure, &length) < 0)
        failure = errno;
    return failure ? unavailable(err, "can't connect", failure) : FILEPROC_OK;
}

static fp_status connect_local(talk *t, fp_error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memcpy(address.sun_path, t->clamd->address.path, strlen(t->clamd->address.path) + 1);
    return connect_to(t, (const struct sockaddr *)&address, sizeof(address), AF_UNIX, err);
}

static fp_status connect_host(talk *t, fp_error *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *all = NULL;
    char port[16];
    fp_status rc = FILEPROC_ERR_BUSY;
    int n;

    snprintf(port, sizeof(port), "%u", (unsigned)t->clamd->address.port);
    n = getaddrinfo(t->clamd->address.host, port, &hints, &all);
    if (n != 0)
        return unavailable(err, gai_strerror(n), 0);
    for (const struct addrinfo *a = all; a && rc == FILEPROC_ERR_BUSY; a = a->ai_next)
        rc = connect_to(t, a->ai_addr, a->ai_addrlen, a->ai_family, err);
    freeaddrinfo(all);
    return rc;
}

/* ---- sending ---- */

/* Ends early, and well, when clamd has something to say. */
static fp_status send_all(talk *t, const unsigned char *data, size_t size, fp_error *err)
{
    while (size > 0 && !t->answered) {
        short seen = 0;
        ssize_t n;
        fp_status rc = wait_for(t, POLLIN | POLLOUT, t->clamd->timeout_ms, &seen, err);

        if (rc < 0)
            return rc;
        if (seen & (POLLIN | POLLHUP | POLLERR)) {
            t->answered = true;
            break;
        }
        n = send(t->fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0) {
            t->answered = true;
            break;
        }
        data += n;
        size -= (size_t)n;
    }
    return FILEPROC_OK;
}

static fp_status send_piece(talk *t, size_t size, fp_error *err)
{
    uint32_t length = htonl((uint32_t)size);

    memcpy(t->buf, &length, LENGTH_SIZE);
    return send_all(t, t->buf, LENGTH_SIZE + size, err);
}

/* What the file has less than it should have can't be vouched for. */
static fp_status read_piece(talk *t, int fd, uint64_t at, size_t wanted, fp_error *err)
{
    size_t got = 0;

    while (got < wanted) {
        ssize_t n = pread(fd, t->buf + LENGTH_SIZE + got, wanted - got, (off_t)(at + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fpi_error_errno(err, errno, "reading the file to be scanned");
        if (n == 0)
            return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the file to be scanned is too short");
        got += (size_t)n;
    }
    return FILEPROC_OK;
}

static fp_status send_file(talk *t, int fd, uint64_t size, fp_error *err)
{
    fp_status rc = send_all(t, (const unsigned char *)COMMAND, sizeof(COMMAND), err);
    uint64_t at = 0;

    while (rc == FILEPROC_OK && at < size && !t->answered) {
        size_t piece = size - at < PIECE ? (size_t)(size - at) : PIECE;

        rc = read_piece(t, fd, at, piece, err);
        if (rc == FILEPROC_OK)
            rc = send_piece(t, piece, err);
        at += piece;
    }
    return rc < 0 || t->answered ? rc : send_piece(t, 0, err);
}

/* ---- the reply ---- */

static bool is_whole(const talk *t)
{
    return memchr(t->reply, '\0', t->reply_size) != NULL;
}

/* Up to its NUL. One that is cut off is none. */
static fp_status receive_reply(talk *t, fp_error *err)
{
    while (!is_whole(t)) {
        short seen;
        ssize_t n;
        fp_status rc = wait_for(t, POLLIN, t->clamd->timeout_ms, &seen, err);

        if (rc < 0)
            return rc;
        if (t->reply_size == REPLY_MAX)
            return failed(err, "never ends", "");
        n = recv(t->fd, t->reply + t->reply_size, REPLY_MAX - t->reply_size, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return unavailable(err, "it hung up", n < 0 ? errno : 0);
        t->reply_size += (size_t)n;
    }
    return FILEPROC_OK;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void answer_name(fpi_clamd_answer *a, const char *name, size_t size)
{
    snprintf(a->name, sizeof(a->name), "%.*s", (int)(size < 1024 ? size : 1024), name);
    fpi_utf8_clean(a->name, size >= sizeof(a->name));
}

/* These two are no signatures, but clamd's way to say that it could not look inside (AlertEncrypted, AlertExceedsMax). */
static void judge_found(fpi_clamd_answer *a, const char *name, size_t size)
{
    a->verdict = FPI_CLAMD_UNSCANNABLE;
    if (begins(name, "Heuristics.Encrypted.")) {
        answer_name(a, "encrypted", 9);
    } else if (begins(name, "Heuristics.Limits.Exceeded")) {
        answer_name(a, "limits_exceeded", 15);
    } else {
        a->verdict = FPI_CLAMD_INFECTED;
        answer_name(a, name, size);
    }
}

fp_status fpi_clamd_read_reply(const char *reply, bool whole, fpi_clamd_answer *a, fp_error *err)
{
    static const char stream[] = "stream: ", found[] = " FOUND";
    const char *text = begins(reply, stream) ? reply + sizeof(stream) - 1 : "";
    size_t size = strlen(text), end = sizeof(found) - 1;

    *a = (fpi_clamd_answer){ .verdict = FPI_CLAMD_UNSCANNABLE };
    if (size > end && strcmp(text + size - end, found) == 0)
        judge_found(a, text, size - end);
    else if (strstr(reply, "size limit exceeded"))
        answer_name(a, "too_large", 9);
    else if (strcmp(text, "OK") != 0)
        return failed(err, "can't tell", reply);
    else if (!whole)
        return failed(err, "answered before it had the whole file", reply);
    else
        a->verdict = FPI_CLAMD_CLEAN;
    return FILEPROC_OK;
}

fp_status fpi_clamd_scan(const fpi_clamd *clamd, int fd, uint64_t size, fpi_clamd_tick tick,
                         void *handle, fpi_clamd_answer *answer, fp_error *err)
{
    FPI_DISPOSE(talk) t = { .clamd = clamd, .tick = tick, .handle = handle, .fd = -1 };
    fp_status rc;

    *answer = (fpi_clamd_answer){ .verdict = FPI_CLAMD_UNSCANNABLE };
    if (size > clamd->max_bytes) {
        answer_name(answer, "too_large", 9);
        return FILEPROC_OK;
    }
    t.buf = fpi_alloc(&clamd->ctx->a, LENGTH_SIZE + PIECE);
    if (!t.buf)
        return fpi_no_memory(err);
    rc = clamd->local ? connect_local(&t, err) : connect_host(&t, err);
    if (rc == FILEPROC_OK)
        rc = send_file(&t, fd, size, err);
    if (rc == FILEPROC_OK)
        rc = receive_reply(&t, err);
    return rc < 0 ? rc : fpi_clamd_read_reply(t.reply, !t.answered, answer, err);
}
