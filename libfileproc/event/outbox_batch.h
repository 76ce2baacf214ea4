/* Owns: taking unsent events out of the outbox, one process at a time, and noting that they were sent.
 * Must not know: where they are sent. */
#ifndef FPI_OUTBOX_BATCH_H
#define FPI_OUTBOX_BATCH_H

#include <stdbool.h>

#include <fileproc/database.h>

#include "core/context_private.h"
#include "core/uuid.h"

/** The texts stand behind each other in one block. */
typedef struct fpi_outbox_event {
    char id[FPI_UUID_SIZE];
    int64_t created_at_ms;
    char *type; /* owns the block */
    const char *subject;
    const char *data;
} fpi_outbox_event;

/** What one relay has of the outbox. */
typedef struct fpi_outbox_batch {
    fp_context *ctx;
    fp_database *db;
    char holder[FPI_UUID_SIZE];
    int64_t lease_ms;
    int64_t lease_until_ms; /* of the context's clock; 0 = it is not ours */
    int64_t seen_at_ms;     /* when we last wrote that we are about */
    fpi_outbox_event *events;
    size_t capacity;
    size_t count;
    size_t bytes;
} fpi_outbox_batch;

/** Says in the database that there is a relay, so that events wait for it. */
fp_status fpi_outbox_announce(fpi_outbox_batch *b, fp_error *err);
/** The lease goes to whoever comes next. */
void fpi_outbox_release(fpi_outbox_batch *b);
void fpi_outbox_batch_dispose(fpi_outbox_batch *b);

/** Fills the batch with the oldest unsent events; empty when there are none, or another relay has the lease. */
fp_status fpi_outbox_take(fpi_outbox_batch *b, fp_error *err);

/** Notes that the first count events of the batch were sent, and keeps the lease. */
fp_status fpi_outbox_sent(fpi_outbox_batch *b, size_t count, fp_error *err);

#endif
