/* Owns: receiving from a broker: one subscription per topic, messages handed to whoever waits in this process.
 * Must not know: sending.
 *
 * Each topic has a channel of its own, so that what closes one leaves the others alone. The first receiver of a topic subscribes;
 * the subscription stays until the end, and is renewed by whoever waits when the connection or the queue went away. */
#include "queue/queue_amqp_consumer.h"

#include <stdio.h>
#include <string.h>

#include "queue/queue_amqp_publisher.h"
#include "queue/queue_amqp_topology.h"

#define TOPICS_MAX 1000u
#define DELIVERY_COUNT_HEADER "x-delivery-count"
/* A subscription that brings nothing for so long is made anew when nothing of it is in anybody's hands: brokers have been seen to lose
 * one without a word (FPI_AMQP_DELETED_PAUSE_MS). */
#define SILENCE_MS 60000

struct fpi_amqp_topic {
    fpi_amqp_topic *next;
    amqp_channel_t channel;
    bool channel_open;
    bool subscribed;
    uint64_t
        subscription; /* how many there were; messages of an earlier one are not ours any more */
    fpi_amqp_message *first, **last; /* that nobody has taken yet */
    int64_t subscribe_at_ms;         /* monotonic: not before */
    int64_t heard_ms;                /* monotonic: the last delivery, or the subscription */
    unsigned taken;                  /* of this subscription, neither acknowledged nor given back */
    bool in_delivery;                /* between basic.deliver and the end of what it brings */
    uint64_t tag;                    /* of that */
    uint64_t deliver_left;
    fpi_amqp_message *coming; /* NULL when it is not wanted */
    char name[];
};

/* One thread in fpi_amqp_consumer_receive(). The link's waiter must stand first: it is what frames find. */
typedef struct receiver {
    fpi_amqp_waiter waiter;
    const fpi_amqp_topic *topic;
} receiver;

/* ---- messages ---- */

void fpi_amqp_message_free(fpi_amqp_message *m)
{
    if (m)
        fpi_free(m->a, m);
}

const char *fpi_amqp_message_topic(const fpi_amqp_message *m)
{
    return m->topic->name;
}

static fpi_amqp_message *next_message(fpi_amqp_topic *t)
{
    fpi_amqp_message *m = t->first;

    if (!m)
        return NULL;
    t->first = m->next;
    if (!t->first)
        t->last = &t->first;
    m->next = NULL;
    return m;
}

static fpi_amqp_message *take(fpi_amqp_topic *t)
{
    fpi_amqp_message *m = next_message(t);

    t->taken += m != NULL;
    return m;
}

/* The broker has these given to somebody else. */
static void forget_messages(fpi_amqp_topic *t)
{
    fpi_amqp_message *m;

    while ((m = next_message(t)) != NULL)
        fpi_amqp_message_free(m);
    fpi_amqp_message_free(fpi_steal(&t->coming));
    t->in_delivery = false;
}

static void unsubscribed(fpi_amqp_topic *t)
{
    t->subscribed = false;
    t->subscription++;
    t->taken = 0;
    forget_messages(t);
}

static void lost(void *owner)
{
    fpi_amqp_consumer *c = owner;

    for (fpi_amqp_topic *t = c->topics; t; t = t->next) {
        unsubscribed(t);
        t->channel_open = false;
    }
}

/* ---- frames ---- */

static void call_receiver(fpi_amqp_consumer *c, const fpi_amqp_topic *t, bool all)
{
    for (fpi_amqp_waiter *w = c->link.waiters; w; w = w->next) {
        if (((const receiver *)w)->topic != t || (w->called && !all))
            continue;
        fpi_amqp_link_call(&c->link, w);
        if (!all)
            return;
    }
}

static int64_t number_of(const amqp_field_value_t *v)
{
    switch (v->kind) {
    case AMQP_FIELD_KIND_I8:
        return v->value.i8;
    case AMQP_FIELD_KIND_I16:
        return v->value.i16;
    case AMQP_FIELD_KIND_I32:
        return v->value.i32;
    case AMQP_FIELD_KIND_I64:
        return v->value.i64;
    case AMQP_FIELD_KIND_U8:
        return v->value.u8;
    case AMQP_FIELD_KIND_U16:
        return v->value.u16;
    case AMQP_FIELD_KIND_U32:
        return v->value.u32;
    default:
        return 0;
    }
}

/* 0 when there is none, or nothing sensible. */
static int32_t header(const amqp_basic_properties_t *p, const char *name)
{
    int64_t value = 0;

    if (!(p->_flags & AMQP_BASIC_HEADERS_FLAG))
        return 0;
    for (int i = 0; i < p->headers.num_entries; i++) {
        const amqp_table_entry_t *e = &p->headers.entries[i];

        if (e->key.len == strlen(name) && memcmp(e->key.bytes, name, e->key.len) == 0)
            value = number_of(&e->value);
    }
    return value < 0 ? 0 : value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

/* A stranger's message that is too large goes to the dead ones. */
static void refuse(fpi_amqp_consumer *c, const fpi_amqp_topic *t)
{
    (void)fpi_amqp_link_sent(&c->link, amqp_basic_nack(c->link.conn, t->channel, t->tag, 0, 0),
                             NULL);
}

/* Giving one message back would only bring it again at once. So all go back, with the connection, for a while. */
static void out_of_memory(fpi_amqp_consumer *c)
{
    fp_error why = { 0 };

    (void)fpi_no_memory(&why);
    fpi_amqp_link_fail(&c->link, &why);
}

static void delivered(fpi_amqp_consumer *c, fpi_amqp_topic *t)
{
    fpi_amqp_message *m = fpi_steal(&t->coming);

    t->in_delivery = false;
    t->heard_ms = fpi_monotonic_ms();
    if (!m)
        return;
    *t->last = m;
    t->last = &m->next;
    call_receiver(c, t, false);
}

static void begin_content(fpi_amqp_consumer *c, fpi_amqp_topic *t, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
    uint64_t size = frame->payload.properties.body_size;
    fpi_amqp_message *m = NULL;

    t->deliver_left = size;
    if (size > FILEPROC_QUEUE_BODY_MAX) {
        refuse(c, t);
        return;
    }
    m = fpi_calloc(&c->link.ctx->a, 1, sizeof(*m) + (size_t)size + 1);
    if (!m) {
        out_of_memory(c);
        return;
    }
    m->a = &c->link.ctx->a;
    m->topic = t;
    m->subscription = t->subscription;
    m->tag = t->tag;
    m->size = (size_t)size;
    m->deliveries = (uint64_t)header(properties, DELIVERY_COUNT_HEADER);
    m->delays = header(properties, FPI_AMQP_DELAYS_HEADER);
    t->coming = m;
}

static void add_content(fpi_amqp_topic *t, amqp_bytes_t bytes)
{
    fpi_amqp_message *m = t->coming;
    size_t size = bytes.len < t->deliver_left ? bytes.len : (size_t)t->deliver_left;

    if (m) {
        memcpy(m->body + m->filled, bytes.bytes, size);
        m->filled += size;
    }
    t->deliver_left -= size;
}

static void take_content(fpi_amqp_consumer *c, fpi_amqp_topic *t, const amqp_frame_t *frame)
{
    if (!t->in_delivery)
        return;
    if (frame->frame_type == AMQP_FRAME_HEADER)
        begin_content(c, t, frame);
    else
        add_content(t, frame->payload.body_fragment);
    if (t->in_delivery && t->deliver_left == 0)
        delivered(c, t);
}

/* Receivers wake and subscribe anew. */
static void subscription_ended(fpi_amqp_consumer *c, fpi_amqp_topic *t)
{
    unsubscribed(t);
    call_receiver(c, t, true);
}

static void channel_closed(fpi_amqp_consumer *c, fpi_amqp_topic *t, const amqp_channel_close_t *m)
{
    amqp_channel_close_ok_t close_ok = { 0 };
    fp_error why = { 0 };

    (void)fpi_amqp_error_closed(m->reply_code, m->reply_text, "the broker closed the channel",
                                &why);
    fpi_log(c->link.ctx, FILEPROC_LOG_DEBUG, "amqp", "topic %s: %s", t->name, why.message);
    t->channel_open = false;
    subscription_ended(c, t);
    (void)fpi_amqp_link_sent(
        &c->link,
        amqp_send_method(c->link.conn, t->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok), NULL);
}

static void take_frame(void *owner, const amqp_frame_t *frame)
{
    fpi_amqp_consumer *c = owner;
    fpi_amqp_topic *t = c->topics;

    while (t && t->channel != frame->channel)
        t = t->next;
    if (!t)
        return;
    if (frame->frame_type != AMQP_FRAME_METHOD) {
        take_content(c, t, frame);
        return;
    }
    switch (frame->payload.method.id) {
    case AMQP_BASIC_DELIVER_METHOD:
        t->in_delivery = t->subscribed;
        t->tag = ((const amqp_basic_deliver_t *)frame->payload.method.decoded)->delivery_tag;
        break;
    case AMQP_BASIC_CANCEL_METHOD: /* somebody deleted the queue */
        t->subscribe_at_ms = fpi_monotonic_ms() + FPI_AMQP_DELETED_PAUSE_MS;
        subscription_ended(c, t);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        channel_closed(c, t, frame->payload.method.decoded);
        break;
    default:
        break;
    }
}

static fp_status opened(void *owner, amqp_connection_state_t conn, fp_error *err)
{
    (void)owner, (void)conn, (void)err;
    return FILEPROC_OK;
}

/* ---- the handle ---- */

fp_status fpi_amqp_consumer_init(fpi_amqp_consumer *c, fp_context *ctx, const fpi_amqp_settings *s,
                                 fp_error *err)
{
    static const fpi_amqp_link_events events = { opened, take_frame, lost };

    *c = (fpi_amqp_consumer){ .topics = NULL };
    atomic_init(&c->woken, false);
    return fpi_amqp_link_init(&c->link, ctx, s, &events, c, "fileproc consumer", err);
}

void fpi_amqp_consumer_dispose(fpi_amqp_consumer *c)
{
    fpi_amqp_topic *t;

    if (!c->link.ctx)
        return;
    fpi_amqp_link_dispose(&c->link);
    while ((t = c->topics) != NULL) {
        c->topics = t->next;
        forget_messages(t);
        fpi_free(&c->link.ctx->a, t);
    }
}

static fp_status find_topic(fpi_amqp_consumer *c, const char *name, fpi_amqp_topic **out,
                            fp_error *err)
{
    size_t size = strlen(name) + 1;
    fpi_amqp_topic *t = c->topics;

    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    if (!t) {
        if (c->topic_count == TOPICS_MAX)
            return fp_error_setf(err, FILEPROC_ERR_QUOTA, "one queue serves %u topics at most",
                                 TOPICS_MAX);
        t = fpi_calloc(&c->link.ctx->a, 1, sizeof(*t) + size);
        if (!t)
            return fpi_no_memory(err);
        memcpy(t->name, name, size);
        t->last = &t->first;
        t->channel = (amqp_channel_t)(FPI_AMQP_OWNER_CHANNEL + c->topic_count++);
        t->next = c->topics;
        c->topics = t;
    }
    *out = t;
    return FILEPROC_OK;
}

/* ---- subscribing ---- */

static fp_status answered(fpi_amqp_consumer *c, fpi_amqp_topic *t, const char *what, fp_error *err)
{
    bool closed = false;
    fp_status rc = fpi_amqp_link_answered(&c->link, t->channel, what, &closed, err);

    if (closed)
        t->channel_open = false;
    return rc;
}

static fp_status open_channel(fpi_amqp_consumer *c, fpi_amqp_topic *t, fp_error *err)
{
    fp_status rc;

    if (t->channel_open)
        return FILEPROC_OK;
    (void)amqp_channel_open(c->link.conn, t->channel);
    rc = answered(c, t, "opening a channel", err);
    if (rc < 0)
        return rc;
    t->channel_open = true;
    (void)amqp_basic_qos(c->link.conn, t->channel, 0, (uint16_t)c->link.s->prefetch, 0);
    return answered(c, t, "setting the prefetch", err);
}

static fp_status not_listening(const fpi_amqp_consumer *c, fp_error *err)
{
    if (c->link.state != FPI_AMQP_OPEN)
        return fpi_amqp_link_away(&c->link, err);
    return fp_error_setf(err, FILEPROC_ERR_BUSY,
                         "the queue was deleted; it is made again in a moment");
}

/* The first deliveries may come with the broker's answer, so the subscription counts before it is asked for. */
static fp_status subscribe(fpi_amqp_consumer *c, fpi_amqp_topic *t, fp_error *err)
{
    char queue[FPI_AMQP_NAME_SIZE];
    fp_status rc;

    if (t->subscribed)
        return FILEPROC_OK;
    if (fpi_monotonic_ms() < t->subscribe_at_ms)
        return not_listening(c, err);
    rc = fpi_amqp_declare_topic(&c->link, t->name, err);
    if (rc == FILEPROC_OK)
        rc = open_channel(c, t, err);
    if (rc < 0)
        return rc;
    fpi_amqp_queue_name(c->link.s, t->name, queue);
    t->subscribed = true;
    (void)amqp_basic_consume(c->link.conn, t->channel, fpi_amqp_text(queue), amqp_empty_bytes, 0, 0,
                             0, amqp_empty_table);
    rc = answered(c, t, "subscribing", err);
    t->heard_ms = fpi_monotonic_ms();
    if (rc < 0)
        unsubscribed(t);
    else
        fpi_log(c->link.ctx, FILEPROC_LOG_DEBUG, "amqp", "topic %s: subscribed", t->name);
    return rc;
}

/* Closing the channel brings back what the broker may believe to have given us. */
static void renew(fpi_amqp_consumer *c, fpi_amqp_topic *t)
{
    amqp_rpc_reply_t reply;
    fp_error why = { 0 };

    if (!t->subscribed || c->link.state != FPI_AMQP_OPEN || t->first || t->taken ||
        t->in_delivery || fpi_monotonic_ms() - t->heard_ms < SILENCE_MS)
        return;
    unsubscribed(t);
    t->channel_open = false;
    reply = amqp_channel_close(c->link.conn, t->channel, AMQP_REPLY_SUCCESS);
    if (fpi_amqp_error_reply(reply, "closing a channel", &why) < 0)
        fpi_amqp_link_fail(&c->link, &why);
}

/* ---- receiving ---- */

/* Trouble with the connection is waited out; what the broker has against the topic is the caller's to hear. */
static fp_status try_subscribe(fpi_amqp_consumer *c, fpi_amqp_topic *t, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = subscribe(c, t, &e);

    if (rc == FILEPROC_OK || c->link.state != FPI_AMQP_OPEN)
        return FILEPROC_OK;
    if (err)
        *err = e;
    return rc;
}

static bool may_subscribe(const fpi_amqp_consumer *c, const fpi_amqp_topic *t)
{
    return c->link.state == FPI_AMQP_OPEN && !t->subscribed &&
           fpi_monotonic_ms() >= t->subscribe_at_ms;
}

static int64_t wait_end(const fpi_amqp_consumer *c, const fpi_amqp_topic *t, int64_t end)
{
    bool later = c->link.state == FPI_AMQP_OPEN && !t->subscribed;

    return later && t->subscribe_at_ms < end ? t->subscribe_at_ms : end;
}

static fp_status wait_for_one(fpi_amqp_consumer *c, fpi_amqp_topic *t, receiver *r, int64_t end,
                              fpi_amqp_message **out, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && !atomic_load(&c->woken) && !(*out = take(t)) &&
           fpi_monotonic_ms() < end) {
        renew(c, t);
        if (may_subscribe(c, t))
            rc = try_subscribe(c, t, err);
        else if (fpi_amqp_link_is_due(&c->link))
            (void)fpi_amqp_link_connect(&c->link, NULL);
        else
            fpi_amqp_link_wait(&c->link, &r->waiter, wait_end(c, t, end));
    }
    return rc;
}

/* A mere look never waits for a connection to be made: those who wait, send, or ask for the health do that. */
static fp_status look(fpi_amqp_consumer *c, fpi_amqp_topic *t, fpi_amqp_message **out,
                      fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (may_subscribe(c, t))
        rc = try_subscribe(c, t, err);
    fpi_amqp_link_drain(&c->link);
    if (rc == FILEPROC_OK)
        *out = take(t);
    return rc;
}

/* Not while the first connection or a subscription is being made: who waited only briefly has just heard nothing yet. */
static bool is_away(const fpi_amqp_consumer *c, const fpi_amqp_topic *t, uint32_t timeout_ms)
{
    if (t->subscribed)
        return false;
    if (c->link.state == FPI_AMQP_OPEN)
        return timeout_ms && fpi_monotonic_ms() < t->subscribe_at_ms;
    return c->link.failures || (timeout_ms && c->link.opened);
}

static fp_status receive(fpi_amqp_consumer *c, fpi_amqp_topic *t, uint32_t timeout_ms,
                         fpi_amqp_message **out, fp_error *err)
{
    receiver r = { .topic = t };
    fp_status rc;

    if (timeout_ms) {
        fpi_amqp_link_add_waiter(&c->link, &r.waiter);
        rc = wait_for_one(c, t, &r, fpi_monotonic_ms() + timeout_ms, out, err);
        fpi_amqp_link_remove_waiter(&c->link, &r.waiter);
    } else {
        rc = look(c, t, out, err);
    }
    if (rc == FILEPROC_OK && !*out && !atomic_load(&c->woken) && is_away(c, t, timeout_ms))
        rc = not_listening(c, err);
    return rc;
}

fp_status fpi_amqp_consumer_receive(fpi_amqp_consumer *c, const char *topic, uint32_t timeout_ms,
                                    fpi_amqp_message **out, fp_error *err)
{
    fpi_amqp_topic *t = NULL;
    fp_status rc;

    *out = NULL;
    if (atomic_load(&c->woken))
        return FILEPROC_OK;
    pthread_mutex_lock(&c->link.lock);
    rc = find_topic(c, topic, &t, err);
    if (t)
        rc = receive(c, t, timeout_ms, out, err);
    pthread_mutex_unlock(&c->link.lock);
    return rc;
}

void fpi_amqp_consumer_wake(fpi_amqp_consumer *c)
{
    atomic_store(&c->woken, true);
    pthread_mutex_lock(&c->link.lock);
    fpi_amqp_link_call_all(&c->link);
    pthread_mutex_unlock(&c->link.lock);
}

static bool is_ours(const fpi_amqp_consumer *c, const fpi_amqp_message *m)
{
    return c->link.state == FPI_AMQP_OPEN && m->subscription == m->topic->subscription;
}

bool fpi_amqp_consumer_owns(fpi_amqp_consumer *c, const fpi_amqp_message *m)
{
    bool ours;

    pthread_mutex_lock(&c->link.lock);
    ours = is_ours(c, m);
    pthread_mutex_unlock(&c->link.lock);
    return ours;
}

fp_status fpi_amqp_consumer_ack(fpi_amqp_consumer *c, fpi_amqp_message *m, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&c->link.lock);
    if (is_ours(c, m))
        rc = fpi_amqp_link_sent(&c->link,
                                amqp_basic_ack(c->link.conn, m->topic->channel, m->tag, 0), err);
    else
        rc = fp_error_setf(err, FILEPROC_ERR_BUSY,
                           "the connection on which the message came is gone: it comes again");
    if (rc == FILEPROC_OK)
        m->topic->taken--;
    pthread_mutex_unlock(&c->link.lock);
    m->acknowledged = rc == FILEPROC_OK;
    return rc;
}

void fpi_amqp_consumer_give_back(fpi_amqp_consumer *c, fpi_amqp_message *m, bool again)
{
    pthread_mutex_lock(&c->link.lock);
    if (is_ours(c, m)) {
        m->topic->taken--;
        (void)fpi_amqp_link_sent(
            &c->link, amqp_basic_nack(c->link.conn, m->topic->channel, m->tag, 0, again), NULL);
    }
    pthread_mutex_unlock(&c->link.lock);
}

/* One acknowledgement for all of them, unless somebody has an earlier one in hand, who will want to acknowledge it by himself. */
static size_t discard(fpi_amqp_consumer *c, fpi_amqp_topic *t, size_t most)
{
    bool together = t->taken == 0;
    uint64_t tag = 0;
    size_t count = 0;
    fpi_amqp_message *m;

    while (count < most && c->link.state == FPI_AMQP_OPEN && (m = next_message(t)) != NULL) {
        tag = m->tag;
        fpi_amqp_message_free(m);
        count++;
        if (!together)
            (void)fpi_amqp_link_sent(&c->link, amqp_basic_ack(c->link.conn, t->channel, tag, 0),
                                     NULL);
    }
    if (together && count)
        (void)fpi_amqp_link_sent(&c->link, amqp_basic_ack(c->link.conn, t->channel, tag, 1), NULL);
    return count;
}

size_t fpi_amqp_consumer_discard(fpi_amqp_consumer *c, const char *topic, size_t most)
{
    fpi_amqp_topic *t;
    size_t count = 0;

    pthread_mutex_lock(&c->link.lock);
    t = c->topics;
    while (t && strcmp(t->name, topic) != 0)
        t = t->next;
    fpi_amqp_link_drain(&c->link);
    if (t)
        count = discard(c, t, most);
    pthread_mutex_unlock(&c->link.lock);
    return count;
}

/* Without a topic there is nothing to be connected for. */
fp_status fpi_amqp_consumer_ping(fpi_amqp_consumer *c, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&c->link.lock);
    fpi_amqp_link_drain(&c->link);
    if (c->topics)
        rc = fpi_amqp_link_connect(&c->link, err);
    for (fpi_amqp_topic *t = c->topics; rc == FILEPROC_OK && t; t = t->next) {
        renew(c, t);
        rc = subscribe(c, t, err);
    }
    pthread_mutex_unlock(&c->link.lock);
    return rc;
}
