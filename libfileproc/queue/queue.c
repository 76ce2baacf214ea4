/* Owns: the public face of a queue: picking its driver, checking arguments, messages as handles.
 * Must not know: any driver, any topic. */
#include <stdbool.h>
#include <string.h>

#include "core/ascii.h"
#include "core/options.h"
#include "core/uri.h"
#include "queue/queue_private.h"

#define DEFAULT_POLL_INTERVAL_MS 200u
#define TOPIC_MAX 100u
/* A driver that was built with older headers ends before what it does not know. */
#define DRIVER_HAS(d, slot)                                                                        \
    ((d)->struct_size >= offsetof(fp_queue_driver, slot) + sizeof((d)->slot) && (d)->slot)

struct fp_message {
    fp_queue *q;
    void *m;
    const char *body;
    size_t size;
    bool acknowledged;
};

static const fp_queue_driver *find_driver(const fp_context *ctx, const char *scheme)
{
    for (size_t i = 0; i < ctx->queue_drivers.count; i++) {
        const fp_queue_driver *drv = ctx->queue_drivers.items[i];

        if (strcmp(drv->scheme, scheme) == 0)
            return drv;
    }
    for (size_t i = 0; fpi_queue_drivers[i]; i++)
        if (strcmp(fpi_queue_drivers[i]->scheme, scheme) == 0)
            return fpi_queue_drivers[i];
    return NULL;
}

static fp_status import_options(fp_queue_options *o, const fp_queue_options *theirs, fp_error *err)
{
    fp_status rc;

    *o = (fp_queue_options)FILEPROC_QUEUE_OPTIONS_INIT;
    rc = fpi_options_import(o, sizeof(*o), theirs, err);
    if (rc < 0)
        return rc;
    if (o->reserved)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a reserved option is not 0");
    if (!o->poll_interval_ms)
        o->poll_interval_ms = DEFAULT_POLL_INTERVAL_MS;
    return FILEPROC_OK;
}

fp_status fp_queue_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                        fp_queue **out, fp_error *err)
{
    FPI_CLEANUP(fp_queue) q = NULL;
    fp_queue_options o;
    char scheme[32];
    fp_status rc;

    if (!ctx || !uri || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (strnlen(uri, FPI_URI_MAX + 1) > FPI_URI_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI is longer than 4096 bytes");
    rc = import_options(&o, opts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uri_scheme(uri, scheme, err);
    if (rc < 0)
        return rc;
    q = fpi_calloc(&ctx->a, 1, sizeof(*q));
    if (!q)
        return fpi_no_memory(err);
    q->ctx = ctx;
    q->drv = find_driver(ctx, scheme);
    if (!q->drv)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "no queue driver for the scheme %s", scheme);
    rc = q->drv->open(ctx, uri, &o, &q->self, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&q);
    return FILEPROC_OK;
}

void fp_queue_free(fp_queue *q)
{
    if (!q)
        return;
    if (q->self)
        q->drv->close(q->self);
    fpi_free(&q->ctx->a, q);
}

static fp_status check_topic(const char *topic, fp_error *err)
{
    size_t size = strnlen(topic, TOPIC_MAX + 1);

    for (size_t i = 0; i < size; i++)
        if (!fpi_ascii_is_letter(topic[i]) && !fpi_ascii_is_digit(topic[i]) &&
            !strchr("._-", topic[i]))
            size = 0;
    if (size == 0 || size > TOPIC_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a topic is 1 to %u of [A-Za-z0-9._-]",
                             TOPIC_MAX);
    return FILEPROC_OK;
}

fp_status fp_queue_send(fp_queue *q, const char *topic, const void *body, size_t size,
                        fp_error *err)
{
    fp_status rc;

    if (!q || !topic || (!body && size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (size > FILEPROC_QUEUE_BODY_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a message is at most %u bytes",
                             FILEPROC_QUEUE_BODY_MAX);
    rc = check_topic(topic, err);
    return rc < 0 ? rc : q->drv->send(q->self, topic, body, size, 0, err);
}

/* When there is no memory for the handle, the message goes back to the driver and is given to another receiver. */
static fp_status wrap(fp_queue *q, const struct fp_message *received, fp_message **out,
                      fp_error *err)
{
    fp_message *msg = fpi_alloc(&q->ctx->a, sizeof(*msg));

    if (!msg) {
        q->drv->message_free(q->self, received->m);
        return fpi_no_memory(err);
    }
    *msg = *received;
    *out = msg;
    return FILEPROC_OK;
}

fp_status fp_queue_receive(fp_queue *q, const char *topic, uint32_t timeout_ms, fp_message **out,
                           fp_error *err)
{
    struct fp_message received = { .q = q };
    fp_status rc;

    if (!q || !topic || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = check_topic(topic, err);
    if (rc == FILEPROC_OK)
        rc = q->drv->receive(q->self, topic, timeout_ms, &received.m, &received.body,
                             &received.size, 0, err);
    if (rc < 0)
        return rc;
    if (received.m)
        return wrap(q, &received, out, err);
    *out = NULL;
    return FILEPROC_OK;
}

void fp_queue_wake(fp_queue *q)
{
    if (q)
        q->drv->wake(q->self);
}

fp_status fp_queue_ping(fp_queue *q, fp_error *err)
{
    if (!q)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the queue is NULL");
    return DRIVER_HAS(q->drv, ping) ? q->drv->ping(q->self, err) : FILEPROC_OK;
}

/* False when there is none. */
static bool discard_one(fp_queue *q, const char *topic)
{
    const char *body;
    void *m = NULL;
    size_t size;
    bool gone;

    if (q->drv->receive(q->self, topic, 0, &m, &body, &size, 0, NULL) < 0 || !m)
        return false;
    gone = q->drv->ack(q->self, m, NULL) == FILEPROC_OK;
    q->drv->message_free(q->self, m);
    return gone;
}

size_t fpi_queue_discard(fp_queue *q, const char *topic, size_t most)
{
    size_t count = 0;

    if (DRIVER_HAS(q->drv, discard))
        return q->drv->discard(q->self, topic, most);
    while (count < most && discard_one(q, topic))
        count++;
    return count;
}

bool fpi_queue_publishes(const fp_queue *q)
{
    return DRIVER_HAS(q->drv, publish);
}

fp_status fpi_queue_publish(fp_queue *q, const fp_queue_event *events, size_t count,
                            size_t *confirmed, fp_error *err)
{
    *confirmed = 0;
    if (!DRIVER_HAS(q->drv, publish))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this queue does not publish events");
    return q->drv->publish(q->self, events, count, confirmed, err);
}

const char *fp_message_body(const fp_message *msg, size_t *size)
{
    if (size)
        *size = msg ? msg->size : 0;
    return msg ? msg->body : "";
}

fp_status fp_message_ack(fp_message *msg, fp_error *err)
{
    fp_status rc;

    if (!msg)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the message is NULL");
    if (msg->acknowledged)
        return FILEPROC_OK;
    rc = msg->q->drv->ack(msg->q->self, msg->m, err);
    msg->acknowledged = rc == FILEPROC_OK;
    return rc;
}

void fp_message_free(fp_message *msg)
{
    fp_queue *q;

    if (!msg)
        return;
    q = msg->q;
    q->drv->message_free(q->self, msg->m);
    fpi_free(&q->ctx->a, msg);
}
