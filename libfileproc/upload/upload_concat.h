/* Owns: the beginning of uploads that are made of others, and what those have to be.
 * Must not know: how the bytes are put together. */
#ifndef FPI_UPLOAD_CONCAT_H
#define FPI_UPLOAD_CONCAT_H

#include "upload/upload_sources.h"

/** Fills in what a request leaves to be found out, unless it is a repeated one. */
typedef fp_status fpi_upload_plan_fn(fp_uploads *ups, const fpi_upload_sources *sources,
                                     fp_upload_request *req, fp_error *err);

/** As fp_upload_create(), with a request that is whole; plan and sources may be NULL. */
fp_status fpi_upload_begin(fp_uploads *ups, const fp_upload_request *req, fpi_upload_plan_fn *plan,
                           const fpi_upload_sources *sources, fp_upload **out, fp_error *err);

/** What partial uploads come to. */
typedef struct fpi_concat_sum {
    uint64_t size;
    bool known; /* the size of each */
    bool whole; /* all bytes of each are there */
} fpi_concat_sum;

/** The errors are those of fp_upload_concat(). owner: of the final upload; or NULL. */
fp_status fpi_concat_measure(fp_uploads *ups, const fpi_upload_sources *sources, const char *owner,
                             fpi_concat_sum *out, fp_error *err);

/** Completes what can be of the next final uploads behind `after`, which is "" at first, and again when there are no more. */
fp_status fpi_concat_complete_batch(fp_uploads *ups, char after[FPI_UUID_SIZE], fp_error *err);

/** CONFLICT with upload_final: nobody sends bytes to such an upload. Without the lock. */
fp_status fpi_concat_check_fillable(fpi_session *s, fp_error *err);
/** CONFLICT with upload_partial: it becomes no file. Without the lock. */
fp_status fpi_concat_check_completable(fpi_session *s, fp_error *err);
/** NOTFOUND with upload_expired: what a final upload has failed for, now and whenever somebody asks again. */
fp_status fpi_concat_lost(fp_error *err);

#endif
