/* Owns: one connection to a broker: its states, the one thread at a time that reads from it, those that wait for what it brings.
 * Must not know: what the frames mean (queue_amqp_publisher.c, queue_amqp_consumer.c). */
#ifndef FPI_QUEUE_AMQP_LINK_H
#define FPI_QUEUE_AMQP_LINK_H

#include <pthread.h>
#include <stdbool.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "queue/queue_amqp_settings.h"

/** The only states there are, in the order in which they follow each other. */
typedef enum fpi_amqp_state {
    FPI_AMQP_DISCONNECTED, /* until retry_at_ms */
    FPI_AMQP_CONNECTING,   /* one thread is at it, without the lock */
    FPI_AMQP_OPEN,
    FPI_AMQP_CLOSING /* it has failed; whoever reads still has to let go of it */
} fpi_amqp_state;

/** The channel on which things are declared. When the broker refuses, it closes the channel: so it carries nothing else. */
#define FPI_AMQP_CONTROL_CHANNEL 1
/** The first of the owner's. */
#define FPI_AMQP_OWNER_CHANNEL 2

/** A thread that waits for something that a frame brings; lives on its stack. */
typedef struct fpi_amqp_waiter {
    struct fpi_amqp_waiter *next;
    pthread_cond_t wake;
    bool called;
} fpi_amqp_waiter;

/** What the owner of a link does. All but opened() are called with the lock. */
typedef struct fpi_amqp_link_events {
    /** Prepares a fresh connection that nobody else sees yet, without the lock. */
    fp_status (*opened)(void *owner, amqp_connection_state_t conn, fp_error *err);
    /** A frame of a channel but 0. May call fpi_amqp_link_fail(). */
    void (*frame)(void *owner, const amqp_frame_t *frame);
    /** The connection is gone, with all that was under way on it. */
    void (*lost)(void *owner);
} fpi_amqp_link_events;

typedef struct fpi_amqp_link {
    fp_context *ctx;
    const fpi_amqp_settings *s;
    const fpi_amqp_link_events *events;
    void *owner;
    const char *name;     /* in the log and in the broker's list of connections */
    int kick_fd;          /* ends the reader's poll() */
    pthread_mutex_t lock; /* guards what follows */
    fpi_amqp_state state;
    amqp_connection_state_t conn; /* while open or closing */
    int poll_fd;  /* a duplicate of its socket, so that rabbitmq-c may close its own at any time */
    bool blocked; /* the broker is short of memory or disk and takes nothing */
    bool draining;
    bool reading;
    fpi_amqp_waiter *reader; /* who is in poll(), without the lock */
    fpi_amqp_waiter *waiters;
    uint64_t opened;      /* how often */
    uint64_t declared;    /* the connection, by `opened`, that has declared what all topics share */
    int64_t opened_at_ms; /* monotonic, like retry_at_ms */
    int64_t retry_at_ms;
    uint32_t failures; /* in a row */
    fp_error why;      /* it is not open */
} fpi_amqp_link;

fp_status fpi_amqp_link_init(fpi_amqp_link *link, fp_context *ctx, const fpi_amqp_settings *s,
                             const fpi_amqp_link_events *events, void *owner, const char *name,
                             fp_error *err);
/** Closes in order when it can, within a second. Nobody may wait. */
void fpi_amqp_link_dispose(fpi_amqp_link *link);

/* ---- with the lock ---- */

/** Tries once, unless it is open, another thread is at it, or it is too early; the lock is let go meanwhile. Answers
 *  whether it is open now, with fpi_amqp_link_away() when not. */
fp_status fpi_amqp_link_connect(fpi_amqp_link *link, fp_error *err);

/** When the next attempt may be made has come, and nobody is at it. */
bool fpi_amqp_link_is_due(const fpi_amqp_link *link);

/** BUSY, or what is wrong with our credentials. */
fp_status fpi_amqp_link_away(const fpi_amqp_link *link, fp_error *err);

/** One round of waiting: until a frame came, the state changed, w was called, or the monotonic time until_ms. The caller looks
 *  after each round whether it has what it waits for. */
void fpi_amqp_link_wait(fpi_amqp_link *link, fpi_amqp_waiter *w, int64_t until_ms);
void fpi_amqp_link_add_waiter(fpi_amqp_link *link, fpi_amqp_waiter *w);
/** Hands the reading over to another waiter when need be. */
void fpi_amqp_link_remove_waiter(fpi_amqp_link *link, fpi_amqp_waiter *w);
void fpi_amqp_link_call(fpi_amqp_link *link, fpi_amqp_waiter *w);
void fpi_amqp_link_call_all(fpi_amqp_link *link);

/** Takes what has come already, and serves the heartbeat. Nothing when another thread reads: it does the same. */
void fpi_amqp_link_drain(fpi_amqp_link *link);

/** Gives the connection up. why is copied. */
void fpi_amqp_link_fail(fpi_amqp_link *link, const fp_error *why);

/** To be called after each use of the connection; result is rabbitmq-c's. Gives the connection up when it failed. */
fp_status fpi_amqp_link_sent(fpi_amqp_link *link, int result, fp_error *err);

/** The same after a call that waited for the broker's answer. *closed is set when the broker closed the channel instead. */
fp_status fpi_amqp_link_answered(fpi_amqp_link *link, amqp_channel_t channel, const char *what,
                                 bool *closed, fp_error *err);

/** Whether a write would not wait for the broker. */
bool fpi_amqp_link_is_writable(const fpi_amqp_link *link);

/* ---- for owners ---- */

/** An error from rabbitmq-c's answer; what says what was tried. */
fp_status fpi_amqp_error_reply(amqp_rpc_reply_t reply, const char *what, fp_error *err);
/** An error from what the broker said when it closed a channel or the connection. */
fp_status fpi_amqp_error_closed(uint16_t code, amqp_bytes_t text, const char *what, fp_error *err);

static inline amqp_bytes_t fpi_amqp_text(const char *text)
{
    return amqp_cstring_bytes(text);
}

#endif
