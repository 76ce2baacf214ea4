/* Owns: the drivers "amqp" and "amqps": doorbells, and events for others, through a RabbitMQ broker.
 * Must not know: any topic. The work itself is in the database, so nothing is lost with a doorbell.
 *
 * Two connections, one that publishes and one that receives, each made when first needed and again when it is gone. There is no
 * thread of our own: heartbeats are served by those who call, fp_queue_ping() included; when nobody calls for long the broker closes an
 * idle connection, gives what it had delivered there to others, and the next call connects again. docs/internals/queue-amqp.md. */
#include "queue/queue_amqp.h"

#include <string.h>

#include "queue/queue_amqp_consumer.h"
#include "queue/queue_amqp_publisher.h"
#include "queue/queue_amqp_topology.h"

/* A message that was given back so often comes again at once, later ones after a while. */
#define EAGER_DELIVERIES 3u
/* Letters on the stack; more events go in several rounds. */
#define ROUND 64u

typedef struct broker {
    fp_context *ctx;
    fpi_amqp_settings settings;
    fpi_amqp_publisher publisher;
    fpi_amqp_consumer consumer;
} broker;

static void broker_close(void *self)
{
    broker *b = self;

    if (!b)
        return;
    fpi_amqp_consumer_dispose(&b->consumer);
    fpi_amqp_publisher_dispose(&b->publisher);
    fpi_amqp_settings_dispose(&b->settings);
    fpi_free(&b->ctx->a, b);
}
FPI_DEFINE_CLEANUP(broker, broker_close)

static fp_status reach(broker *b, fp_error *err)
{
    fp_status rc = fpi_amqp_publisher_connect(&b->publisher, err);

    if (rc != FILEPROC_ERR_BUSY)
        return rc;
    if (err)
        err->code = FILEPROC_ERR_IO;
    return FILEPROC_ERR_IO;
}

static fp_status broker_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                             void **self, fp_error *err)
{
    FPI_CLEANUP(broker) b = fpi_calloc(&ctx->a, 1, sizeof(*b));
    fp_status rc;

    (void)opts;
    if (!b)
        return fpi_no_memory(err);
    b->ctx = ctx;
    rc = fpi_amqp_settings_parse(ctx, uri, &b->settings, err);
    if (rc == FILEPROC_OK)
        rc = fpi_amqp_publisher_init(&b->publisher, ctx, &b->settings, err);
    if (rc == FILEPROC_OK)
        rc = fpi_amqp_consumer_init(&b->consumer, ctx, &b->settings, err);
    if (rc == FILEPROC_OK)
        rc = reach(b, err);
    if (rc < 0)
        return rc;
    *self = fpi_steal(&b);
    return FILEPROC_OK;
}

static fp_status broker_send(void *self, const char *topic, const void *body, size_t size,
                             uint32_t flags, fp_error *err)
{
    char exchange[FPI_AMQP_NAME_SIZE];
    fpi_amqp_letter letter = {
        .exchange = exchange, .key = topic, .body = body, .size = size, .mandatory = true
    };
    broker *b = self;

    (void)flags;
    fpi_amqp_topics_name(&b->settings, exchange);
    return fpi_amqp_publish(&b->publisher, topic, &letter, 1, err);
}

static fp_status broker_receive(void *self, const char *topic, uint32_t timeout_ms, void **m,
                                const char **body, size_t *size, uint32_t flags, fp_error *err)
{
    fpi_amqp_message *received = NULL;
    broker *b = self;
    fp_status rc = fpi_amqp_consumer_receive(&b->consumer, topic, timeout_ms, &received, err);

    (void)flags;
    if (rc < 0)
        return rc;
    *m = received;
    if (received) {
        *body = received->body;
        *size = received->size;
    }
    return FILEPROC_OK;
}

static size_t broker_discard(void *self, const char *topic, size_t most)
{
    return fpi_amqp_consumer_discard(&((broker *)self)->consumer, topic, most);
}

static void broker_wake(void *self)
{
    fpi_amqp_consumer_wake(&((broker *)self)->consumer);
}

static fp_status broker_ack(void *self, void *m, fp_error *err)
{
    return fpi_amqp_consumer_ack(&((broker *)self)->consumer, m, err);
}

/* Into the delay queue, from which the broker brings it back to its topic. */
static fp_status put_off(broker *b, const fpi_amqp_message *m)
{
    char exchange[FPI_AMQP_NAME_SIZE];
    fpi_amqp_letter letter = { .exchange = exchange,
                               .key = fpi_amqp_message_topic(m),
                               .body = m->body,
                               .size = m->size,
                               .delays = m->delays + 1,
                               .mandatory = true };

    fpi_amqp_delay_name(&b->settings, (unsigned)m->delays, exchange);
    return fpi_amqp_publish(&b->publisher, letter.key, &letter, 1, NULL);
}

/* Whoever can't use a message now shall not spin on it: a few times it comes again at once, then later and later, then it is dead. */
static void give_back(broker *b, fpi_amqp_message *m)
{
    bool eager = m->delays == 0 && m->deliveries < EAGER_DELIVERIES;

    if (!fpi_amqp_consumer_owns(&b->consumer, m))
        return;
    if (eager || m->delays >= (int32_t)FPI_AMQP_DELAYS)
        fpi_amqp_consumer_give_back(&b->consumer, m, eager);
    else if (put_off(b, m) == FILEPROC_OK)
        (void)fpi_amqp_consumer_ack(&b->consumer, m, NULL);
    else
        fpi_amqp_consumer_give_back(&b->consumer, m, true);
}

static void broker_message_free(void *self, void *m)
{
    fpi_amqp_message *message = m;

    if (!message->acknowledged)
        give_back(self, message);
    fpi_amqp_message_free(message);
}

static fp_status broker_ping(void *self, fp_error *err)
{
    broker *b = self;
    fp_status rc = fpi_amqp_publisher_ping(&b->publisher, err);

    return rc < 0 ? rc : fpi_amqp_consumer_ping(&b->consumer, err);
}

static fp_status publish_round(broker *b, const char *exchange, const fp_queue_event *events,
                               size_t count, size_t *confirmed, fp_error *err)
{
    fpi_amqp_letter letters[ROUND];
    size_t i = 0;
    fp_status rc;

    for (i = 0; i < count; i++)
        letters[i] = (fpi_amqp_letter){ .exchange = exchange,
                                        .key = events[i].type,
                                        .id = events[i].id,
                                        .content_type = events[i].content_type,
                                        .body = events[i].body,
                                        .size = events[i].size };
    rc = fpi_amqp_publish(&b->publisher, NULL, letters, count, err);
    for (i = 0; i < count && letters[i].fate == FPI_AMQP_CONFIRMED; i++)
        ++*confirmed;
    return rc;
}

static fp_status broker_publish(void *self, const fp_queue_event *events, size_t count,
                                size_t *confirmed, fp_error *err)
{
    char exchange[FPI_AMQP_NAME_SIZE];
    broker *b = self;
    fp_status rc = FILEPROC_OK;
    size_t at = 0;

    *confirmed = 0;
    fpi_amqp_events_name(&b->settings, exchange);
    while (rc == FILEPROC_OK && at < count) {
        size_t n = count - at < ROUND ? count - at : ROUND;

        rc = publish_round(b, exchange, events + at, n, confirmed, err);
        at += n;
    }
    return rc;
}

#define SLOTS                                                                                      \
    .open = broker_open, .close = broker_close, .send = broker_send, .receive = broker_receive,    \
    .wake = broker_wake, .ack = broker_ack, .message_free = broker_message_free,                   \
    .ping = broker_ping, .publish = broker_publish, .discard = broker_discard

const fp_queue_driver fpi_queue_amqp_driver = { FILEPROC_QUEUE_DRIVER_INIT("amqp"), SLOTS };
const fp_queue_driver fpi_queue_amqps_driver = { FILEPROC_QUEUE_DRIVER_INIT("amqps"), SLOTS };
