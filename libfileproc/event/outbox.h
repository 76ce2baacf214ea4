/* Owns: events written in the transaction that made them true (transactional outbox).
 * Must not know: who they are sent to. */
#ifndef FPI_OUTBOX_H
#define FPI_OUTBOX_H

#include <fileproc/database.h>

#include "core/context_private.h"

/** Event types, stable: "fileproc." + noun + past participle. */
#define FPI_EVENT_FILE_CREATED "fileproc.file.created"
#define FPI_EVENT_FILE_DELETED "fileproc.file.deleted"
#define FPI_EVENT_JOB_FINISHED "fileproc.job.finished"

/** Adds an event about subject (a file's or job's id); data is JSON text of an object. */
fp_status fpi_outbox_append(fp_context *ctx, fp_tx *tx, const char *type, const char *subject,
                            const char *data, fp_error *err);

/** Forgets events created before before_ms: the relay that sends them on is not in this release, so the
 *  table must not grow for ever. At most 50000 in one call. */
fp_status fpi_outbox_prune(fp_tx *tx, int64_t before_ms, fp_error *err);

#endif
