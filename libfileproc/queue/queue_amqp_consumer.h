/* Owns: receiving from a broker: one subscription per topic, messages handed to whoever waits in this process.
 * Must not know: sending. */
#ifndef FPI_QUEUE_AMQP_CONSUMER_H
#define FPI_QUEUE_AMQP_CONSUMER_H

#include <stdatomic.h>

#include <fileproc/queue.h>

#include "queue/queue_amqp_link.h"

typedef struct fpi_amqp_topic fpi_amqp_topic;

/** A message that was delivered to us, and that the broker keeps until it is acknowledged. */
typedef struct fpi_amqp_message {
    struct fpi_amqp_message *next;
    const fp_allocator *a;
    fpi_amqp_topic *topic;
    uint64_t
        subscription; /* of the topic, when it came: after that has changed the broker has given it to somebody else */
    uint64_t tag;
    uint64_t deliveries; /* before this one */
    int32_t delays;      /* FPI_AMQP_DELAYS_HEADER */
    bool acknowledged;
    size_t size, filled;
    char body[];
} fpi_amqp_message;

typedef struct fpi_amqp_consumer {
    fpi_amqp_link link; /* its lock guards the rest */
    fpi_amqp_topic *topics;
    unsigned topic_count;
    atomic_bool woken;
} fpi_amqp_consumer;

fp_status fpi_amqp_consumer_init(fpi_amqp_consumer *c, fp_context *ctx, const fpi_amqp_settings *s,
                                 fp_error *err);
void fpi_amqp_consumer_dispose(fpi_amqp_consumer *c);

/** The slots of fp_queue_driver. */
fp_status fpi_amqp_consumer_receive(fpi_amqp_consumer *c, const char *topic, uint32_t timeout_ms,
                                    fpi_amqp_message **out, fp_error *err);
void fpi_amqp_consumer_wake(fpi_amqp_consumer *c);
fp_status fpi_amqp_consumer_ack(fpi_amqp_consumer *c, fpi_amqp_message *m, fp_error *err);
/** False when the broker has given the message to somebody else meanwhile. */
bool fpi_amqp_consumer_owns(fpi_amqp_consumer *c, const fpi_amqp_message *m);
/** Whether it is delivered again: true = at once, false = never. */
void fpi_amqp_consumer_give_back(fpi_amqp_consumer *c, fpi_amqp_message *m, bool again);
/** As the slot: how many were acknowledged. */
size_t fpi_amqp_consumer_discard(fpi_amqp_consumer *c, const char *topic, size_t most);
void fpi_amqp_message_free(fpi_amqp_message *m);
/** Borrowed as long as the consumer lives. */
const char *fpi_amqp_message_topic(const fpi_amqp_message *m);

/** Connects and subscribes again to what somebody has received from, when need be, and serves the heartbeat. */
fp_status fpi_amqp_consumer_ping(fpi_amqp_consumer *c, fp_error *err);

#endif
