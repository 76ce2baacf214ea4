/* Owns: events written in the transaction that made them true (transactional outbox).
 * Must not know: who they are sent to. */
#ifndef FPI_OUTBOX_H
#define FPI_OUTBOX_H

#include <fileproc/database.h>

#include "core/context_private.h"

/** Event types, stable: "fileproc." + noun + past participle. */
#define FPI_EVENT_FILE_CREATED "fileproc.file.created"
#define FPI_EVENT_FILE_QUARANTINED "fileproc.file.quarantined"
#define FPI_EVENT_FILE_RELEASED "fileproc.file.released"
#define FPI_EVENT_FILE_HELD "fileproc.file.held"
#define FPI_EVENT_FILE_REJECTED "fileproc.file.rejected"
#define FPI_EVENT_FILE_DELETED "fileproc.file.deleted"
#define FPI_EVENT_JOB_FINISHED "fileproc.job.finished"

/** Adds an event about subject (a file's or job's id); data is JSON text of an object. */
fp_status fpi_outbox_append(fp_context *ctx, fp_tx *tx, const char *type, const char *subject,
                            const char *data, fp_error *err);

/** An event to be; the texts are borrowed. */
typedef struct fpi_outbox_new {
    const char *type;
    const char *subject;
    const char *data;
} fpi_outbox_new;

#define FPI_OUTBOX_EACH_MAX 32

/** Adds at most FPI_OUTBOX_EACH_MAX events, in this order. */
fp_status fpi_outbox_append_each(fp_context *ctx, fp_tx *tx, const fpi_outbox_new *events,
                                 size_t count, fp_error *err);

/** The name of the relay of all events, in the table of relays. */
#define FPI_RELAY_EVENTS "events"

/** Forgets events created before before_ms: those that were sent; and those that were not, when no relay was seen for 7 days, so that
 *  the table does not grow for ever where there is none. At most 50000 of each in one call. */
fp_status fpi_outbox_prune(fp_tx *tx, int64_t before_ms, fp_error *err);

#endif
