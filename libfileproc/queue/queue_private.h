/* Owns: what is inside a queue handle, and the table of built-in drivers.
 * Must not know: any driver's insides. */
#ifndef FPI_QUEUE_PRIVATE_H
#define FPI_QUEUE_PRIVATE_H

#include <stdbool.h>

#include <fileproc/driver/queue_driver.h>
#include <fileproc/queue.h>

#include "core/context_private.h"

struct fp_queue {
    fp_context *ctx;
    const fp_queue_driver *drv;
    void *self;
};

FPI_DEFINE_CLEANUP(fp_queue, fp_queue_free)
FPI_DEFINE_CLEANUP(fp_message, fp_message_free)

/** Takes messages of a topic that nobody has received yet, `most` at the most, acknowledges them, and answers how many that were. Does
 *  not wait for any to come. */
size_t fpi_queue_discard(fp_queue *q, const char *topic, size_t most);

/** Whether the driver can publish events at all. */
bool fpi_queue_publishes(const fp_queue *q);
/** The driver's publish; NOTSUP when it has none. *confirmed is always set. */
fp_status fpi_queue_publish(fp_queue *q, const fp_queue_event *events, size_t count,
                            size_t *confirmed, fp_error *err);

/** Ends with NULL. */
extern const fp_queue_driver *const fpi_queue_drivers[];
extern const fp_queue_driver fpi_queue_database_driver;

#endif
