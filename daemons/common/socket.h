/* Owns: what a WebSocket is to the services: a connection that they can send text on, and that tells them what happens.
 * Must not know: frames, threads, or any service. */
#ifndef FPD_SOCKET_H
#define FPD_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/** The longest text that fpd_socket.more may give. */
#define FPD_SOCKET_TEXT_MAX 512u

/** How to reach the peer, while the socket is open. None of it waits. */
typedef struct fpd_socket_link {
    /** Sends text to which nothing newer is preferred. Only from within the functions of the socket. False: the peer is gone, or too
     *  much waits for it already. */
    bool (*send)(void *self, const char *text, size_t size);
    /** There is something that fpd_socket.more would give. Any thread. */
    void (*wake)(void *self);
    /** Makes the connection end. Any thread. */
    void (*drop)(void *self);
    void *self;
} fpd_socket_link;

/** What a handler sets as rq->upgrade. All run on one thread, which serves all sockets, so they must not wait. */
typedef struct fpd_socket fpd_socket;
struct fpd_socket {
    /** Answering false ends it, here and below. */
    bool (*opened)(fpd_socket *socket, const fpd_socket_link *link);
    bool (*text)(fpd_socket *socket, const char *text, size_t size);
    /** The peer has room: what is to be sent now, newest only; 0 = nothing. text has FPD_SOCKET_TEXT_MAX bytes. */
    size_t (*more)(fpd_socket *socket, char *text);
    /** Runs once, also when opened never did, then on any thread. Nothing is sent afterwards. Frees the socket. */
    void (*closed)(fpd_socket *socket);
};

#endif
