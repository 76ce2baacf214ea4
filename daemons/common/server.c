/* Owns: CivetWeb: starting it safely, handing requests to the dispatcher, stopping it.
 * Must not know: any route. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "connection.h"
#include "log.h"
#include "takeover.h"
#include "websocket.h"

/* All lines of a request's head together. CivetWeb takes more, because what is too long for it, it can't tell from nonsense. */
#define HEAD_MAX 16384
#define HEAD_MAX_TEXT "16384"
#define HEAD_BUFFER 32768
#define HEAD_BUFFER_TEXT "32768"
#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)
/* Replies are put together in a buffer of this size at the most; larger bodies are sent from where they are. */
#define SCRATCH_MAX (256u * 1024u)
/* For a WebSocket that could not be handed over. */
#define WEBSOCKET_TIMEOUT_TEXT "2000"

/* Between two knocks at our own door while it is closed; see knock(). */
#define KNOCK_NS INT64_C(5000000)

struct fpd_server {
    struct mg_context *mg;
    fpd_socket_loop *loop;
    fpd_dispatcher *dispatcher;
    struct in_addr address;
    int timeout_ms; /* of a silent client */
    atomic_bool stopped;
    pthread_mutex_t lock; /* guards said */
    char said[200];       /* CivetWeb's last words, for a start that fails */
};

/* ---- requests ---- */

static int wire_read(void *self, void *buf, size_t size)
{
    return mg_read(self, buf, size);
}

static int wire_write(void *self, const void *buf, size_t size)
{
    return mg_write(self, buf, size);
}

static void wire_close(void *self)
{
    mg_disable_connection_keep_alive(self);
}

static int wire_descriptor(void *self)
{
    const struct mg_request_info *info = mg_get_request_info(self);

    return fpd_connection_descriptor(info->remote_addr, info->remote_port, info->server_port);
}

static int wire_take(void *self)
{
    wire_close(self);
    return fpd_connection_take(wire_descriptor(self));
}

static bool wire_raw(void *self, fpd_raw *out);

static fpd_wire wire_of(struct mg_connection *conn)
{
    return (
        fpd_wire){ wire_read, wire_write, wire_close, conn, wire_descriptor, wire_raw, wire_take };
}

static void take_head(const struct mg_request_info *info, fpd_head *head)
{
    head->method = info->request_method ? info->request_method : "";
    head->target = info->local_uri_raw ? info->local_uri_raw : "";
    head->query = info->query_string;
    head->version = info->http_version ? info->http_version : "1.1";
    head->remote = info->remote_addr;
    head->header_count = 0;
    for (int i = 0; i < info->num_headers && head->header_count < FPD_HEADERS_MAX; i++)
        head->headers[head->header_count++] =
            (fpd_header){ info->http_headers[i].name, info->http_headers[i].value };
}

/* Behind the last header line that CivetWeb saw; there is one. */
static const char *head_end(const struct mg_request_info *info)
{
    const char *value = info->http_headers[info->num_headers - 1].value;

    return value + strlen(value) + 2;
}

/* CivetWeb forgives blanks before the colon; a proxy that does not takes "Transfer-Encoding :" for an unknown name, and sees
 * the request end elsewhere (RFC 9112 section 5.1). The colon and such blanks were made NUL. */
static bool has_blank_before_colon(const struct mg_header *header)
{
    const char *behind = header->name + strlen(header->name) + 1;

    return behind < header->value && *behind == '\0';
}

/* CivetWeb stops reading header lines without a word at a folded line, at a name with strange characters, and after 64 of
 * them. A Transfer-Encoding behind that would be unseen here and seen by a proxy: a request inside a request. The lines
 * lie in one buffer, with both bytes of each line end made NUL, so the byte behind the last one seen tells. */
static bool head_is_trustworthy(const struct mg_request_info *info)
{
    const char *end;

    if (info->num_headers >= MG_MAX_HEADERS)
        return false;
    if (info->num_headers == 0)
        return true; /* without Host it is refused anyway, and HTTP/1.0 without headers has no body */
    if (info->http_headers[0].name - (info->http_version + strlen(info->http_version)) != 2)
        return false; /* lines end with CR LF, not with LF alone */
    for (int i = 0; i < info->num_headers; i++)
        if (has_blank_before_colon(&info->http_headers[i]))
            return false;
    end = head_end(info);
    return end >= info->request_method + HEAD_BUFFER || *end == '\r' || *end == '\n' ||
           *end == '\0';
}

/* What is wrong with the head; NULL when nothing is. */
static const fpd_bad_request *check_head(const struct mg_request_info *info)
{
    static const fpd_bad_request malformed = {
        400, "bad_request", "A header line is malformed, or there are more than 63."
    };
    static const fpd_bad_request too_large = { 431, "headers_too_large",
                                               "The request's head has more than " HEAD_MAX_TEXT
                                               " bytes." };

    if (!head_is_trustworthy(info))
        return &malformed;
    if (info->num_headers > 0 && head_end(info) - info->request_method > HEAD_MAX)
        return &too_large;
    return NULL;
}

static fpd_server *server_of(const struct mg_connection *conn)
{
    return mg_get_user_context_data(conn);
}

/* With the empty line at its end. */
static size_t head_size(const struct mg_request_info *info)
{
    return (size_t)(head_end(info) + 2 - info->request_method);
}

static bool wire_raw(void *self, fpd_raw *out)
{
    const struct mg_request_info *info = mg_get_request_info(self);

    out->timeout_ms = server_of(self)->timeout_ms;
    return info->num_headers > 0 && fpd_takeover(info->request_method, head_size(info), HEAD_BUFFER,
                                                 wire_descriptor(self), out);
}

/* Of a body in the chunked coding nobody knows how long it was. A request without a body may have the length -1. */
static void count_request(const struct mg_connection *conn, const struct mg_request_info *info)
{
    if (info->num_headers == 0 || mg_get_header(conn, "Transfer-Encoding"))
        fpd_takeover_lose();
    else
        fpd_takeover_count(head_size(info) +
                           (info->content_length > 0 ? (uint64_t)info->content_length : 0));
}

/* Answers 0 to let CivetWeb go on with a WebSocket handshake, else the status. */
static int on_request(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    const fpd_bad_request *bad = check_head(info);
    fpd_wire wire = wire_of(conn);
    fpd_text *scratch = mg_get_thread_pointer(conn);
    void *upgrade = NULL;
    fpd_head head;
    int status;

    take_head(info, &head);
    if (!scratch) { /* no memory when the thread began */
        mg_disable_connection_keep_alive(conn);
        return 503;
    }
    if (bad) {
        fpd_dispatch_refused(server_of(conn)->dispatcher, &head, &wire, scratch, bad);
        mg_disable_connection_keep_alive(conn);
        return bad->status;
    }
    status = fpd_dispatch(server_of(conn)->dispatcher, &head, &wire, scratch, &upgrade);
    count_request(conn, info);
    if (!upgrade)
        return status;
    fpd_websocket_accept(conn, upgrade);
    return 0;
}

/* What CivetWeb refuses before a request exists. */
static int on_http_error(struct mg_connection *conn, int status, const char *message)
{
    fpd_bad_request why = { status, "bad_request", message };
    const struct mg_request_info *info = mg_get_request_info(conn);
    fpd_text *scratch = mg_get_thread_pointer(conn);
    fpd_wire wire = wire_of(conn);
    fpd_head head = { .method = "", .target = "", .version = "1.1", .remote = info->remote_addr };

    if (!scratch)
        return 1;
    if (status == 411) {
        why.status = 400;
        why.detail = "Content-Length is not one decimal number.";
    } else if (status == 400 || status == 413) { /* of the head; no body was looked at */
        why.status = 400;
        why.detail = "The request's head is no HTTP, is much too long, or did not come in time.";
    }
    fpd_dispatch_refused(server_of(conn)->dispatcher, &head, &wire, scratch, &why);
    mg_disable_connection_keep_alive(conn);
    return 0;
}

static void on_connection_close(const struct mg_connection *conn)
{
    fpd_takeover_reset();
    fpd_websocket_abandon(conn);
}

/* ---- threads and log ---- */

static void *on_thread_start(const struct mg_context *mg, int type)
{
    fpd_text *scratch = type == 1 ? malloc(sizeof(*scratch)) : NULL;

    (void)mg;
    if (scratch)
        *scratch = (fpd_text)FPD_TEXT_INIT(SCRATCH_MAX);
    return scratch;
}

static void on_thread_end(const struct mg_context *mg, int type, void *scratch)
{
    (void)mg;
    (void)type;
    if (scratch)
        fpd_text_dispose(scratch);
    free(scratch);
}

static int on_log(const struct mg_connection *conn, const char *message)
{
    fpd_server *server = server_of(conn);

    if (server) {
        pthread_mutex_lock(&server->lock);
        snprintf(server->said, sizeof(server->said), "%s", message);
        pthread_mutex_unlock(&server->lock);
    }
    fpd_log(FILEPROC_LOG_DEBUG, "civetweb", "%s", message);
    return 1;
}

/* ---- start and stop ---- */

static bool parse_address(const char *text, struct in_addr *out)
{
    return inet_pton(AF_INET, strcmp(text, "localhost") == 0 ? "127.0.0.1" : text, out) == 1;
}

bool fpd_is_loopback(const char *address)
{
    struct in_addr parsed;

    return parse_address(address, &parsed) && ntohl(parsed.s_addr) >> 24 == 127;
}

/* CivetWeb's own message about a taken port is hard to read, so we look first. */
static fp_status try_port(struct in_addr address, int64_t port, fp_error *why)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = address };
    FPD_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[INET_ADDRSTRLEN] = "";
    int on = 1;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    if (fd < 0)
        return fp_error_setf(why, FILEPROC_ERR_IO, "no socket: %s", strerrordesc_np(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return FILEPROC_OK;
    if (errno == EADDRINUSE)
        return fp_error_setf(why, FILEPROC_ERR_BUSY,
                             "port %d of %s is in use by another program; choose one with --port",
                             (int)port, text);
    return fp_error_setf(why, FILEPROC_ERR_IO, "can't listen on %s:%d: %s", text, (int)port,
                         strerrordesc_np(errno));
}

static fp_status check(const fpd_server_options *o, struct in_addr *address, fp_error *why)
{
    if (!parse_address(o->address, address))
        return fp_error_setf(
            why, FILEPROC_ERR_INVALID,
            "can't listen on \"%.60s\": an IPv4 address or localhost is wanted (the HTTP server has no IPv6)",
            o->address);
    if (!o->insecure && !fpd_is_loopback(o->address))
        return fp_error_setf(
            why, FILEPROC_ERR_INVALID,
            "refusing to listen on %s without authentication: others could read and delete everything; "
            "--insecure allows it",
            o->address);
    /* With TLS asked for, CivetWeb crashes on Debian's OpenSSL 3; a reverse proxy does TLS. */
    if (!(mg_init_library(MG_FEATURES_WEBSOCKET) & MG_FEATURES_WEBSOCKET))
        return fp_error_setf(why, FILEPROC_ERR_NOTSUP,
                             "this CivetWeb was built without WebSockets");
    return try_port(*address, o->port, why);
}

static struct mg_context *start_civetweb(fpd_server *server, const fpd_server_options *o,
                                         struct in_addr address)
{
    static const struct mg_callbacks callbacks = {
        .begin_request = on_request,
        .http_error = on_http_error,
        .connection_close = on_connection_close,
        .log_message = on_log,
        .init_thread = on_thread_start,
        .exit_thread = on_thread_end,
    };
    char text[INET_ADDRSTRLEN] = "", port[INET_ADDRSTRLEN + 8], threads[24], keep_alive[24],
         timeout[24];
    const char *options[] = {
        "listening_ports",
        port,
        "num_threads",
        threads,
        "keep_alive_timeout_ms",
        keep_alive,
        "request_timeout_ms",
        timeout,
        "enable_keep_alive",
        o->keep_alive_ms > 0 ? "yes" : "no",
        "tcp_nodelay",
        "1",
        "max_request_size",
        HEAD_BUFFER_TEXT,
        "listen_backlog",
        "1024",
        "connection_queue",
        TEXT(FPD_CONNECTIONS_QUEUED),
        "websocket_timeout_ms",
        WEBSOCKET_TIMEOUT_TEXT,
        "decode_url",
        "no",
        "enable_auth_domain_check",
        "no",
        "enable_directory_listing",
        "no",
        NULL,
    };

    inet_ntop(AF_INET, &address, text, sizeof(text));
    snprintf(port, sizeof(port), "%s:%d", text, (int)o->port);
    snprintf(threads, sizeof(threads), "%lld", (long long)o->threads);
    snprintf(keep_alive, sizeof(keep_alive), "%lld", (long long)o->keep_alive_ms);
    snprintf(timeout, sizeof(timeout), "%lld", (long long)o->request_timeout_ms);
    return mg_start(&callbacks, server, options);
}

fpd_server *fpd_server_start(const fpd_server_options *options, fpd_dispatcher *dispatcher,
                             fp_error *why)
{
    fpd_server *server;
    struct in_addr address;

    if (check(options, &address, why) < 0)
        return NULL;
    server = calloc(1, sizeof(*server));
    if (!server) {
        (void)fp_error_setf(why, FILEPROC_ERR_NOMEM, "out of memory");
        return NULL;
    }
    server->dispatcher = dispatcher;
    server->address = address;
    server->timeout_ms = (int)options->request_timeout_ms;
    pthread_mutex_init(&server->lock, NULL);
    server->loop = fpd_socket_loop_start(NULL);
    if (server->loop)
        server->mg = start_civetweb(server, options, address);
    if (!server->mg) {
        (void)fp_error_setf(why, FILEPROC_ERR_IO, "the HTTP server did not start: %s",
                            server->loop ? server->said : "no thread or descriptor is left");
        fpd_server_stop(server);
        return NULL;
    }
    fpd_websocket_install(server->mg, server->loop);
    return server;
}

int fpd_server_port(const fpd_server *server)
{
    struct mg_server_port ports[4];
    int count = mg_get_server_ports(server->mg, 4, ports);

    return count > 0 ? ports[0].port : 0;
}

/* CivetWeb's listener looks up every two seconds, or when somebody comes. So that the end does not take so long, somebody
 * comes. */
static void *knock(void *arg)
{
    const fpd_server *server = arg;
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)fpd_server_port(server)),
                                    .sin_addr = server->address };
    const struct timespec pause = { 0, KNOCK_NS };

    while (!atomic_load(&server->stopped)) {
        FPD_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0)
            (void)connect(fd, (const struct sockaddr *)&at, sizeof(at));
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void stop_civetweb(fpd_server *server)
{
    pthread_t knocker;
    bool knocks = pthread_create(&knocker, NULL, knock, server) == 0;

    mg_stop(server->mg);
    atomic_store(&server->stopped, true);
    if (knocks)
        pthread_join(knocker, NULL);
}

void fpd_server_stop(fpd_server *server)
{
    if (!server)
        return;
    if (server->mg)
        stop_civetweb(server);
    fpd_socket_loop_stop(server->loop);
    mg_exit_library();
    pthread_mutex_destroy(&server->lock);
    free(server);
}
