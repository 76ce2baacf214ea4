/* Owns: WebSockets on CivetWeb: frames, fragments, closing.
 * Must not know: any service. */
#include "websocket.h"

#include <string.h>

#include "content_digest.h"
#include "cors.h"
#include "header_value.h"
#include "problem.h"
#include "reply.h"

/* Longest text message that is passed on. */
#define MESSAGE_MAX (64u * 1024u)

enum { OPCODE_MASK = 0x0F, RESERVED_MASK = 0x70, FINAL = 0x80 };
enum {
    CLOSE_GOING_AWAY = 1001,
    CLOSE_PROTOCOL = 1002,
    CLOSE_UNSUPPORTED = 1003,
    CLOSE_NOT_TEXT = 1007,
    CLOSE_TOO_BIG = 1009
};

typedef struct connection {
    fpd_socket *socket;
    fpd_text fragments;
    bool in_message; /* a fragmented text message has begun */
} connection;

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

static bool send_text(void *self, const char *text, size_t size)
{
    return mg_websocket_write(self, MG_WEBSOCKET_OPCODE_TEXT, text, size) > 0;
}

static void send_close(struct mg_connection *conn, unsigned code)
{
    char body[2] = { (char)(code >> 8), (char)code };

    mg_websocket_write(conn, MG_WEBSOCKET_OPCODE_CONNECTION_CLOSE, body, sizeof(body));
}

/* The connection's own thread notices within websocket_timeout_ms, or at once when the peer answers. */
static void drop(void *self)
{
    send_close(self, CLOSE_GOING_AWAY);
    mg_disable_connection_keep_alive(self);
}

bool fpd_websocket_accept(struct mg_connection *conn, fpd_socket *socket)
{
    connection *c = calloc(1, sizeof(*c));

    if (!c) {
        socket->closed(socket);
        return false;
    }
    c->socket = socket;
    c->fragments = (fpd_text)FPD_TEXT_INIT(MESSAGE_MAX);
    mg_set_user_connection_data(conn, c);
    return true;
}

static void end(const struct mg_connection *conn)
{
    connection *c = mg_get_user_connection_data(conn);

    if (!c)
        return;
    mg_set_user_connection_data(conn, NULL);
    c->socket->closed(c->socket);
    fpd_text_dispose(&c->fragments);
    free(c);
}

void fpd_websocket_abandon(const struct mg_connection *conn)
{
    end(conn);
}

static int on_connect(const struct mg_connection *conn, void *user_data)
{
    (void)user_data;
    return mg_get_user_connection_data(conn) ? 0 : 1;
}

static void on_ready(struct mg_connection *conn, void *user_data)
{
    connection *c = mg_get_user_connection_data(conn);
    fpd_socket_link link = { send_text, drop, conn };

    (void)user_data;
    if (!c->socket->opened(c->socket, &link))
        mg_disable_connection_keep_alive(conn);
}

static int refuse(struct mg_connection *conn, unsigned code)
{
    send_close(conn, code);
    return 0;
}

/* What was no text is not passed on: it would come back from us as one (RFC 6455 section 8.1). */
static int pass_on(struct mg_connection *conn, const connection *c, const char *text, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = fpd_utf8_length(text + at, size - at);
        if (n == 0)
            return refuse(conn, CLOSE_NOT_TEXT);
    }
    return c->socket->text(c->socket, text, size);
}

/* A fragment of a text message; the message goes on when it is whole. */
static int add_fragment(struct mg_connection *conn, connection *c, bool final, const char *data,
                        size_t size)
{
    int ok;

    fpd_text_append(&c->fragments, data, size);
    if (c->fragments.failed)
        return refuse(conn, CLOSE_TOO_BIG);
    if (!final)
        return 1;
    ok = pass_on(conn, c, c->fragments.data, c->fragments.size);
    c->in_message = false;
    fpd_text_clear(&c->fragments, 0);
    return ok;
}

static int on_data(struct mg_connection *conn, int bits, char *data, size_t size, void *user_data)
{
    connection *c = mg_get_user_connection_data(conn);
    bool final = bits & FINAL;
    int opcode = bits & OPCODE_MASK;

    (void)user_data;
    if (opcode == MG_WEBSOCKET_OPCODE_CONNECTION_CLOSE) {
        mg_websocket_write(conn, opcode, data, size < 125 ? size : 0);
        return 0;
    }
    if (bits & RESERVED_MASK) /* no extension was agreed on */
        return refuse(conn, CLOSE_PROTOCOL);
    if (opcode == MG_WEBSOCKET_OPCODE_BINARY)
        return refuse(conn, CLOSE_UNSUPPORTED);
    if (size > MESSAGE_MAX)
        return refuse(conn, CLOSE_TOO_BIG);
    if (opcode == MG_WEBSOCKET_OPCODE_TEXT && final && !c->in_message)
        return pass_on(conn, c, data, size);
    if (opcode == MG_WEBSOCKET_OPCODE_TEXT)
        c->in_message = true;
    else if (opcode != MG_WEBSOCKET_OPCODE_CONTINUATION || !c->in_message)
        return 1; /* ping and pong are answered by CivetWeb */
    return add_fragment(conn, c, final, data, size);
}

static void on_close(const struct mg_connection *conn, void *user_data)
{
    (void)user_data;
    end(conn);
}

void fpd_websocket_install(struct mg_context *server)
{
    mg_set_websocket_handler(server, "**", on_connect, on_ready, on_data, on_close, NULL);
}
