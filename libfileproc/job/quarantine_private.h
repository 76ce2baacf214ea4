/* Owns: the steps of quarantine inside other transactions: a file goes in, and comes out in one of the ways there are.
 * Must not know: uploads; how a check works. */
#ifndef FPI_QUARANTINE_PRIVATE_H
#define FPI_QUARANTINE_PRIVATE_H

#include "catalog/catalog_private.h"
#include "database/list.h"
#include "job/quarantine_judge.h"

FPI_DEFINE_CLEANUP(fp_quarantine, fp_quarantine_free)
FPI_DEFINE_CLEANUP(fp_quarantine_page, fp_quarantine_page_free)

/** Of a ledger. */
typedef struct fpi_quarantine {
    fp_quarantine_options o; /* checks is NULL */
    char *definition;        /* the checks as a resolved pipeline; NULL = none are made */
} fpi_quarantine;

/** options may be NULL. INVALID names the check that can't be made. */
fp_status fpi_quarantine_open(const fp_context *ctx, fp_pipelines *pls,
                              const fp_quarantine_options *options, fpi_quarantine *out,
                              fp_error *err);
void fpi_quarantine_close(const fp_context *ctx, fpi_quarantine *q);

/** Whether files go into quarantine. */
bool fpi_quarantine_is_on(const fp_jobs *jobs);

/** Queues the job that checks a file, and notes that the file is in quarantine, where its row says that it is, too. The caller rings. */
fp_status fpi_quarantine_begin(fp_jobs *jobs, fp_tx *tx, const char *scan_job_id,
                               const char *file_id, const char *owner, fp_error *err);

/** A decision about a file; the texts are borrowed. */
typedef struct fpi_decision {
    const char *file_id;
    fpi_quarantine_action action;
    const char *verdict, *reason, *step; /* of the checks; NULL leaves what is known */
    const char *by, *note;               /* a person's; NULL: by the settings */
    /* What came of it: */
    bool made;                  /* else it was decided before */
    char job_id[FPI_UUID_SIZE]; /* of the file's pipeline, which may run now or never; "" = none */
    char scan_job_id[FPI_UUID_SIZE]; /* a check that was ended by it; "" = none */
    int64_t waited_ms;
} fpi_decision;

/** In a transaction, which may be tried more than once. */
fp_status fpi_quarantine_decide(fp_jobs *jobs, fp_tx *tx, fpi_decision *d, fp_error *err);
/** After its commit: rings, and tells whoever wants to know. */
void fpi_quarantine_tell(fp_jobs *jobs, const fpi_decision *d);
/** The scanner did not answer and is asked again. */
void fpi_quarantine_tell_retry(fp_jobs *jobs, const char *file_id, const char *reason);

/** What a check that has ended comes to; judgement must live as long as the decision. */
void fpi_quarantine_conclude(fp_jobs *jobs, const char *file_id, const char *steps,
                             const char *error_code, fpi_judgement *judgement, fpi_decision *d);

/** Whether a check that failed so is made again, however often it was. */
bool fpi_quarantine_waits(const fp_jobs *jobs, const char *error_code);

/* ---- records (quarantine_row.c) ---- */

#define FPI_QUARANTINE_COLUMNS                                                                     \
    "file_id, state, scan_job_id, verdict, reason, step, decided_by, note, removal, created_at,"   \
    " decided_at"

extern const fpi_record_kind fpi_quarantine_kind;

fp_status fpi_quarantine_from_row(const fp_context *ctx, fp_rows *rows, fp_quarantine **out,
                                  fp_error *err);

#endif
