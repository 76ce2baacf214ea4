/* Owns: what a WebSocket is to the services: a connection that they can send text on, and that tells them what happens.
 * Must not know: frames, CivetWeb, or any service. */
#ifndef FPD_SOCKET_H
#define FPD_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/** How to reach the peer. send answers false when the peer is gone; it may block on a slow one. drop makes the
 *  connection end. Both from any thread, while the socket is open. */
typedef struct fpd_socket_link {
    bool (*send)(void *self, const char *text, size_t size);
    void (*drop)(void *self);
    void *self;
} fpd_socket_link;

/** What a handler sets as rq->upgrade. The first two run on the connection's thread; answering false ends it. */
typedef struct fpd_socket fpd_socket;
struct fpd_socket {
    bool (*opened)(fpd_socket *socket, const fpd_socket_link *link);
    bool (*text)(fpd_socket *socket, const char *text, size_t size);
    /** Runs once, also when opened never did. Nothing is sent afterwards. Frees the socket. */
    void (*closed)(fpd_socket *socket);
};

#endif
