/* Owns: sending to a broker so that one knows what arrived: publisher confirms, returned messages.
 * Must not know: receiving. It has a connection of its own: a broker that is short of memory stops reading from those who publish. */
#include "queue/queue_amqp_publisher.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/queue_amqp_topology.h"

#define CHANNEL FPI_AMQP_OWNER_CHANNEL
/* A connection on which the broker says nothing for so long is given up. */
#define CONFIRM_TIMEOUT_MS 5000
#define PERSISTENT 2

/* Letters that one caller waits for. */
typedef struct fpi_amqp_batch {
    fpi_amqp_waiter waiter;
    size_t left;
} fpi_amqp_batch;

typedef struct fpi_amqp_known_topic {
    struct fpi_amqp_known_topic *next;
    uint64_t declared;  /* the connection, by link.opened, that has */
    int64_t deleted_ms; /* monotonic: when it was found to be gone */
    char name[];
} fpi_amqp_known_topic;

/* ---- fates ---- */

static void settle_letter(fpi_amqp_publisher *p, fpi_amqp_letter **at, fpi_amqp_fate fate)
{
    fpi_amqp_letter *l = *at;

    *at = l->next;
    if (!l->next)
        p->last = at;
    l->fate = fate == FPI_AMQP_CONFIRMED && l->returned ? FPI_AMQP_RETURNED : fate;
    if (--l->batch->left == 0)
        fpi_amqp_link_call(&p->link, &l->batch->waiter);
}

static void settle_tag(fpi_amqp_publisher *p, uint64_t tag, bool multiple, fpi_amqp_fate fate)
{
    fpi_amqp_letter **at = &p->first;

    while (*at && (*at)->tag <= tag) {
        if (multiple || (*at)->tag == tag)
            settle_letter(p, at, fate);
        else
            at = &(*at)->next;
    }
}

static void lost(void *owner)
{
    fpi_amqp_publisher *p = owner;

    while (p->first)
        settle_letter(p, &p->first, FPI_AMQP_LOST);
    p->tag = 0;
    p->in_return = false;
}

/* The return of a message comes before its confirm, and says which it was by the id that we gave it. */
static void take_returned(fpi_amqp_publisher *p, const amqp_basic_properties_t *properties)
{
    char text[24] = "";
    uint64_t tag;

    if (!(properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) ||
        properties->message_id.len >= sizeof(text))
        return;
    memcpy(text, properties->message_id.bytes, properties->message_id.len);
    tag = strtoull(text, NULL, 10);
    for (fpi_amqp_letter *l = p->first; l && l->tag <= tag; l = l->next)
        if (l->tag == tag && l->mandatory)
            l->returned = true;
}

static void take_content(fpi_amqp_publisher *p, const amqp_frame_t *frame)
{
    if (!p->in_return)
        return;
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        take_returned(p, frame->payload.properties.decoded);
        p->return_left = frame->payload.properties.body_size;
    } else if (frame->payload.body_fragment.len < p->return_left) {
        p->return_left -= frame->payload.body_fragment.len;
    } else {
        p->return_left = 0;
    }
    p->in_return = p->return_left > 0;
}

/* Nothing that was sent on it will be confirmed, so that it is as good as the whole connection's end. */
static void channel_closed(fpi_amqp_publisher *p, const amqp_channel_close_t *m)
{
    fp_error why = { 0 };

    (void)fpi_amqp_error_closed(m->reply_code, m->reply_text, "the broker closed the channel",
                                &why);
    why.code = FILEPROC_ERR_BUSY;
    fpi_amqp_link_fail(&p->link, &why);
}

static void take_frame(void *owner, const amqp_frame_t *frame)
{
    fpi_amqp_publisher *p = owner;
    const void *m = frame->payload.method.decoded;

    if (frame->frame_type != AMQP_FRAME_METHOD) {
        take_content(p, frame);
        return;
    }
    switch (frame->payload.method.id) {
    case AMQP_BASIC_ACK_METHOD:
        settle_tag(p, ((const amqp_basic_ack_t *)m)->delivery_tag,
                   ((const amqp_basic_ack_t *)m)->multiple, FPI_AMQP_CONFIRMED);
        break;
    case AMQP_BASIC_NACK_METHOD:
        settle_tag(p, ((const amqp_basic_nack_t *)m)->delivery_tag,
                   ((const amqp_basic_nack_t *)m)->multiple, FPI_AMQP_REFUSED);
        break;
    case AMQP_BASIC_RETURN_METHOD:
        p->in_return = true;
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        channel_closed(p, m);
        break;
    default:
        break;
    }
}

static fp_status opened(void *owner, amqp_connection_state_t conn, fp_error *err)
{
    fp_status rc;

    (void)owner;
    (void)amqp_channel_open(conn, CHANNEL);
    rc = fpi_amqp_error_reply(amqp_get_rpc_reply(conn), "opening a channel", err);
    if (rc < 0)
        return rc;
    (void)amqp_confirm_select(conn, CHANNEL);
    return fpi_amqp_error_reply(amqp_get_rpc_reply(conn), "asking for confirms", err);
}

/* ---- the handle ---- */

fp_status fpi_amqp_publisher_init(fpi_amqp_publisher *p, fp_context *ctx,
                                  const fpi_amqp_settings *s, fp_error *err)
{
    static const fpi_amqp_link_events events = { opened, take_frame, lost };

    *p = (fpi_amqp_publisher){ .last = &p->first };
    return fpi_amqp_link_init(&p->link, ctx, s, &events, p, "fileproc publisher", err);
}

void fpi_amqp_publisher_dispose(fpi_amqp_publisher *p)
{
    fpi_amqp_known_topic *t;

    if (!p->link.ctx)
        return;
    fpi_amqp_link_dispose(&p->link);
    while ((t = p->topics) != NULL) {
        p->topics = t->next;
        fpi_free(&p->link.ctx->a, t);
    }
}

/* An idle connection may have been closed long ago, by a broker that restarted or heard no heartbeat: looking before writing
 * finds that out, so that it is no failure. */
static fp_status get_ready(fpi_amqp_publisher *p, fp_error *err)
{
    fp_status rc = fpi_amqp_link_connect(&p->link, err);

    if (rc < 0)
        return rc;
    fpi_amqp_link_drain(&p->link);
    return p->link.state == FPI_AMQP_OPEN ? FILEPROC_OK : fpi_amqp_link_connect(&p->link, err);
}

fp_status fpi_amqp_publisher_connect(fpi_amqp_publisher *p, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&p->link.lock);
    rc = get_ready(p, err);
    pthread_mutex_unlock(&p->link.lock);
    return rc;
}

/* Asking for confirms once more changes nothing. */
fp_status fpi_amqp_publisher_ping(fpi_amqp_publisher *p, fp_error *err)
{
    bool closed = false;
    fp_status rc;

    pthread_mutex_lock(&p->link.lock);
    rc = get_ready(p, err);
    if (rc == FILEPROC_OK && p->link.blocked)
        rc = fp_error_setf(err, FILEPROC_ERR_BUSY, "the broker is short of memory or disk");
    if (rc == FILEPROC_OK) {
        (void)amqp_confirm_select(p->link.conn, CHANNEL);
        rc = fpi_amqp_link_answered(&p->link, CHANNEL, "asking the broker", &closed, err);
    }
    pthread_mutex_unlock(&p->link.lock);
    return rc;
}

/* ---- sending ---- */

static fpi_amqp_known_topic *know_topic(fpi_amqp_publisher *p, const char *topic)
{
    const fp_allocator *a = &p->link.ctx->a;
    fpi_amqp_known_topic *t = p->topics;
    size_t size = strlen(topic) + 1;

    while (t && strcmp(t->name, topic) != 0)
        t = t->next;
    if (t)
        return t;
    t = fpi_calloc(a, 1, sizeof(*t) + size);
    if (!t)
        return NULL;
    memcpy(t->name, topic, size);
    t->deleted_ms = INT64_MIN / 2;
    t->next = p->topics;
    p->topics = t;
    return t;
}

static fp_status declare(fpi_amqp_publisher *p, fpi_amqp_known_topic *t, fp_error *err)
{
    uint64_t *declared = t ? &t->declared : &p->events_declared;
    fp_status rc = FILEPROC_OK;

    if (*declared == p->link.opened)
        return rc;
    if (t && fpi_monotonic_ms() - t->deleted_ms < FPI_AMQP_DELETED_PAUSE_MS)
        return fp_error_setf(err, FILEPROC_ERR_BUSY,
                             "the queue was deleted; it is made again in a moment");
    rc =
        t ? fpi_amqp_declare_topic(&p->link, t->name, err) : fpi_amqp_declare_events(&p->link, err);
    if (rc == FILEPROC_OK)
        *declared = p->link.opened;
    return rc;
}

static fp_status may_write(const fpi_amqp_publisher *p, fp_error *err)
{
    if (p->link.blocked)
        return fp_error_setf(err, FILEPROC_ERR_BUSY, "the broker is short of memory or disk");
    if (!fpi_amqp_link_is_writable(&p->link))
        return fp_error_setf(err, FILEPROC_ERR_BUSY, "the broker does not read what it is sent");
    return FILEPROC_OK;
}

static fp_status write_letter(fpi_amqp_publisher *p, const fpi_amqp_letter *l, fp_error *err)
{
    amqp_table_entry_t delays = { .key = fpi_amqp_text(FPI_AMQP_DELAYS_HEADER) };
    amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                     AMQP_BASIC_MESSAGE_ID_FLAG,
                                           .delivery_mode = PERSISTENT };
    char number[24];

    snprintf(number, sizeof(number), "%" PRIu64, l->tag);
    properties.message_id = fpi_amqp_text(l->id ? l->id : number);
    if (l->content_type) {
        properties._flags |= AMQP_BASIC_CONTENT_TYPE_FLAG;
        properties.content_type = fpi_amqp_text(l->content_type);
    }
    if (l->delays) {
        delays.value.kind = AMQP_FIELD_KIND_I32;
        delays.value.value.i32 = l->delays;
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = (amqp_table_t){ 1, &delays };
    }
    return fpi_amqp_link_sent(&p->link,
                              amqp_basic_publish(p->link.conn, CHANNEL, fpi_amqp_text(l->exchange),
                                                 fpi_amqp_text(l->key), l->mandatory, 0,
                                                 &properties,
                                                 (amqp_bytes_t){ l->size, (void *)l->body }),
                              err);
}

static fp_status post(fpi_amqp_publisher *p, fpi_amqp_batch *batch, fpi_amqp_letter *l,
                      fp_error *err)
{
    l->tag = ++p->tag;
    l->next = NULL;
    l->batch = batch;
    l->returned = false;
    l->fate = FPI_AMQP_WAITING;
    *p->last = l;
    p->last = &l->next;
    batch->left++;
    return write_letter(p, l, err);
}

static void await_fates(fpi_amqp_publisher *p, fpi_amqp_batch *batch)
{
    int64_t end = fpi_monotonic_ms() + CONFIRM_TIMEOUT_MS;
    fp_error why = { 0 };

    while (batch->left && fpi_monotonic_ms() < end)
        fpi_amqp_link_wait(&p->link, &batch->waiter, end);
    if (!batch->left)
        return;
    (void)fp_error_setf(&why, FILEPROC_ERR_BUSY, "the broker confirmed nothing within %d s",
                        CONFIRM_TIMEOUT_MS / 1000);
    fpi_amqp_link_fail(&p->link, &why);
}

static fp_status judge(fpi_amqp_publisher *p, fpi_amqp_known_topic *t,
                       const fpi_amqp_letter *letters, size_t count, fp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        switch (letters[i].fate) {
        case FPI_AMQP_CONFIRMED:
            continue;
        case FPI_AMQP_RETURNED: /* somebody deleted the queue: one of the next makes it again */
            if (t) {
                t->declared = 0;
                t->deleted_ms = fpi_monotonic_ms();
            }
            return fp_error_setf(err, FILEPROC_ERR_BUSY, "no queue takes the message");
        case FPI_AMQP_REFUSED:
            return fp_error_setf(err, FILEPROC_ERR_BUSY, "the broker refused the message");
        case FPI_AMQP_LOST:
        case FPI_AMQP_WAITING:
        default:
            return fpi_amqp_link_away(&p->link, err);
        }
    }
    return FILEPROC_OK;
}

static fp_status publish(fpi_amqp_publisher *p, fpi_amqp_known_topic *t, fpi_amqp_letter *letters,
                         size_t count, fp_error *err)
{
    fpi_amqp_batch batch = { .left = 0 };
    fp_status rc = get_ready(p, err);

    if (rc == FILEPROC_OK)
        rc = declare(p, t, err);
    if (rc == FILEPROC_OK)
        rc = may_write(p, err);
    if (rc < 0)
        return rc;
    fpi_amqp_link_add_waiter(&p->link, &batch.waiter);
    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++)
        rc = post(p, &batch, &letters[i], err);
    await_fates(p, &batch);
    fpi_amqp_link_remove_waiter(&p->link, &batch.waiter);
    return rc < 0 ? rc : judge(p, t, letters, count, err);
}

fp_status fpi_amqp_publish(fpi_amqp_publisher *p, const char *topic, fpi_amqp_letter *letters,
                           size_t count, fp_error *err)
{
    fpi_amqp_known_topic *t = NULL;
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        letters[i].fate = FPI_AMQP_LOST;
    pthread_mutex_lock(&p->link.lock);
    if (topic)
        t = know_topic(p, topic);
    rc = topic && !t ? fpi_no_memory(err) : publish(p, t, letters, count, err);
    pthread_mutex_unlock(&p->link.lock);
    return rc;
}
