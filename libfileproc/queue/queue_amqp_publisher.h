/* Owns: sending to a broker so that one knows what arrived.
 * Must not know: receiving. */
#ifndef FPI_QUEUE_AMQP_PUBLISHER_H
#define FPI_QUEUE_AMQP_PUBLISHER_H

#include "queue/queue_amqp_link.h"

/** The header that counts how often a message was put off. */
#define FPI_AMQP_DELAYS_HEADER "x-fileproc-delays"

typedef enum fpi_amqp_fate {
    FPI_AMQP_WAITING,
    FPI_AMQP_CONFIRMED,
    FPI_AMQP_RETURNED, /* mandatory, and no queue takes it */
    FPI_AMQP_REFUSED,
    FPI_AMQP_LOST /* the connection broke before the broker said anything: it may have arrived */
} fpi_amqp_fate;

/** A message on its way; lives on its sender's stack until its fate is known. */
typedef struct fpi_amqp_letter {
    const char *exchange;
    const char *key;
    const char *id;           /* NULL = a number of ours */
    const char *content_type; /* NULL = none */
    const void *body;
    size_t size;
    struct fpi_amqp_letter *next; /* the publisher's, like the next two */
    struct fpi_amqp_batch *batch;
    uint64_t tag;
    int32_t delays; /* FPI_AMQP_DELAYS_HEADER, when not 0 */
    fpi_amqp_fate fate;
    bool mandatory; /* only without an id */
    bool returned;  /* the publisher's */
} fpi_amqp_letter;

typedef struct fpi_amqp_publisher {
    fpi_amqp_link link;             /* its lock guards the rest */
    fpi_amqp_letter *first, **last; /* not yet confirmed, in order of their tags */
    uint64_t tag;                   /* of the last one */
    struct fpi_amqp_known_topic *topics;
    uint64_t events_declared; /* the connection, by link.opened, that has */
    bool in_return;           /* between basic.return and the end of what it brings back */
    uint64_t return_left;
} fpi_amqp_publisher;

fp_status fpi_amqp_publisher_init(fpi_amqp_publisher *p, fp_context *ctx,
                                  const fpi_amqp_settings *s, fp_error *err);
void fpi_amqp_publisher_dispose(fpi_amqp_publisher *p);

/** Connects unless it is connected. */
fp_status fpi_amqp_publisher_connect(fpi_amqp_publisher *p, fp_error *err);

/** Asks the broker something and waits for the answer. */
fp_status fpi_amqp_publisher_ping(fpi_amqp_publisher *p, fp_error *err);

/** Sends the letters in order and waits until the fate of each is known: a few seconds at most. OK when all are confirmed. topic:
 *  its queue is made when it is not there; NULL for events. */
fp_status fpi_amqp_publish(fpi_amqp_publisher *p, const char *topic, fpi_amqp_letter *letters,
                           size_t count, fp_error *err);

#endif
