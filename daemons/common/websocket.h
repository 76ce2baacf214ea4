/* Owns: WebSockets on CivetWeb: frames, fragments, closing.
 * Must not know: any service. */
#ifndef FPD_WEBSOCKET_H
#define FPD_WEBSOCKET_H

#include <civetweb.h>

#include "request.h"
#include "socket.h"

/** Answers a request that is no proper handshake (RFC 6455 section 4.2.1) with a problem, and one from a web page of
 *  another origin that rq->origin does not allow; else true. */
bool fpd_websocket_check(fpd_request *rq);

/** Lets CivetWeb upgrade this connection for the socket. Taken; false when out of memory, then it was closed. */
bool fpd_websocket_accept(struct mg_connection *conn, fpd_socket *socket);

/** Sets the handlers of a server that has started. */
void fpd_websocket_install(struct mg_context *server);

/** For the connection_close callback: a handshake that failed leaves its socket behind. */
void fpd_websocket_abandon(const struct mg_connection *conn);

#endif
