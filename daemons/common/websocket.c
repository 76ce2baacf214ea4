/* Owns: opening WebSockets on CivetWeb, and handing them over.
 * Must not know: any service, and what frames are. */
#include "websocket.h"

#include <string.h>

#include "connection.h"
#include "content_digest.h"
#include "cors.h"
#include "frames.h"
#include "header_value.h"
#include "problem.h"
#include "reply.h"

/* Sec-WebSocket-Key is 16 bytes in base64. */
static bool is_key(const char *key)
{
    unsigned char bytes[16];
    size_t got;

    return key && strlen(key) == 24 && fpd_base64_decode(key, 24, bytes, sizeof(bytes), &got) &&
           got == 16;
}

bool fpd_websocket_check(fpd_request *rq)
{
    const char *connection_header = fpd_request_header(rq, "Connection");
    const char *upgrade = fpd_request_header(rq, "Upgrade");
    const char *version = fpd_request_header(rq, "Sec-WebSocket-Version");
    const char *origin = fpd_request_header(rq, "Origin");

    if (rq->method != FPD_METHOD_GET || !connection_header || !upgrade ||
        !fpd_list_has(connection_header, "upgrade") || !fpd_list_has(upgrade, "websocket") ||
        !version || strcmp(version, "13") != 0) {
        fpd_reply_header(rq, "Upgrade", "websocket");
        fpd_reply_header(rq, "Sec-WebSocket-Version", "13");
        fpd_problem(rq, 426, "upgrade_required", "This is a WebSocket.");
        return false;
    }
    if (!is_key(fpd_request_header(rq, "Sec-WebSocket-Key"))) {
        fpd_problem(rq, 400, "bad_request", "Sec-WebSocket-Key is missing or wrong.");
        return false;
    }
    /* Browsers let every page open WebSockets, so the server has to look. */
    if (origin && !rq->origin && !fpd_cors_same_origin(origin, fpd_request_header(rq, "Host"))) {
        fpd_problem(rq, 403, "origin_not_allowed", "Pages of this origin may not call the server.");
        return false;
    }
    return true;
}

void fpd_websocket_accept(struct mg_connection *conn, fpd_socket *socket)
{
    mg_set_user_connection_data(conn, socket);
}

static fpd_socket *take_socket(const struct mg_connection *conn)
{
    fpd_socket *socket = mg_get_user_connection_data(conn);

    mg_set_user_connection_data(conn, NULL);
    return socket;
}

void fpd_websocket_abandon(const struct mg_connection *conn)
{
    fpd_socket *socket = take_socket(conn);

    if (socket)
        socket->closed(socket);
}

static int on_connect(const struct mg_connection *conn, void *user_data)
{
    (void)user_data;
    return mg_get_user_connection_data(conn) ? 0 : 1;
}

/* ---- handing over ---- */

static int descriptor_of(const struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);

    return fpd_connection_descriptor(info->remote_addr, info->remote_port, info->server_port);
}

static void send_close(struct mg_connection *conn, unsigned code)
{
    const char body[2] = { (char)(code >> 8), (char)code };

    mg_websocket_write(conn, MG_WEBSOCKET_OPCODE_CONNECTION_CLOSE, body, sizeof(body));
}

/* CivetWeb would keep a thread for as long as it is open. A client sends nothing before it has the answer (RFC 6455 section 4.1), which
 * it has only now, so CivetWeb has read nothing of what comes. */
static void on_ready(struct mg_connection *conn, void *loop)
{
    fpd_socket *socket = take_socket(conn);
    int fd = fpd_connection_take(descriptor_of(conn));

    mg_disable_connection_keep_alive(conn);
    if (fd >= 0) {
        (void)!fpd_socket_loop_add(loop, fd, socket);
        return;
    }
    socket->closed(socket);
    send_close(conn, FPD_CLOSE_LATER);
}

/* Of one that could not be handed over, or of a client that did not wait for the answer. */
static int on_data(struct mg_connection *conn, int bits, char *data, size_t size, void *user_data)
{
    (void)conn;
    (void)bits;
    (void)data;
    (void)size;
    (void)user_data;
    return 0;
}

static void on_close(const struct mg_connection *conn, void *user_data)
{
    (void)user_data;
    fpd_websocket_abandon(conn);
}

void fpd_websocket_install(struct mg_context *server, fpd_socket_loop *loop)
{
    mg_set_websocket_handler(server, "**", on_connect, on_ready, on_data, on_close, loop);
}
