/* Owns: making a connection to a broker that is logged in.
 * Must not know: what becomes of it. */
#include "queue/queue_amqp_connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#include <fileproc/version.h>

#include "core/error_private.h"
#include "queue/queue_amqp_link.h"

#define FRAME_MAX 131072
/* How long the broker may take to answer while others wait for the lock. */
#define RPC_TIMEOUT_MS 5000u
/* A peer that is gone without a word is noticed by writing after this time, whatever the heartbeat is. */
#define USER_TIMEOUT_MS 10000u

static struct timeval time_of(uint32_t ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

static fp_status secure(const fpi_amqp_settings *s, amqp_socket_t *socket, fp_error *err)
{
    int rc = AMQP_STATUS_OK;

    amqp_ssl_socket_set_verify_peer(socket, s->verify);
    amqp_ssl_socket_set_verify_hostname(socket, s->verify);
    if (s->ca_file)
        rc = amqp_ssl_socket_set_cacert(socket, s->ca_file);
    if (rc == AMQP_STATUS_OK && s->certificate_file)
        rc = amqp_ssl_socket_set_key(socket, s->certificate_file, s->key_file);
    if (rc == AMQP_STATUS_OK)
        rc = amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    if (rc != AMQP_STATUS_OK)
        return fpi_error_causef(err, FILEPROC_ERR_INVALID, "amqp", rc,
                                "the files for TLS in the URI can't be used: %s",
                                amqp_error_string2(rc));
    return FILEPROC_OK;
}

/* A certificate that does not convince us won't do so later. */
static fp_status not_reached(const fpi_amqp_settings *s, int rc, int number, fp_error *err)
{
    bool distrusted =
        rc == AMQP_STATUS_SSL_PEER_VERIFY_FAILED || rc == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED;
    const char *why = amqp_error_string2(rc);

    if (rc == AMQP_STATUS_SOCKET_ERROR &&
        number == EINPROGRESS) /* of the attempt, whose end it does not tell */
        why = "nobody answers";
    else if (rc == AMQP_STATUS_SOCKET_ERROR && number && strerrordesc_np(number))
        why = strerrordesc_np(number);
    return fpi_error_causef(err, distrusted ? FILEPROC_ERR_AUTH : FILEPROC_ERR_BUSY, "amqp", rc,
                            "no connection to the broker at %.80s:%u: %s", s->host, s->port, why);
}

static fp_status open_socket(const fpi_amqp_settings *s, amqp_connection_state_t conn,
                             fp_error *err)
{
    amqp_socket_t *socket = s->tls ? amqp_ssl_socket_new(conn) : amqp_tcp_socket_new(conn);
    struct timeval timeout = time_of(s->connect_timeout_ms);
    unsigned user_timeout = USER_TIMEOUT_MS;
    fp_status status;
    int rc;

    if (!socket)
        return fpi_no_memory(err);
    status = s->tls ? secure(s, socket, err) : FILEPROC_OK;
    if (status < 0)
        return status;
    errno = 0;
    rc = amqp_socket_open_noblock(socket, s->host, (int)s->port, &timeout);
    if (rc != AMQP_STATUS_OK)
        return not_reached(s, rc, errno, err);
    (void)setsockopt(amqp_get_sockfd(conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
                     sizeof(user_timeout));
    return FILEPROC_OK;
}

static amqp_table_entry_t entry_text(const char *key, const char *text)
{
    amqp_table_entry_t e = { .key = fpi_amqp_text(key) };

    e.value.kind = AMQP_FIELD_KIND_UTF8;
    e.value.value.bytes = fpi_amqp_text(text);
    return e;
}

static amqp_table_entry_t entry_true(const char *key)
{
    amqp_table_entry_t e = { .key = fpi_amqp_text(key) };

    e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    e.value.value.boolean = 1;
    return e;
}

/* The broker tells of a deleted queue, of being short of memory, of a wrong password only those who say that they understand. */
static fp_status log_in(const fpi_amqp_settings *s, amqp_connection_state_t conn, const char *name,
                        fp_error *err)
{
    amqp_table_entry_t abilities[] = {
        entry_true("consumer_cancel_notify"),       entry_true("connection.blocked"),
        entry_true("authentication_failure_close"), entry_true("basic.nack"),
        entry_true("publisher_confirms"),
    };
    amqp_table_entry_t properties[] = {
        entry_text("product", "libfileproc"),
        entry_text("version", FILEPROC_VERSION_STRING),
        entry_text("connection_name", name),
        { .key = fpi_amqp_text("capabilities") },
    };
    const amqp_table_t table = { sizeof(properties) / sizeof(*properties), properties };
    amqp_rpc_reply_t reply;

    properties[3].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[3].value.value.table =
        (amqp_table_t){ sizeof(abilities) / sizeof(*abilities), abilities };
    reply = amqp_login_with_properties(conn, s->vhost, AMQP_DEFAULT_MAX_CHANNELS, FRAME_MAX,
                                       (int)s->heartbeat_s, &table, AMQP_SASL_METHOD_PLAIN, s->user,
                                       s->password);
    return fpi_amqp_error_reply(reply, "logging in at the broker", err);
}

fp_status fpi_amqp_connect(const fpi_amqp_settings *s, const char *name,
                           amqp_connection_state_t *out, fp_error *err)
{
    struct timeval handshake = time_of(s->connect_timeout_ms), rpc = time_of(RPC_TIMEOUT_MS);
    amqp_connection_state_t conn = amqp_new_connection();
    fp_status rc;

    if (!conn)
        return fpi_no_memory(err);
    rc = amqp_set_handshake_timeout(conn, &handshake) == AMQP_STATUS_OK &&
                 amqp_set_rpc_timeout(conn, &rpc) == AMQP_STATUS_OK
             ? open_socket(s, conn, err)
             : fpi_no_memory(err);
    if (rc == FILEPROC_OK)
        rc = log_in(s, conn, name, err);
    if (rc < 0)
        amqp_destroy_connection(conn);
    else
        *out = conn;
    return rc;
}
