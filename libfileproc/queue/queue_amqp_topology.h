/* Owns: the exchanges and queues that we declare, and their names.
 * Must not know: who sends or receives. docs/internals/queue-amqp.md draws them. */
#ifndef FPI_QUEUE_AMQP_TOPOLOGY_H
#define FPI_QUEUE_AMQP_TOPOLOGY_H

#include "queue/queue_amqp_link.h"

/** Every name fits, the NUL included. */
#define FPI_AMQP_NAME_SIZE 256u

/** A queue that somebody deleted is not made again before. When it is, the broker (RabbitMQ 3.10, quorum queues) may take the new
 *  one for the old, and keep subscriptions that never bring anything. */
#define FPI_AMQP_DELETED_PAUSE_MS 1000

/** How long a message waits that was given back again and again; see fpi_amqp_delay_name(). */
#define FPI_AMQP_DELAYS 3u

/** The exchange of all doorbells; the routing key is the topic. */
void fpi_amqp_topics_name(const fpi_amqp_settings *s, char name[FPI_AMQP_NAME_SIZE]);
/** The queue of one topic. */
void fpi_amqp_queue_name(const fpi_amqp_settings *s, const char *topic,
                         char name[FPI_AMQP_NAME_SIZE]);
/** The exchange, and its queue, in which a message waits before it comes back to its topic. */
void fpi_amqp_delay_name(const fpi_amqp_settings *s, unsigned rung, char name[FPI_AMQP_NAME_SIZE]);
/** The exchange of events; the routing key is their type. */
void fpi_amqp_events_name(const fpi_amqp_settings *s, char name[FPI_AMQP_NAME_SIZE]);

/** With the link's lock, and the link open. Declaring what is there changes nothing. CONFLICT: a thing of this name is there
 *  that is made otherwise; the message names it. */
fp_status fpi_amqp_declare_topic(fpi_amqp_link *link, const char *topic, fp_error *err);
fp_status fpi_amqp_declare_events(fpi_amqp_link *link, fp_error *err);

#endif
