/* Owns: a reply that is a stream of server-sent events: its head, how an event is written, whether the peer is there and reads.
 * Must not know: which events there are. */
#include "event_stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reply.h"

/* What the kernel keeps for a peer that does not read; by itself it would be megabytes. */
#define SEND_BUFFER (16 * 1024)
#define EVENT_MAX (64u * 1024u)
/* An event is small, so a peer that had room takes it, or is stuck. */
#define STUCK_MS 2000

bool fpd_event_stream_begin(fpd_event_stream *s, fpd_request *rq)
{
    const int size = SEND_BUFFER;

    *s = (fpd_event_stream){ .fd = -1, .out = FPD_TEXT_INIT(EVENT_MAX) };
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_header(rq, "X-Accel-Buffering", "no"); /* nginx would wait until a buffer is full */
    if (!fpd_reply_begin_endless(rq, 200, "text/event-stream"))
        return false;
    s->fd = rq->wire.take ? rq->wire.take(rq->wire.self) : -1;
    if (s->fd < 0)
        return false;
    (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return true;
}

void fpd_event_stream_end(fpd_event_stream *s)
{
    close(s->fd);
    s->fd = -1;
    fpd_text_dispose(&s->out);
}

bool fpd_event_stream_has_room(const fpd_event_stream *s, int timeout_ms)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };

    return poll(&p, 1, timeout_ms) != 0;
}

bool fpd_event_stream_is_gone(const fpd_event_stream *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLRDHUP };

    return s->broken || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

static bool send_all(fpd_event_stream *s, const char *data, size_t size)
{
    while (size > 0 && !s->broken) {
        ssize_t n = send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0) {
            data += n;
            size -= (size_t)n;
        } else if (errno != EINTR) {
            s->broken = errno != EAGAIN || !fpd_event_stream_has_room(s, STUCK_MS);
        }
    }
    return !s->broken;
}

bool fpd_event_stream_send(fpd_event_stream *s, const char *id, const char *name,
                           const fpd_text *data)
{
    fpd_text *out = &s->out;

    fpd_text_clear(out, out->capacity);
    fpd_text_printf(out, "id: %s\nevent: %s\ndata: ", id, name);
    fpd_text_append(out, data->data, data->size);
    fpd_text_append(out, "\n\n", 2);
    return !out->failed && !data->failed && send_all(s, out->data, out->size);
}

bool fpd_event_stream_heartbeat(fpd_event_stream *s)
{
    return send_all(s, ":\n\n", 3);
}
