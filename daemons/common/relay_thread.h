/* Owns: the thread that sends events to the broker, and keeps its connections alive.
 * Must not know: any event; HTTP. */
#ifndef FPD_RELAY_THREAD_H
#define FPD_RELAY_THREAD_H

#include <fileproc/event.h>

#include "metrics.h"
#include "scoped.h"

typedef struct fpd_relay_thread fpd_relay_thread;

typedef struct fpd_relay_thread_options {
    fp_context *ctx; /* all borrowed */
    fp_database *database;
    fp_queue *queue;    /* one that publishes */
    const char *source; /* of the events */
    fpd_metrics *metrics;
} fpd_relay_thread_options;

/** NULL, with err filled, on failure. */
fpd_relay_thread *fpd_relay_thread_start(const fpd_relay_thread_options *options, fp_error *err);
/** The batch in progress is finished. NULL is allowed. */
void fpd_relay_thread_stop(fpd_relay_thread *t);
FPD_DEFINE_CLEANUP(fpd_relay_thread, fpd_relay_thread_stop)

#endif
