/* Owns: the exchanges and queues that we declare, and their names.
 * Must not know: who sends or receives. */
#include "queue/queue_amqp_topology.h"

#include <stdio.h>
#include <string.h>

/* Doorbells of a topic that nobody answers: beyond this the oldest is dropped (into the dead ones), as it wakes as many as a newer. */
#define TOPIC_LENGTH_MAX 100000
#define DEAD_LENGTH_MAX 10000
/* Deliveries of one message before it is dead, also when those who got it died of it. */
#define DELIVERY_LIMIT 20
#define ARGUMENTS_MAX 8

static const struct {
    const char *name;
    int32_t ms;
} delays[FPI_AMQP_DELAYS] = { { "1s", 1000 }, { "10s", 10000 }, { "1m", 60000 } };

static void make_name(const fpi_amqp_settings *s, const char *what, const char *which,
                      char name[FPI_AMQP_NAME_SIZE])
{
    snprintf(name, FPI_AMQP_NAME_SIZE, "%s%s%s", s->prefix, what, which);
}

void fpi_amqp_topics_name(const fpi_amqp_settings *s, char name[FPI_AMQP_NAME_SIZE])
{
    make_name(s, "topics", "", name);
}

void fpi_amqp_queue_name(const fpi_amqp_settings *s, const char *topic,
                         char name[FPI_AMQP_NAME_SIZE])
{
    make_name(s, "topic.", topic, name);
}

void fpi_amqp_delay_name(const fpi_amqp_settings *s, unsigned rung, char name[FPI_AMQP_NAME_SIZE])
{
    make_name(s, "delay.", delays[rung].name, name);
}

void fpi_amqp_events_name(const fpi_amqp_settings *s, char name[FPI_AMQP_NAME_SIZE])
{
    make_name(s, "events", "", name);
}

/* ---- one thing ---- */

typedef struct arguments {
    amqp_table_entry_t entries[ARGUMENTS_MAX];
    int count;
} arguments;

static void add_text(arguments *a, const char *key, const char *text)
{
    amqp_table_entry_t *e = &a->entries[a->count++];

    e->key = fpi_amqp_text(key);
    e->value.kind = AMQP_FIELD_KIND_UTF8;
    e->value.value.bytes = fpi_amqp_text(text);
}

static void add_number(arguments *a, const char *key, int32_t number)
{
    amqp_table_entry_t *e = &a->entries[a->count++];

    e->key = fpi_amqp_text(key);
    e->value.kind = AMQP_FIELD_KIND_I32;
    e->value.value.i32 = number;
}

/* What the broker says to a refused declaration names the property that differs. */
static fp_status answered(fpi_amqp_link *link, const char *verb, const char *name, fp_error *err)
{
    char what[FPI_AMQP_NAME_SIZE + 32];
    bool closed = false;
    fp_status rc;

    snprintf(what, sizeof(what), "%s %.100s", verb, name);
    rc = fpi_amqp_link_answered(link, FPI_AMQP_CONTROL_CHANNEL, what, &closed, err);
    if (!closed || link->state != FPI_AMQP_OPEN)
        return rc;
    (void)amqp_channel_open(link->conn, FPI_AMQP_CONTROL_CHANNEL);
    (void)fpi_amqp_link_answered(link, FPI_AMQP_CONTROL_CHANNEL, "opening a channel", &closed,
                                 NULL);
    return rc;
}

static fp_status declare_exchange(fpi_amqp_link *link, const char *name, const char *type,
                                  fp_error *err)
{
    (void)amqp_exchange_declare(link->conn, FPI_AMQP_CONTROL_CHANNEL, fpi_amqp_text(name),
                                fpi_amqp_text(type), 0, 1, 0, 0, amqp_empty_table);
    return answered(link, "declaring the exchange", name, err);
}

/* Replicated by the broker's cluster, written to disk before it is confirmed. */
static fp_status declare_queue(fpi_amqp_link *link, const char *name, arguments *a, fp_error *err)
{
    amqp_table_t table;

    add_text(a, "x-queue-type", "quorum");
    table = (amqp_table_t){ a->count, a->entries };
    (void)amqp_queue_declare(link->conn, FPI_AMQP_CONTROL_CHANNEL, fpi_amqp_text(name), 0, 1, 0, 0,
                             table);
    return answered(link, "declaring the queue", name, err);
}

static fp_status bind_queue(fpi_amqp_link *link, const char *queue, const char *exchange,
                            const char *key, fp_error *err)
{
    (void)amqp_queue_bind(link->conn, FPI_AMQP_CONTROL_CHANNEL, fpi_amqp_text(queue),
                          fpi_amqp_text(exchange), fpi_amqp_text(key), amqp_empty_table);
    return answered(link, "binding the queue", queue, err);
}

/* ---- all of it ---- */

static fp_status declare_dead(fpi_amqp_link *link, fp_error *err)
{
    char name[FPI_AMQP_NAME_SIZE];
    arguments a = { .count = 0 };
    fp_status rc;

    make_name(link->s, "dead", "", name);
    add_number(&a, "x-max-length", DEAD_LENGTH_MAX);
    rc = declare_exchange(link, name, "fanout", err);
    if (rc == FILEPROC_OK)
        rc = declare_queue(link, name, &a, err);
    return rc < 0 ? rc : bind_queue(link, name, name, "", err);
}

/* A fanout, so that the routing key stays free for the topic, which is where the message goes when its time is over. */
static fp_status declare_delay(fpi_amqp_link *link, unsigned rung, fp_error *err)
{
    char name[FPI_AMQP_NAME_SIZE], topics[FPI_AMQP_NAME_SIZE];
    arguments a = { .count = 0 };
    fp_status rc;

    fpi_amqp_delay_name(link->s, rung, name);
    fpi_amqp_topics_name(link->s, topics);
    add_number(&a, "x-message-ttl", delays[rung].ms);
    add_number(&a, "x-max-length", TOPIC_LENGTH_MAX);
    add_text(&a, "x-dead-letter-exchange", topics);
    rc = declare_exchange(link, name, "fanout", err);
    if (rc == FILEPROC_OK)
        rc = declare_queue(link, name, &a, err);
    return rc < 0 ? rc : bind_queue(link, name, name, "", err);
}

static fp_status declare_shared(fpi_amqp_link *link, fp_error *err)
{
    char topics[FPI_AMQP_NAME_SIZE];
    fp_status rc;

    if (link->declared == link->opened)
        return FILEPROC_OK;
    fpi_amqp_topics_name(link->s, topics);
    rc = declare_exchange(link, topics, "direct", err);
    if (rc == FILEPROC_OK)
        rc = declare_dead(link, err);
    for (unsigned i = 0; rc == FILEPROC_OK && i < FPI_AMQP_DELAYS; i++)
        rc = declare_delay(link, i, err);
    if (rc == FILEPROC_OK)
        link->declared = link->opened;
    return rc;
}

fp_status fpi_amqp_declare_topic(fpi_amqp_link *link, const char *topic, fp_error *err)
{
    char name[FPI_AMQP_NAME_SIZE], topics[FPI_AMQP_NAME_SIZE], dead[FPI_AMQP_NAME_SIZE];
    arguments a = { .count = 0 };
    fp_status rc = declare_shared(link, err);

    if (rc < 0)
        return rc;
    fpi_amqp_queue_name(link->s, topic, name);
    fpi_amqp_topics_name(link->s, topics);
    make_name(link->s, "dead", "", dead);
    add_number(&a, "x-max-length", TOPIC_LENGTH_MAX);
    add_number(&a, "x-delivery-limit", DELIVERY_LIMIT);
    add_text(&a, "x-dead-letter-exchange", dead);
    rc = declare_queue(link, name, &a, err);
    return rc < 0 ? rc : bind_queue(link, name, topics, topic, err);
}

fp_status fpi_amqp_declare_events(fpi_amqp_link *link, fp_error *err)
{
    char name[FPI_AMQP_NAME_SIZE];

    fpi_amqp_events_name(link->s, name);
    return declare_exchange(link, name, "topic", err);
}
