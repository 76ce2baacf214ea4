/* Owns: which of several engines on one database and storage works on an upload, and what the others may know meanwhile.
 * Must not know: chunks and completion.
 *
 * Without a cache (fp_uploads_options.cache) or leases in the database (database_leases) this engine is the only one, and nothing here
 * does anything. */
#ifndef FPI_UPLOAD_LEASE_H
#define FPI_UPLOAD_LEASE_H

#include "upload/upload_session.h"

/** Whether other engines may be at work; leases are in the cache that they have in common, or in the database. */
bool fpi_lease_is_shared(const fp_uploads *ups);

/** For a session that was just made and that nobody else knows: what is in memory is right under this epoch, so nothing needs to be read
 *  when its first chunk comes. Without a cache that answers it will be. */
void fpi_lease_found(fp_uploads *ups, fpi_session *s);

/** With the lock held, which is let go meanwhile: makes sure that this engine may write to the upload until fpi_lease_leave(), and
 *  that what is in memory is not older than what another engine did before. Waits a while for one that is at work; BUSY when it
 *  stays so, or when the cache is away. An upload that has ended needs no lease. */
fp_status fpi_lease_enter(fp_uploads *ups, fpi_session *s, uint32_t flags, fp_error *err);
/** With the lock held, which may be let go meanwhile. */
void fpi_lease_leave(fp_uploads *ups, fpi_session *s);

/** With the lock held, which may be let go meanwhile, now and then during long work: prolongs the lease under which it began. BUSY
 *  when another has it by now. */
fp_status fpi_lease_keep(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err);
/** Without the lock, before something becomes durable: as fpi_lease_keep(), and asks in any case. While the cache is away the time
 *  that was granted before counts. On success whoever takes the upload over waits until fpi_lease_pass(), for an eighth of a lease at the
 *  most, before he reads what is there. */
fp_status fpi_lease_fence(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err);
/** Without the lock, after something became durable: BUSY when that took so long, or the process slept so long, that another may have
 *  taken the upload over meanwhile. What is durable is not to be acknowledged then; sent again, it is compared with what counts. */
fp_status fpi_lease_confirm(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err);
/** With the lock held, which is let go meanwhile: what passed the fence is in the record, or never will be. */
void fpi_lease_pass(fp_uploads *ups, fpi_session *s);
/** With the lock held, which is let go meanwhile: tells the others how far the upload is. */
void fpi_lease_tell(fp_uploads *ups, fpi_session *s);

/** What is known of an upload without working on it. */
typedef enum fpi_lease_view {
    FPI_VIEW_OURS,    /* what is in memory is right */
    FPI_VIEW_OTHERS,  /* another engine's: what it told stands in the progress */
    FPI_VIEW_UNKNOWN, /* only storage and database can tell */
} fpi_lease_view;

typedef struct fpi_lease_progress {
    uint64_t chunks, bytes;
    int64_t touched_ms;
    uint64_t offset;
} fpi_lease_progress;

/** Without the lock. */
fpi_lease_view fpi_lease_look(fp_uploads *ups, fpi_session *s, fpi_lease_progress *progress);

#endif
