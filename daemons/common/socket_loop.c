/* Owns: the one thread that serves all WebSockets of a server, once they are open.
 * Must not know: how they are opened, and what is said on them. docs/internals/uploads.md tells why. */
#include "socket_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "frames.h"

#define READ_SIZE (16u * 1024u)
/* What may wait for a peer: one that sends and does not read is not read from any more when there is so much, and has an answer to
 * what it had sent before. */
#define WAITING_MAX (2u * FPD_FRAMES_MESSAGE_MAX)
#define WAITING_FULL (16u * 1024u)
/* What the kernel keeps for a peer that does not read; by itself it would be megabytes. */
#define SEND_BUFFER (16 * 1024)
#define EVENTS 64
#define TICK_MS 250

typedef struct connection {
    fpd_socket_loop *loop;
    int fd;
    fpd_socket *socket;
    struct connection *next, **place; /* of all; of the dead by next alone */
    fpd_frames frames;
    fpd_text out;
    size_t sent;        /* bytes of out */
    uint32_t interest;  /* what epoll is asked for */
    bool leaving, dead; /* the last frame was said; it is gone */
    int64_t heard_ms, asked_ms, moved_ms, leave_ms;
    struct connection *ready_next; /* with the loop's lock */
    bool ready, woken, dropped;    /* the same */
} connection;

struct fpd_socket_loop {
    fpd_socket_loop_options o;
    int epoll, bell;
    pthread_t thread;
    connection *all, *dead; /* the thread's */
    int64_t ticked_ms;
    pthread_mutex_t lock;
    connection *ready; /* whom something is to be done for; new ones, too */
    bool stopping;
};

static int64_t now_ms(void)
{
    return fpd_monotonic_ns() / 1000000;
}

/* ---- from other threads ---- */

static void ring(fpd_socket_loop *loop)
{
    uint64_t one = 1;

    (void)!write(loop->bell, &one, sizeof(one));
}

static void enqueue(connection *c, bool *why)
{
    fpd_socket_loop *loop = c->loop;
    bool first;

    pthread_mutex_lock(&loop->lock);
    *why = true;
    first = !loop->ready;
    if (!c->ready) {
        c->ready = true;
        c->ready_next = loop->ready;
        loop->ready = c;
    }
    pthread_mutex_unlock(&loop->lock);
    if (first)
        ring(loop);
}

static void wake(void *self)
{
    connection *c = self;

    enqueue(c, &c->woken);
}

static void drop(void *self)
{
    connection *c = self;

    enqueue(c, &c->dropped);
}

/* ---- the end of one ---- */

static void forget_ready(connection *c)
{
    connection **p = &c->loop->ready;

    pthread_mutex_lock(&c->loop->lock);
    while (c->ready && *p && *p != c)
        p = &(*p)->ready_next;
    if (c->ready && *p)
        *p = c->ready_next;
    c->ready = false;
    pthread_mutex_unlock(&c->loop->lock);
}

/* The memory stays until all events of this round were looked at. Once the socket is closed nobody wakes it any more. */
static void end(connection *c)
{
    if (c->dead)
        return;
    c->dead = true;
    close(c->fd); /* epoll forgets it: there is no other descriptor of it */
    c->socket->closed(c->socket);
    forget_ready(c);
    *c->place = c->next;
    if (c->next)
        c->next->place = c->place;
    c->next = c->loop->dead;
    c->loop->dead = c;
}

static void bury(fpd_socket_loop *loop)
{
    while (loop->dead) {
        connection *c = loop->dead;

        loop->dead = c->next;
        fpd_frames_dispose(&c->frames);
        fpd_text_dispose(&c->out);
        free(c);
    }
}

/* ---- sending ---- */

static size_t waiting(const connection *c)
{
    return c->out.size - c->sent;
}

static void set_interest(connection *c)
{
    struct epoll_event e = { .data.ptr = c };

    e.events = (waiting(c) < WAITING_FULL ? (uint32_t)EPOLLIN : 0u) |
               (waiting(c) > 0 ? (uint32_t)EPOLLOUT : 0u);
    if (e.events == c->interest || c->dead)
        return;
    c->interest = e.events;
    (void)epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* So that what was sent takes no room. */
static void move_up(connection *c)
{
    if (c->sent > 0)
        memmove(c->out.data, c->out.data + c->sent, waiting(c));
    c->out.size -= c->sent;
    c->sent = 0;
}

/* Sends what waits. False: the peer is gone. */
static bool flush(connection *c)
{
    while (waiting(c) > 0) {
        ssize_t n = send(c->fd, c->out.data + c->sent, waiting(c), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0) {
            move_up(c);
            return errno == EAGAIN || errno == EINTR;
        }
        c->sent += (size_t)n;
        c->moved_ms = now_ms();
    }
    fpd_text_clear(&c->out, 0);
    c->sent = 0;
    return true;
}

static bool put(connection *c, unsigned opcode, const void *data, size_t size)
{
    unsigned char head[FPD_FRAMES_HEAD_MAX];
    size_t head_size = fpd_frame_head(head, opcode, size);

    if (c->dead || c->leaving || c->out.size + head_size + size > WAITING_MAX)
        return false;
    if (waiting(c) == 0)
        c->moved_ms = now_ms();
    fpd_text_append(&c->out, head, head_size);
    fpd_text_append(&c->out, data, size);
    return !c->out.failed && flush(c);
}

static bool send_text(void *self, const char *text, size_t size)
{
    return put(self, FPD_OPCODE_TEXT, text, size);
}

/* The last frame; whoever has got it closes the connection, or is let go after a while. Closing at once could take the frame
 * away from a peer whose bytes were not all read. */
static void leave(connection *c, const void *body, size_t size)
{
    if (c->leaving)
        return;
    if (!put(c, FPD_OPCODE_CLOSE, body, size)) {
        end(c);
        return;
    }
    c->leaving = true;
    c->leave_ms = now_ms() + c->loop->o.close_ms;
    if (waiting(c) == 0)
        (void)shutdown(c->fd, SHUT_WR);
}

static void leave_with(connection *c, unsigned code)
{
    const unsigned char body[2] = { (unsigned char)(code >> 8), (unsigned char)code };

    leave(c, body, sizeof(body));
}

/* The newest of what the service has to say, as long as the peer takes it. */
static void say_more(connection *c)
{
    char text[FPD_SOCKET_TEXT_MAX];
    size_t size;

    while (!c->dead && !c->leaving && waiting(c) == 0 &&
           (size = c->socket->more(c->socket, text)) > 0)
        if (!put(c, FPD_OPCODE_TEXT, text, size)) {
            end(c);
            return;
        }
}

/* ---- receiving ---- */

static void take_event(connection *c, fpd_frame_event event)
{
    const fpd_frames *f = &c->frames;
    bool ok = true;

    switch (event) {
    case FPD_FRAME_TEXT:
        ok = c->socket->text(c->socket, f->message.data ? f->message.data : "", f->message.size);
        break;
    case FPD_FRAME_PING:
        ok = put(c, FPD_OPCODE_PONG, f->control, f->control_size);
        break;
    case FPD_FRAME_CLOSE:
        leave(c, f->control, f->control_size);
        break;
    case FPD_FRAME_BAD:
        leave_with(c, f->close_code);
        break;
    default:
        break;
    }
    if (!ok)
        end(c);
}

static void take_bytes(connection *c, const char *data, size_t size)
{
    while (size > 0 && !c->dead && !c->leaving) {
        size_t used;
        fpd_frame_event event = fpd_frames_feed(&c->frames, data, size, &used);

        data += used;
        size -= used;
        take_event(c, event);
    }
}

static void receive(connection *c)
{
    char buf[READ_SIZE];
    ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end(c);
        return;
    }
    if (n < 0)
        return;
    c->heard_ms = now_ms();
    take_bytes(c, buf, (size_t)n); /* behind the last frame nothing is looked at */
}

static void serve(connection *c, uint32_t events)
{
    if (!c->dead && (events & EPOLLOUT)) {
        if (!flush(c))
            end(c);
        else if (c->leaving && waiting(c) == 0)
            (void)shutdown(c->fd, SHUT_WR);
        else
            say_more(c);
    }
    if (!c->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        receive(c);
    if (!c->dead)
        set_interest(c);
}

/* ---- rounds ---- */

static void begin(connection *c)
{
    fpd_socket_link link = { send_text, wake, drop, c };
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    const int size = SEND_BUFFER;

    c->next = c->loop->all;
    c->place = &c->loop->all;
    if (c->next)
        c->next->place = &c->next;
    c->loop->all = c;
    c->interest = e.events;
    c->heard_ms = c->asked_ms = c->moved_ms = now_ms();
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0 ||
        !c->socket->opened(c->socket, &link))
        end(c);
}

static connection *take_ready(fpd_socket_loop *loop, bool *woken, bool *dropped, bool *stopping)
{
    connection *c;

    pthread_mutex_lock(&loop->lock);
    c = loop->ready;
    if (c) {
        loop->ready = c->ready_next;
        *woken = c->woken;
        *dropped = c->dropped;
        c->ready = c->woken = c->dropped = false;
    }
    *stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    return c;
}

/* False: to stop. */
static bool serve_ready(fpd_socket_loop *loop)
{
    bool woken, dropped, stopping;
    connection *c;

    while ((c = take_ready(loop, &woken, &dropped, &stopping)) != NULL) {
        if (!c->place)
            begin(c);
        if (!c->dead && dropped)
            leave_with(c, FPD_CLOSE_GOING_AWAY);
        if (!c->dead && woken)
            say_more(c);
        if (!c->dead)
            set_interest(c);
    }
    return !stopping;
}

static void look_at_clock(connection *c, int64_t now)
{
    const fpd_socket_loop_options *o = &c->loop->o;

    if ((c->leaving && now >= c->leave_ms) || now - c->heard_ms >= o->quiet_ms ||
        (waiting(c) > 0 && now - c->moved_ms >= o->stuck_ms)) {
        end(c);
        return;
    }
    if (c->leaving || now - c->heard_ms < o->ping_ms || now - c->asked_ms < o->ping_ms)
        return;
    c->asked_ms = now;
    if (waiting(c) == 0 && !put(c, FPD_OPCODE_PING, "", 0))
        end(c);
    else
        set_interest(c);
}

static void tick(fpd_socket_loop *loop)
{
    int64_t now = now_ms();

    if (now - loop->ticked_ms < TICK_MS)
        return;
    loop->ticked_ms = now;
    for (connection *c = loop->all, *next; c; c = next) {
        next = c->next;
        look_at_clock(c, now);
    }
}

static void *run(void *arg)
{
    fpd_socket_loop *loop = arg;
    struct epoll_event events[EVENTS];
    bool goes_on = true;
    uint64_t rung;

    while (goes_on) {
        int count = epoll_wait(loop->epoll, events, EVENTS, loop->all ? TICK_MS : -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                (void)!read(loop->bell, &rung, sizeof(rung));
        }
        goes_on = serve_ready(loop);
        tick(loop);
        bury(loop);
    }
    for (connection *c = loop->all, *next; c; c = next) {
        next = c->next;
        leave_with(c, FPD_CLOSE_GOING_AWAY);
        end(c);
    }
    bury(loop);
    return NULL;
}

/* ---- all ---- */

static void release(fpd_socket_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->bell >= 0)
        close(loop->bell);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

static void set_default(int *value, int otherwise)
{
    if (!*value)
        *value = otherwise;
}

fpd_socket_loop *fpd_socket_loop_start(const fpd_socket_loop_options *options)
{
    fpd_socket_loop *loop = calloc(1, sizeof(*loop));
    struct epoll_event e = { .events = EPOLLIN };

    if (!loop)
        return NULL;
    if (options)
        loop->o = *options;
    set_default(&loop->o.ping_ms, 15000);
    set_default(&loop->o.quiet_ms, 105000);
    set_default(&loop->o.stuck_ms, 30000);
    set_default(&loop->o.close_ms, 2000);
    pthread_mutex_init(&loop->lock, NULL);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->bell < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->bell, &e) != 0 ||
        pthread_create(&loop->thread, NULL, run, loop) != 0) {
        release(loop);
        return NULL;
    }
    return loop;
}

bool fpd_socket_loop_add(fpd_socket_loop *loop, int fd, fpd_socket *socket)
{
    connection *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        socket->closed(socket);
        return false;
    }
    c->loop = loop;
    c->fd = fd;
    c->socket = socket;
    c->frames = (fpd_frames)FPD_FRAMES_INIT;
    c->out = (fpd_text)FPD_TEXT_INIT(WAITING_MAX + FPD_FRAMES_HEAD_MAX);
    wake(c);
    return true;
}

void fpd_socket_loop_stop(fpd_socket_loop *loop)
{
    if (!loop)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->lock);
    ring(loop);
    pthread_join(loop->thread, NULL);
    release(loop);
}
