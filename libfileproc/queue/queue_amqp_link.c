/* Owns: one connection to a broker: its states, the one thread at a time that reads from it, those that wait for what it brings.
 * Must not know: what the frames mean.
 *
 * rabbitmq-c's connection is for one thread at a time, and there is no thread of our own. So all of it happens under one lock, but
 * for two things: connecting, when nobody else sees the connection yet, and the waiting in poll(). Of the threads that wait, one
 * reads for all (`reader`), the others sleep on conditions of their own; a reader that has what it wanted hands over. */
#include "queue/queue_amqp_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "core/error_private.h"
#include "queue/queue_amqp_connect.h"

#define BACKOFF_BASE_MS 100
#define BACKOFF_CAP_MS 5000
/* A connection that lasted so long was a good one: when it ends, the next is tried at once. */
#define GOOD_MS 3000
#define CLOSE_TIMEOUT_S 1

fp_status fpi_amqp_link_init(fpi_amqp_link *link, fp_context *ctx, const fpi_amqp_settings *s,
                             const fpi_amqp_link_events *events, void *owner, const char *name,
                             fp_error *err)
{
    *link = (fpi_amqp_link){ .ctx = ctx, .s = s, .events = events, .owner = owner, .name = name };
    link->poll_fd = -1;
    link->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->kick_fd < 0)
        return fpi_error_errno(err, errno, "eventfd");
    (void)fp_error_setf(&link->why, FILEPROC_ERR_BUSY, "not connected to the broker yet");
    pthread_mutex_init(&link->lock, NULL);
    return FILEPROC_OK;
}

/* ---- waiters ---- */

static void kick(fpi_amqp_link *link)
{
    (void)eventfd_write(link->kick_fd, 1);
}

void fpi_amqp_link_call(fpi_amqp_link *link, fpi_amqp_waiter *w)
{
    w->called = true;
    if (link->reader == w)
        kick(link);
    else
        pthread_cond_signal(&w->wake);
}

void fpi_amqp_link_call_all(fpi_amqp_link *link)
{
    for (fpi_amqp_waiter *w = link->waiters; w; w = w->next)
        fpi_amqp_link_call(link, w);
}

void fpi_amqp_link_add_waiter(fpi_amqp_link *link, fpi_amqp_waiter *w)
{
    fpi_amqp_waiter **at = &link->waiters;
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    w->called = false;
    w->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = w; /* who waits longest is called first */
}

void fpi_amqp_link_remove_waiter(fpi_amqp_link *link, fpi_amqp_waiter *w)
{
    fpi_amqp_waiter **at = &link->waiters;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_cond_destroy(&w->wake);
    if (!link->reading && link->waiters)
        fpi_amqp_link_call(link, link->waiters);
}

/* ---- states ---- */

/* Half of the bound is certain, so that a broker that comes up is not met by all at once, nor by anybody in a tight loop. */
static int64_t backoff_ms(const fpi_amqp_link *link)
{
    int64_t bound = BACKOFF_BASE_MS;
    uint64_t random = 0;

    if (!link->failures)
        return 0;
    for (uint32_t i = 1; i < link->failures && bound < BACKOFF_CAP_MS; i++)
        bound *= 2;
    bound = bound < BACKOFF_CAP_MS ? bound : BACKOFF_CAP_MS;
    (void)fpi_random(link->ctx, &random, sizeof(random), NULL);
    return bound / 2 + (int64_t)(random % (uint64_t)(bound / 2 + 1));
}

static void disconnected(fpi_amqp_link *link)
{
    int64_t wait = backoff_ms(link);

    link->state = FPI_AMQP_DISCONNECTED;
    link->retry_at_ms = fpi_monotonic_ms() + wait;
    fpi_log(link->ctx, FILEPROC_LOG_DEBUG, "amqp", "%s: disconnected: %s; next attempt in %lld ms",
            link->name, link->why.message, (long long)wait);
    fpi_amqp_link_call_all(link);
}

/* The reader may be in poll() with the descriptor, and a frame's handler may be on the stack: the last of them does it. */
static void let_go(fpi_amqp_link *link)
{
    if (link->state != FPI_AMQP_CLOSING || link->reading || link->draining)
        return;
    amqp_destroy_connection(link->conn);
    link->conn = NULL;
    close(link->poll_fd);
    link->poll_fd = -1;
    disconnected(link);
}

void fpi_amqp_link_fail(fpi_amqp_link *link, const fp_error *why)
{
    if (link->state != FPI_AMQP_OPEN)
        return;
    link->state = FPI_AMQP_CLOSING;
    link->why = *why;
    if (fpi_monotonic_ms() - link->opened_at_ms >= GOOD_MS)
        link->failures = 0;
    else
        link->failures++;
    link->events->lost(link->owner);
    (void)shutdown(link->poll_fd, SHUT_RDWR);
    kick(link);
    let_go(link);
}

bool fpi_amqp_link_is_due(const fpi_amqp_link *link)
{
    return link->state == FPI_AMQP_DISCONNECTED && fpi_monotonic_ms() >= link->retry_at_ms;
}

fp_status fpi_amqp_link_away(const fpi_amqp_link *link, fp_error *err)
{
    fp_status code = link->why.code;

    if (code != FILEPROC_ERR_AUTH && code != FILEPROC_ERR_NOTFOUND &&
        code != FILEPROC_ERR_INVALID && code != FILEPROC_ERR_NOMEM)
        code = FILEPROC_ERR_BUSY;
    if (err) {
        *err = link->why;
        err->code = code;
        if (code == FILEPROC_ERR_BUSY)
            err->flags |= FILEPROC_ERROR_RETRYABLE;
    }
    return code;
}

static fp_status make_connection(fpi_amqp_link *link, amqp_connection_state_t *conn, int *fd,
                                 fp_error *err)
{
    fp_status rc = fpi_amqp_connect(link->s, link->name, conn, err);

    if (rc < 0)
        return rc;
    (void)amqp_channel_open(*conn, FPI_AMQP_CONTROL_CHANNEL);
    rc = fpi_amqp_error_reply(amqp_get_rpc_reply(*conn), "opening a channel", err);
    if (rc == FILEPROC_OK)
        rc = link->events->opened(link->owner, *conn, err);
    *fd = rc < 0 ? -1 : fcntl(amqp_get_sockfd(*conn), F_DUPFD_CLOEXEC, 0);
    if (rc == FILEPROC_OK && *fd < 0)
        rc = fpi_error_errno(err, errno, "duplicating a descriptor");
    if (rc < 0)
        amqp_destroy_connection(*conn);
    return rc;
}

fp_status fpi_amqp_link_connect(fpi_amqp_link *link, fp_error *err)
{
    amqp_connection_state_t conn = NULL;
    fp_error why = { 0 };
    fp_status rc;
    int fd = -1;

    if (fpi_amqp_link_is_due(link)) {
        link->state = FPI_AMQP_CONNECTING;
        pthread_mutex_unlock(&link->lock);
        rc = make_connection(link, &conn, &fd, &why);
        pthread_mutex_lock(&link->lock);
        if (rc < 0) {
            link->why = why;
            link->failures++;
            disconnected(link);
        } else {
            link->conn = conn;
            link->poll_fd = fd;
            link->blocked = false;
            link->opened++;
            link->opened_at_ms = fpi_monotonic_ms();
            link->state = FPI_AMQP_OPEN;
            fpi_log(link->ctx, FILEPROC_LOG_DEBUG, "amqp", "%s: open", link->name);
            fpi_amqp_link_call_all(link);
        }
    }
    return link->state == FPI_AMQP_OPEN ? FILEPROC_OK : fpi_amqp_link_away(link, err);
}

void fpi_amqp_link_dispose(fpi_amqp_link *link)
{
    struct timeval timeout = { .tv_sec = CLOSE_TIMEOUT_S };

    if (link->kick_fd < 0 || !link->ctx)
        return;
    if (link->state == FPI_AMQP_OPEN) {
        (void)amqp_set_rpc_timeout(link->conn, &timeout);
        (void)amqp_connection_close(link->conn, AMQP_REPLY_SUCCESS);
        link->events->lost(link->owner);
        amqp_destroy_connection(link->conn);
        close(link->poll_fd);
    }
    close(link->kick_fd);
    link->kick_fd = -1;
    pthread_mutex_destroy(&link->lock);
}

/* ---- using the connection ---- */

/* rabbitmq-c may have put frames aside that came meanwhile, for which poll() would wait in vain. */
static void settle(fpi_amqp_link *link)
{
    if (link->state != FPI_AMQP_OPEN)
        return;
    if (link->reading && amqp_frames_enqueued(link->conn))
        kick(link);
    else
        amqp_maybe_release_buffers(link->conn);
}

fp_status fpi_amqp_link_sent(fpi_amqp_link *link, int result, fp_error *err)
{
    const amqp_rpc_reply_t reply = { .reply_type = AMQP_RESPONSE_LIBRARY_EXCEPTION,
                                     .library_error = result };
    fp_error why = { 0 };

    if (result == AMQP_STATUS_OK) {
        settle(link);
        return FILEPROC_OK;
    }
    (void)fpi_amqp_error_reply(reply, "writing to the broker", &why);
    fpi_amqp_link_fail(link, &why);
    if (err)
        *err = why;
    return why.code;
}

fp_status fpi_amqp_link_answered(fpi_amqp_link *link, amqp_channel_t channel, const char *what,
                                 bool *closed, fp_error *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(link->conn);
    amqp_channel_close_ok_t close_ok = { 0 };
    fp_error e = { 0 };
    fp_status rc = fpi_amqp_error_reply(reply, what, &e);
    bool channel_closed = rc < 0 && reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                          reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;

    if (rc == FILEPROC_OK) {
        settle(link);
        return rc;
    }
    if (channel_closed) {
        *closed = true;
        (void)fpi_amqp_link_sent(
            link, amqp_send_method(link->conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok),
            NULL);
    } else {
        fpi_amqp_link_fail(link, &e);
    }
    if (err)
        *err = e;
    return rc;
}

bool fpi_amqp_link_is_writable(const fpi_amqp_link *link)
{
    struct pollfd p = { .fd = link->poll_fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* ---- reading ---- */

static void broker_closes(fpi_amqp_link *link, const amqp_connection_close_t *m)
{
    amqp_connection_close_ok_t close_ok = { 0 };
    fp_error why = { 0 };

    (void)fpi_amqp_error_closed(m->reply_code, m->reply_text, "the broker closed the connection",
                                &why);
    (void)amqp_send_method(link->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok);
    fpi_amqp_link_fail(link, &why);
}

static void take_control_frame(fpi_amqp_link *link, const amqp_frame_t *frame)
{
    if (frame->frame_type != AMQP_FRAME_METHOD)
        return;
    if (frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
        broker_closes(link, frame->payload.method.decoded);
    else if (frame->payload.method.id == AMQP_CONNECTION_BLOCKED_METHOD)
        link->blocked = true;
    else if (frame->payload.method.id == AMQP_CONNECTION_UNBLOCKED_METHOD)
        link->blocked = false;
}

static void connection_broke(fpi_amqp_link *link, int result)
{
    fp_error why = { 0 };

    (void)fpi_error_causef(&why, FILEPROC_ERR_BUSY, "amqp", result, "the connection broke: %s",
                           amqp_error_string2(result));
    fpi_amqp_link_fail(link, &why);
}

/* Answers how many frames there were. */
static size_t take_frames(fpi_amqp_link *link)
{
    struct timeval none = { 0 };
    amqp_frame_t frame;
    size_t count = 0;

    link->draining = true;
    while (link->state == FPI_AMQP_OPEN) {
        int result = amqp_simple_wait_frame_noblock(link->conn, &frame, &none);

        if (result == AMQP_STATUS_TIMEOUT)
            break;
        if (result != AMQP_STATUS_OK) {
            connection_broke(link, result);
            break;
        }
        count++;
        if (frame.channel == 0)
            take_control_frame(link, &frame);
        else
            link->events->frame(link->owner, &frame);
        if (link->state == FPI_AMQP_OPEN)
            amqp_maybe_release_buffers_on_channel(link->conn, frame.channel);
    }
    link->draining = false;
    let_go(link);
    return count;
}

void fpi_amqp_link_drain(fpi_amqp_link *link)
{
    if (link->state == FPI_AMQP_OPEN && !link->reading)
        (void)take_frames(link);
}

/* The heartbeat is served by those who wait, so nobody sleeps through it. */
static int poll_time(const fpi_amqp_link *link, int64_t until_ms)
{
    int64_t left = until_ms - fpi_monotonic_ms();
    int64_t most = link->s->heartbeat_s ? (int64_t)link->s->heartbeat_s * 250 : 60000;

    return (int)(left < 0 ? 0 : left < most ? left : most);
}

static void read_for_all(fpi_amqp_link *link, fpi_amqp_waiter *w, int64_t until_ms)
{
    struct pollfd p[2] = { { .events = POLLIN }, { .fd = link->kick_fd, .events = POLLIN } };
    int timeout = poll_time(link, until_ms);
    eventfd_t kicks;

    if (take_frames(link) || link->state != FPI_AMQP_OPEN || w->called)
        return;
    p[0].fd = link->poll_fd;
    link->reading = true;
    link->reader = w;
    pthread_mutex_unlock(&link->lock);
    (void)poll(p, 2, timeout);
    (void)eventfd_read(link->kick_fd, &kicks);
    pthread_mutex_lock(&link->lock);
    link->reading = false;
    link->reader = NULL;
    let_go(link);
}

static void sleep_until(fpi_amqp_link *link, fpi_amqp_waiter *w, int64_t ms)
{
    struct timespec at = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

    (void)pthread_cond_timedwait(&w->wake, &link->lock, &at);
}

void fpi_amqp_link_wait(fpi_amqp_link *link, fpi_amqp_waiter *w, int64_t until_ms)
{
    if (link->state == FPI_AMQP_DISCONNECTED && link->retry_at_ms < until_ms)
        until_ms = link->retry_at_ms;
    if (!w->called) {
        if (link->state == FPI_AMQP_OPEN && !link->reading)
            read_for_all(link, w, until_ms);
        else
            sleep_until(link, w, until_ms);
    }
    w->called = false;
}
