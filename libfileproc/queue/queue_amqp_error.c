/* Owns: what rabbitmq-c and the broker say, as an fp_error.
 * Must not know: who asked. */
#include <errno.h>
#include <string.h>

#include "core/error_private.h"
#include "queue/queue_amqp_link.h"

/* Reply codes of AMQP 0-9-1 that we tell apart. */
#define ACCESS_REFUSED 403
#define NOT_FOUND 404
#define RESOURCE_LOCKED 405
#define PRECONDITION_FAILED 406
#define NOT_ALLOWED 530

/* What one can do about it: mend the credentials, the names, what somebody else declared; else wait. */
static fp_status status_of(uint16_t code, const char *text)
{
    switch (code) {
    case ACCESS_REFUSED:
        return FILEPROC_ERR_AUTH;
    case NOT_ALLOWED: /* a virtual host that is not there, or not for this user */
        return strstr(text, "not found") ? FILEPROC_ERR_NOTFOUND : FILEPROC_ERR_AUTH;
    case NOT_FOUND:
        return FILEPROC_ERR_NOTFOUND;
    case RESOURCE_LOCKED:
    case PRECONDITION_FAILED:
        return FILEPROC_ERR_CONFLICT;
    default:
        return FILEPROC_ERR_BUSY;
    }
}

fp_status fpi_amqp_error_closed(uint16_t code, amqp_bytes_t text, const char *what, fp_error *err)
{
    char said[160];
    size_t size = text.len < sizeof(said) - 1 ? text.len : sizeof(said) - 1;

    if (size)
        memcpy(said, text.bytes, size);
    said[size] = '\0';
    return fpi_error_causef(err, status_of(code, said), "amqp", code, "%s: %s", what, said);
}

static fp_status server_said(const amqp_method_t *method, const char *what, fp_error *err)
{
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = method->decoded;

        return fpi_amqp_error_closed(m->reply_code, m->reply_text, what, err);
    }
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = method->decoded;

        return fpi_amqp_error_closed(m->reply_code, m->reply_text, what, err);
    }
    return fpi_error_causef(err, FILEPROC_ERR_BUSY, "amqp", 0, "%s: an unexpected answer", what);
}

fp_status fpi_amqp_error_reply(amqp_rpc_reply_t reply, const char *what, fp_error *err)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return FILEPROC_OK;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return server_said(&reply.reply, what, err);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        if (reply.library_error == AMQP_STATUS_NO_MEMORY)
            return fpi_error_causef(err, FILEPROC_ERR_NOMEM, "amqp", reply.library_error,
                                    "%s: out of memory", what);
        return fpi_error_causef(err, FILEPROC_ERR_BUSY, "amqp", reply.library_error, "%s: %s", what,
                                amqp_error_string2(reply.library_error));
    case AMQP_RESPONSE_NONE:
    default:
        return fpi_error_causef(err, FILEPROC_ERR_BUSY, "amqp", 0,
                                "%s: the broker closed the connection", what);
    }
}
