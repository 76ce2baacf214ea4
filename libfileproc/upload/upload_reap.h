/* Owns: one pass of the reaper, as its parts share it.
 * Must not know: when one is made. */
#ifndef FPI_UPLOAD_REAP_H
#define FPI_UPLOAD_REAP_H

#include "upload/upload_private.h"

/** Sessions in one transaction. */
#define FPI_REAP_BATCH 200u

/** A failure does not keep a pass from the rest; the first one is what the caller hears of. */
typedef struct fpi_reap_pass {
    fp_uploads *ups;
    int64_t now_ms, grace_ms;
    bool dry; /* nothing is changed, but reported */
    fp_reap_fn fn;
    void *user_data;
    fp_reaped did;
    fp_status rc;
    fp_error *err;
} fpi_reap_pass;

void fpi_reap_note_failure(fpi_reap_pass *p, fp_status rc, const fp_error *e);

/** Dry: something would be removed. */
void fpi_reap_report(fpi_reap_pass *p, int32_t kind, const char *id, uint64_t bytes,
                     int64_t time_ms);

/** Bytes of the object that an unfinished upload has become already; 0 = there is none. */
uint64_t fpi_reap_object_bytes(const fpi_reap_pass *p, const char *file_id);

/** What is staged for uploads that have ended, or for nobody. */
void fpi_reap_staged(fpi_reap_pass *p);
/** What is stored for uploads that ended without a file and of which nothing staged tells. */
void fpi_reap_remains(fpi_reap_pass *p);

#endif
