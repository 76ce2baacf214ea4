/* Owns: a reply that is a stream of server-sent events: its head, how an event is written, whether the peer is there and reads.
 * Must not know: which events there are. */
#ifndef FPD_EVENT_STREAM_H
#define FPD_EVENT_STREAM_H

#include "request.h"

/** A stream that goes on. Lives on the stack of the thread that serves the request. */
typedef struct fpd_event_stream {
    fpd_request *rq;
    int fd; /* the connection's; -1 = not known */
} fpd_event_stream;

/** Sends the head. False for HEAD, and when the peer is gone: then there is nothing more to do. */
bool fpd_event_stream_begin(fpd_event_stream *s, fpd_request *rq);

/** Waits up to timeout_ms until the peer takes more; false when it still does not. */
bool fpd_event_stream_has_room(const fpd_event_stream *s, int timeout_ms);

/** Whether the peer has closed the connection. */
bool fpd_event_stream_is_gone(const fpd_event_stream *s);

/** Sends an event; data is one line. False when the peer is gone. May block on one that does not read. */
bool fpd_event_stream_send(const fpd_event_stream *s, const char *id, const char *name,
                           const fpd_text *data);

/** Sends a line that means nothing, so that neither peer nor proxies take the connection for a dead one. */
bool fpd_event_stream_heartbeat(const fpd_event_stream *s);

#endif
