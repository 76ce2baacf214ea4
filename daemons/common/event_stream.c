/* Owns: a reply that is a stream of server-sent events: its head, how an event is written, whether the peer is there and reads.
 * Must not know: which events there are. */
#include "event_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include "reply.h"

/* What the kernel keeps for a peer that does not read; by itself it would be megabytes. */
#define SEND_BUFFER (16 * 1024)

bool fpd_event_stream_begin(fpd_event_stream *s, fpd_request *rq)
{
    const int size = SEND_BUFFER;

    *s = (fpd_event_stream){ rq, -1 };
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_header(rq, "X-Accel-Buffering", "no"); /* nginx would wait until a buffer is full */
    if (!fpd_reply_begin_endless(rq, 200, "text/event-stream"))
        return false;
    if (rq->wire.descriptor)
        s->fd = rq->wire.descriptor(rq->wire.self);
    if (s->fd >= 0)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return true;
}

bool fpd_event_stream_has_room(const fpd_event_stream *s, int timeout_ms)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };

    return s->fd < 0 || poll(&p, 1, timeout_ms) != 0;
}

bool fpd_event_stream_is_gone(const fpd_event_stream *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLRDHUP };

    return s->rq->broken ||
           (s->fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

bool fpd_event_stream_send(const fpd_event_stream *s, const char *id, const char *name,
                           const fpd_text *data)
{
    fpd_text *out = s->rq->scratch; /* the head has gone, so it is free */

    fpd_text_clear(out, out->capacity);
    fpd_text_printf(out, "id: %s\nevent: %s\ndata: ", id, name);
    fpd_text_append(out, data->data, data->size);
    fpd_text_append(out, "\n\n", 2);
    return !out->failed && !data->failed && fpd_reply_write(s->rq, out->data, out->size);
}

bool fpd_event_stream_heartbeat(const fpd_event_stream *s)
{
    return fpd_reply_write(s->rq, ":\n\n", 3);
}
