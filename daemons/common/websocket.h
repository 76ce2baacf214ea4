/* Owns: opening WebSockets on CivetWeb, and handing them over.
 * Must not know: any service, and what frames are. */
#ifndef FPD_WEBSOCKET_H
#define FPD_WEBSOCKET_H

#include <civetweb.h>

#include "request.h"
#include "socket_loop.h"

/** Answers a request that is no proper handshake (RFC 6455 section 4.2.1) with a problem, and one from a web page of
 *  another origin that rq->origin does not allow; else true. */
bool fpd_websocket_check(fpd_request *rq);

/** Lets CivetWeb upgrade this connection for the socket, which is taken. */
void fpd_websocket_accept(struct mg_connection *conn, fpd_socket *socket);

/** Sets the handlers of a server that has started; the loop gets its WebSockets. */
void fpd_websocket_install(struct mg_context *server, fpd_socket_loop *loop);

/** For the connection_close callback: a handshake that failed leaves its socket behind. */
void fpd_websocket_abandon(const struct mg_connection *conn);

#endif
