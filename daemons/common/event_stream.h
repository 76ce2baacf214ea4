/* Owns: a reply that is a stream of server-sent events: its head, how an event is written, whether the peer is there and reads.
 * Must not know: which events there are. */
#ifndef FPD_EVENT_STREAM_H
#define FPD_EVENT_STREAM_H

#include "request.h"

/** A stream that goes on, on a connection that it has taken from the server: it may outlive the request, and pass on to another thread.
 *  One thread at a time. */
typedef struct fpd_event_stream {
    int fd;
    bool broken;  /* the peer is gone */
    fpd_text out; /* the event that is being sent */
} fpd_event_stream;

/** Sends the head. False for HEAD, when the peer is gone, and when the server does not give the connection away: then there is nothing more
 *  to do, and nothing to end. */
bool fpd_event_stream_begin(fpd_event_stream *s, fpd_request *rq);
/** Closes the connection. */
void fpd_event_stream_end(fpd_event_stream *s);

/** Waits up to timeout_ms until the peer takes more; false when it still does not. */
bool fpd_event_stream_has_room(const fpd_event_stream *s, int timeout_ms);

/** Whether the peer has closed the connection. */
bool fpd_event_stream_is_gone(const fpd_event_stream *s);

/** Sends an event; data is one line. False when the peer is gone, or takes none of it for 2 s. */
bool fpd_event_stream_send(fpd_event_stream *s, const char *id, const char *name,
                           const fpd_text *data);

/** Sends a line that means nothing, so that neither peer nor proxies take the connection for a dead one. */
bool fpd_event_stream_heartbeat(fpd_event_stream *s);

#endif
