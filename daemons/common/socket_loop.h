/* Owns: the one thread that serves all WebSockets of a server, once they are open.
 * Must not know: how they are opened, and what is said on them. docs/internals/uploads.md tells why. */
#ifndef FPD_SOCKET_LOOP_H
#define FPD_SOCKET_LOOP_H

#include "socket.h"

typedef struct fpd_socket_loop fpd_socket_loop;

/** How long it is patient; 0 = default. */
typedef struct fpd_socket_loop_options {
    int ping_ms;  /* a silent peer is asked for a sign of life; 15000 */
    int quiet_ms; /* one that gives none is gone; 105000 */
    int stuck_ms; /* one that takes nothing of what waits for it is dropped; 30000 */
    int close_ms; /* one that does not answer the last frame is let go; 2000 */
} fpd_socket_loop_options;

/** NULL: no thread, descriptor or memory is left. options may be NULL. */
fpd_socket_loop *fpd_socket_loop_start(const fpd_socket_loop_options *options);

/** Serves a connection on which WebSocket frames are spoken from now on. Both are taken. Any thread. False: out of memory; then
 *  both are closed. */
bool fpd_socket_loop_add(fpd_socket_loop *loop, int fd, fpd_socket *socket);

/** Closes all and ends the thread. NULL is allowed. */
void fpd_socket_loop_stop(fpd_socket_loop *loop);

#endif
