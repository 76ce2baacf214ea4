/* Owns: the thread that sends events to the broker, and keeps its connections alive.
 * Must not know: any event; HTTP. */
#include "relay_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "log.h"

/* How long it waits for an event before it looks after the connections. */
#define WAIT_MS 1000u
#define PAUSE_NS INT64_C(500000000)

struct fpd_relay_thread {
    fpd_relay_thread_options o;
    fp_relay *relay;
    fpd_metric *sent, *failures, *connected;
    bool away; /* the last that was logged */
    pthread_t thread;
};

static bool add_metrics(fpd_relay_thread *t)
{
    const fpd_metric_spec sent = { .name = "fileproc_events_sent_total",
                                   .help = "Events that the broker has taken.",
                                   .kind = FPD_COUNTER };
    const fpd_metric_spec failures = { .name = "fileproc_event_failures_total",
                                       .help =
                                           "Batches of events that failed; they are sent again.",
                                       .kind = FPD_COUNTER };
    const fpd_metric_spec connected = { .name = "fileproc_broker_connected",
                                        .help = "1 when the broker answers.",
                                        .kind = FPD_GAUGE };

    t->sent = fpd_metrics_add(t->o.metrics, &sent);
    t->failures = fpd_metrics_add(t->o.metrics, &failures);
    t->connected = fpd_metrics_add(t->o.metrics, &connected);
    return t->sent && t->failures && t->connected;
}

/* Once when it goes and once when it comes back, however long that takes. */
static void look_after_connections(fpd_relay_thread *t)
{
    fp_error err = { 0 };
    bool away = fp_queue_ping(t->o.queue, &err) < 0;

    fpd_metric_set(t->connected, NULL, !away);
    if (away && !t->away)
        fpd_log(FILEPROC_LOG_WARN, "relay", "the broker is away: %s", err.message);
    else if (!away && t->away)
        fpd_log(FILEPROC_LOG_INFO, "relay", "the broker is back");
    t->away = away;
}

/* False when it is time to end. */
static bool send_events(fpd_relay_thread *t)
{
    uint64_t sent = 0;
    fp_error err = { 0 };
    fp_status rc = fp_relay_run(t->relay, WAIT_MS, &sent, &err);

    fpd_metric_count(t->sent, NULL, sent);
    if (rc == FILEPROC_ERR_CANCELLED)
        return false;
    if (rc == FILEPROC_OK)
        return true;
    fpd_metric_count(t->failures, NULL, 1);
    if (rc != FILEPROC_ERR_BUSY)
        fpd_log(FILEPROC_LOG_WARN, "relay", "%s (%s)", err.message, fp_error_reason(&err));
    nanosleep(&(struct timespec){ 0, PAUSE_NS }, NULL);
    return true;
}

static void *run(void *arg)
{
    fpd_relay_thread *t = arg;
    int64_t ping_at = 0;

    while (send_events(t)) {
        if (fpd_monotonic_ns() < ping_at)
            continue;
        look_after_connections(t);
        ping_at = fpd_monotonic_ns() + (int64_t)WAIT_MS * 1000000;
    }
    return NULL;
}

fpd_relay_thread *fpd_relay_thread_start(const fpd_relay_thread_options *options, fp_error *err)
{
    fp_relay_options o = FILEPROC_RELAY_OPTIONS_INIT;
    fpd_relay_thread *t = calloc(1, sizeof(*t));

    if (!t) {
        (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
        return NULL;
    }
    t->o = *options;
    o.database = t->o.database;
    o.queue = t->o.queue;
    o.source = t->o.source;
    if (fp_relay_open(t->o.ctx, &o, &t->relay, err) == FILEPROC_OK) {
        if (!add_metrics(t))
            (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
        else if (pthread_create(&t->thread, NULL, run, t) != 0)
            (void)fp_error_setf(err, FILEPROC_ERR_IO, "can't start the relay's thread");
        else
            return t;
    }
    fp_relay_free(t->relay);
    free(t);
    return NULL;
}

void fpd_relay_thread_stop(fpd_relay_thread *t)
{
    if (!t)
        return;
    fp_relay_stop(t->relay);
    pthread_join(t->thread, NULL);
    fp_relay_free(t->relay);
    free(t);
}
