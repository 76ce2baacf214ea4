/* Owns: a queue on a test broker, behind a proxy when wanted, and a second connection to do things behind its back.
 * Must not know: what is tested. */
#ifndef TESTS_BROKER_WORLD_H
#define TESTS_BROKER_WORLD_H

#include <stdatomic.h>

#include <amqp.h>

#include <fileproc/queue.h>

#include "flow_proxy.h"
#include "queue/queue_amqp_settings.h"

typedef struct broker_world {
    fp_context *ctx;
    fp_queue *q;
    flow_proxy *proxy;
    fpi_amqp_settings settings; /* past the proxy */
    amqp_connection_state_t admin;
    atomic_int opened; /* connections that the driver made */
    char uri[600];     /* of q, with names of its own */
} broker_world;

/* The broker that script/test has started; NULL when there is none. */
const char *broker_uri(void);

/* parameters: more for the URI, "&heartbeat=1"; "" for none. broker: NULL for broker_uri(). */
void broker_world_open(broker_world *w, const char *broker, bool proxied, const char *parameters);
void broker_world_close(broker_world *w);
/* Another handle on the same names. */
fp_queue *broker_world_another(broker_world *w);

/* The full name: "topic.x". */
const char *broker_name(const broker_world *w, const char *what, char name[256]);
void broker_delete_queue(broker_world *w, const char *what);
/* Messages in a queue that no consumer holds; -1 when there is no such queue. */
int broker_depth(broker_world *w, const char *what);

/* Deletes what a queue with that URI has declared, so that the broker does not fill up. It must be closed. */
void broker_forget(fp_context *ctx, const char *uri);

int64_t monotonic_ms(void);
void pause_for_ms(long ms);

#endif
