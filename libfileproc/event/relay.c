/* Owns: the relay: events from the outbox to whoever subscribed at a broker.
 * Must not know: any event, any broker. */
#include <fileproc/event.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "core/buf_private.h"
#include "core/options.h"
#include "event/cloud_event.h"
#include "event/outbox_batch.h"
#include "queue/queue_private.h"

#define DEFAULT_LEASE_MS 30000u
#define DEFAULT_BATCH 64u
#define BATCH_MAX 1000u
#define DEFAULT_POLL_INTERVAL_MS 200u
#define DEFAULT_SOURCE "/fileproc"
#define SOURCE_MAX 200u

struct fp_relay {
    fp_context *ctx;
    fp_queue *queue;
    char *source;
    uint32_t poll_interval_ms;
    fpi_outbox_batch batch;
    fp_queue_event *events; /* the batch, as it is sent */
    fp_buf text;            /* their bodies */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
};

FPI_DEFINE_CLEANUP(fp_relay, fp_relay_free)

/* A URI reference is of visible ASCII. */
static bool is_source(const char *text)
{
    size_t size = strnlen(text, SOURCE_MAX + 1);

    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size > 0 && size <= SOURCE_MAX;
}

static fp_status import_options(fp_relay_options *o, const fp_relay_options *theirs, fp_error *err)
{
    fp_status rc;

    *o = (fp_relay_options)FILEPROC_RELAY_OPTIONS_INIT;
    rc = fpi_options_import(o, sizeof(*o), theirs, err);
    if (rc < 0)
        return rc;
    if (!o->database || !o->queue)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "database and queue are required");
    if (o->reserved || o->batch > BATCH_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a batch is at most %u events, reserved 0",
                             BATCH_MAX);
    if (!o->source)
        o->source = DEFAULT_SOURCE;
    if (!is_source(o->source))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the source of events is a URI reference of 1 to %u characters",
                             SOURCE_MAX);
    if (!o->lease_ms)
        o->lease_ms = DEFAULT_LEASE_MS;
    if (!o->batch)
        o->batch = DEFAULT_BATCH;
    if (!o->poll_interval_ms)
        o->poll_interval_ms = DEFAULT_POLL_INTERVAL_MS;
    return FILEPROC_OK;
}

static void init_lock(fp_relay *r)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->stop, &attr);
    pthread_condattr_destroy(&attr);
}

static fp_status fill(fp_relay *r, const fp_relay_options *o, fp_error *err)
{
    const fp_allocator *a = &r->ctx->a;
    fp_status rc;

    r->queue = o->queue;
    r->poll_interval_ms = o->poll_interval_ms;
    r->batch.ctx = r->ctx;
    r->batch.db = o->database;
    r->batch.lease_ms = o->lease_ms;
    r->batch.capacity = o->batch;
    r->source = fpi_strdup(a, o->source);
    r->batch.events = fpi_calloc(a, o->batch, sizeof(*r->batch.events));
    r->events = fpi_calloc(a, o->batch, sizeof(*r->events));
    if (!r->source || !r->batch.events || !r->events)
        return fpi_no_memory(err);
    rc = fpi_uuid7(r->ctx, r->batch.holder, err);
    return rc < 0 ? rc : fpi_outbox_announce(&r->batch, err);
}

fp_status fp_relay_open(fp_context *ctx, const fp_relay_options *opts, fp_relay **out,
                        fp_error *err)
{
    FPI_CLEANUP(fp_relay) r = NULL;
    fp_relay_options o;
    fp_status rc;

    if (!ctx || !opts || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = import_options(&o, opts, err);
    if (rc < 0)
        return rc;
    if (!fpi_queue_publishes(o.queue))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this queue does not publish events");
    r = fpi_calloc(&ctx->a, 1, sizeof(*r));
    if (!r)
        return fpi_no_memory(err);
    r->ctx = ctx;
    init_lock(r);
    rc = fill(r, &o, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&r);
    return rc;
}

void fp_relay_free(fp_relay *r)
{
    if (!r)
        return;
    fpi_outbox_release(&r->batch);
    fpi_outbox_batch_dispose(&r->batch);
    fp_buf_dispose(&r->text);
    pthread_cond_destroy(&r->stop);
    pthread_mutex_destroy(&r->lock);
    fpi_free(&r->ctx->a, r->events);
    fpi_free(&r->ctx->a, r->source);
    fpi_free(&r->ctx->a, r);
}

void fp_relay_stop(fp_relay *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->stop);
    pthread_mutex_unlock(&r->lock);
}

/* Sleeps until the monotonic time; false when it is to stop. */
static bool sleep_until(fp_relay *r, int64_t ms)
{
    struct timespec at = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };
    bool go_on;

    pthread_mutex_lock(&r->lock);
    while (!r->stopping && fpi_monotonic_ms() < ms)
        (void)pthread_cond_timedwait(&r->stop, &r->lock, &at);
    go_on = !r->stopping;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

/* The bodies stand in one buffer, which moves while it grows: so first their sizes, then the addresses. */
static fp_status write_events(fp_relay *r, fp_error *err)
{
    size_t at = 0;

    r->text.size = 0;
    for (size_t i = 0; i < r->batch.count; i++) {
        const fpi_outbox_event *from = &r->batch.events[i];
        const fpi_cloud_event e = { from->id,      r->source,  from->type,
                                    from->subject, from->data, from->created_at_ms };
        fp_status rc = fpi_cloud_event_write(r->ctx, &e, &r->text, err);

        if (rc < 0)
            return rc;
        r->events[i] =
            (fp_queue_event){ from->id, from->type, FPI_CLOUD_EVENT_TYPE, NULL, r->text.size - at };
        at = r->text.size;
    }
    at = 0;
    for (size_t i = 0; i < r->batch.count; i++) {
        r->events[i].body = r->text.data + at;
        at += r->events[i].size;
    }
    return FILEPROC_OK;
}

/* What the broker has taken is noted also when it did not take all. */
static fp_status send_batch(fp_relay *r, uint64_t *sent, fp_error *err)
{
    size_t confirmed = 0;
    fp_error e = { 0 };
    fp_status rc = write_events(r, err), noted;

    if (rc < 0)
        return rc;
    rc = fpi_queue_publish(r->queue, r->events, r->batch.count, &confirmed, &e);
    noted = fpi_outbox_sent(&r->batch, confirmed, err);
    if (noted < 0)
        return noted;
    *sent = confirmed;
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status run(fp_relay *r, int64_t end, uint64_t *sent, fp_error *err)
{
    int64_t look_at = fpi_monotonic_ms();

    for (;;) {
        fp_status rc;

        if (!sleep_until(r, look_at))
            return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "the relay was stopped");
        rc = fpi_outbox_take(&r->batch, err);
        if (rc < 0)
            return rc;
        if (r->batch.count)
            return send_batch(r, sent, err);
        look_at = fpi_monotonic_ms();
        if (look_at >= end)
            return FILEPROC_OK;
        look_at = look_at + r->poll_interval_ms < end ? look_at + r->poll_interval_ms : end;
    }
}

fp_status fp_relay_run(fp_relay *r, uint32_t timeout_ms, uint64_t *sent, fp_error *err)
{
    uint64_t count = 0;
    fp_status rc;

    if (!r)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the relay is NULL");
    rc = run(r, fpi_monotonic_ms() + timeout_ms, &count, err);
    if (sent)
        *sent = count;
    return rc;
}
