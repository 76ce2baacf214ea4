/* Owns: a queue driver "sink" that publishes into memory, and fails when told to.
 * Must not know: what is published. */
#include "fake_sink.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

fake_sink sink;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void sink_clear(void)
{
    memset(&sink, 0, sizeof(sink));
    sink.fail_after = SIZE_MAX;
}

size_t sink_seen(const char *id)
{
    size_t seen = 0;

    for (size_t i = 0; i < sink.count; i++)
        seen += strcmp(sink.ids[i], id) == 0;
    return seen;
}

static fp_status sink_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                           void **self, fp_error *err)
{
    (void)ctx, (void)uri, (void)opts, (void)err;
    *self = &sink;
    return FILEPROC_OK;
}

static void sink_close(void *self)
{
    (void)self;
}

static fp_status sink_send(void *self, const char *topic, const void *body, size_t size,
                           uint32_t flags, fp_error *err)
{
    (void)self, (void)topic, (void)body, (void)size, (void)flags, (void)err;
    return FILEPROC_OK;
}

static fp_status sink_receive(void *self, const char *topic, uint32_t timeout_ms, void **m,
                              const char **body, size_t *size, uint32_t flags, fp_error *err)
{
    (void)self, (void)topic, (void)timeout_ms, (void)body, (void)size, (void)flags, (void)err;
    *m = NULL;
    return FILEPROC_OK;
}

static fp_status sink_ack(void *self, void *m, fp_error *err)
{
    (void)self, (void)m, (void)err;
    return FILEPROC_OK;
}

static void sink_message_free(void *self, void *m)
{
    (void)self, (void)m;
}

static void keep(const fp_queue_event *e)
{
    if (sink.count == 0)
        snprintf(sink.first_body, sizeof(sink.first_body), "%.*s", (int)e->size,
                 (const char *)e->body);
    if (sink.count == SINK_EVENTS)
        return;
    snprintf(sink.ids[sink.count], sizeof(sink.ids[0]), "%s", e->id);
    snprintf(sink.types[sink.count], sizeof(sink.types[0]), "%s", e->type);
    sink.count++;
}

static fp_status sink_publish(void *self, const fp_queue_event *events, size_t count,
                              size_t *confirmed, fp_error *err)
{
    size_t taken = count, most;

    (void)self;
    if (sink.pause_ms)
        nanosleep(&(struct timespec){ sink.pause_ms / 1000, sink.pause_ms % 1000 * 1000000 }, NULL);
    if (sink.meanwhile)
        sink.meanwhile(sink.user_data);
    pthread_mutex_lock(&lock);
    most = sink.fail_after;
    sink.fail_after = SIZE_MAX;
    sink.calls++;
    if (taken > most)
        taken = most;
    for (size_t i = 0; i < taken; i++)
        keep(&events[i]);
    pthread_mutex_unlock(&lock);
    *confirmed = taken;
    return taken < count ? fp_error_setf(err, FILEPROC_ERR_BUSY, "the sink is away") : FILEPROC_OK;
}

#define SLOTS                                                                                      \
    .open = sink_open, .close = sink_close, .send = sink_send, .receive = sink_receive,            \
    .wake = sink_close, .ack = sink_ack, .message_free = sink_message_free

const fp_queue_driver fake_sink_driver = { FILEPROC_QUEUE_DRIVER_INIT("sink"), SLOTS,
                                           .publish = sink_publish };
const fp_queue_driver deaf_sink_driver = { FILEPROC_QUEUE_DRIVER_INIT("deaf"), SLOTS };
