/* Owns: jobs: the durable ledger of pipeline runs on files, and the worker that executes them.
 * Must not know: uploads, HTTP. */
#ifndef FILEPROC_JOB_H
#define FILEPROC_JOB_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/catalog.h>
#include <fileproc/context.h>
#include <fileproc/database.h>
#include <fileproc/pipeline.h>
#include <fileproc/queue.h>
#include <fileproc/storage.h>

FILEPROC_BEGIN_DECLS

/** The ledger of jobs in a database. Shared. */
typedef struct fp_jobs fp_jobs;
/** Claims and runs jobs. One thread at a time, always the same, except for fp_worker_stop(). */
typedef struct fp_worker fp_worker;

struct fp_quarantine_options; /* fileproc/quarantine.h */

/** Settings for fp_jobs_open(). Start from FILEPROC_JOBS_OPTIONS_INIT; 0 means default. The handles are
 *  borrowed and must outlive the ledger. */
typedef struct fp_jobs_options {
    size_t struct_size;       /**< Filled by the initialiser; never by hand. */
    fp_database *database;    /**< Required. Migrated. @since 0.1 */
    fp_queue *queue;          /**< Required. @since 0.1 */
    fp_storage *storage;      /**< Required. @since 0.1 */
    fp_catalog *catalog;      /**< Required. @since 0.1 */
    fp_pipelines *pipelines;  /**< Required. @since 0.1 */
    uint32_t lease_ms;        /**< How long a claim lasts without renewal; default 30000. @since 0.1 */
    uint32_t max_attempts;    /**< Before a job is dead; default 5. @since 0.1 */
    uint32_t backoff_base_ms; /**< First retry waits a random time up to this; it doubles; default 1000. @since 0.1 */
    uint32_t backoff_cap_ms;  /**< Longest wait; default 300000. @since 0.1 */
    /** Called after each committed change of a job, on the thread that made it. NULL = not wanted. @since 0.1 */
    void (*on_change)(void *user_data, const char *job_id, const char *file_id, const char *state,
                      double progress);
    void *user_data;      /**< For on_change. @since 0.1 */
    int64_t retention_ms; /**< How long a job is remembered after its end; default: as long as the database. @since 0.1 */
    /** Copied. What files have to pass before anybody may read them; NULL: all defaults, which is nothing. @since 0.1 */
    const struct fp_quarantine_options *quarantine;
} fp_jobs_options;
/** All-default fp_jobs_options. */
#define FILEPROC_JOBS_OPTIONS_INIT \
    { sizeof(fp_jobs_options), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, NULL, 0, NULL }

/** A job as it was when it was read. Made by the library, read-only, released with fp_job_free(); later releases
 *  may add members at the end. */
typedef struct fp_job {
    size_t struct_size;       /**< The library's size of this record. */
    const char *id;           /**< UUID. */
    const char *file_id;      /**< The file it works on. */
    const char *owner;        /**< The file's owner; or NULL. */
    const char *pipeline;     /**< Name of the pipeline; "inline" for one given in the request. */
    const char *state;        /**< "queued", "running", "succeeded", "failed", "cancelled" or "dead". */
    const char *steps;        /**< JSON array of {name, operation, state, result?, outputs: [file ids]}. */
    const char *error_code;   /**< Reason of the last failure; NULL when there was none. */
    const char *error_detail; /**< The same for people; or NULL. */
    const char *result;       /**< JSON object, member per step; NULL before success. */
    double progress;          /**< 0 to 1. */
    int64_t created_at_ms;    /**< Milliseconds since 1970 UTC. */
    int64_t started_at_ms;    /**< First start; 0 = not yet. */
    int64_t finished_at_ms;   /**< 0 = not yet. */
    uint32_t attempt;         /**< Starts so far. */
    uint32_t max_attempts;    /**< Allowed starts. */
    int32_t error_permanent;  /**< 1: trying again is useless. */
    int32_t reserved;         /**< 0. */
} fp_job;

/** One page of jobs. Made by the library, read-only, released with fp_job_page_free(). */
typedef struct fp_job_page {
    size_t struct_size;         /**< The library's size of this record. */
    size_t count;               /**< How many. */
    const fp_job *const *items; /**< Newest first. */
    const char *next;           /**< Cursor for the next page; NULL at the end. */
} fp_job_page;

/** Which jobs fp_job_list() shows. Start from FILEPROC_JOB_QUERY_INIT; NULL means "any". */
typedef struct fp_job_query {
    size_t struct_size;  /**< Filled by the initialiser; never by hand. */
    const char *owner;   /**< Borrowed. @since 0.1 */
    const char *file_id; /**< Borrowed. @since 0.1 */
    const char *state;   /**< Borrowed. @since 0.1 */
    const char *cursor;  /**< Borrowed. `next` of the page before. @since 0.1 */
    size_t limit;        /**< 1 to 1000; 0 means 50. @since 0.1 */
} fp_job_query;
/** An fp_job_query for the newest jobs. */
#define FILEPROC_JOB_QUERY_INIT \
    { sizeof(fp_job_query), NULL, NULL, NULL, NULL, 0 }

/**
 * Open the ledger.
 *
 * @param ctx   Borrowed; must outlive the ledger.
 * @param opts  Copied; its five handles are required.
 * @param[out] out  Set only on success. The caller owns it: fp_jobs_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open.
 * @retval FILEPROC_ERR_INVALID  A handle is missing, or an option is newer than this library.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_jobs_open(fp_context *ctx, const fp_jobs_options *opts, fp_jobs **out,
                                    fp_error *err) FILEPROC_NODISCARD;

/**
 * Close the ledger.
 *
 * @param jobs  Taken; NULL is allowed. No worker of it may be alive.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_jobs_free(fp_jobs *jobs);

/**
 * Queue a pipeline run on a file.
 *
 * @param jobs      Borrowed.
 * @param file_id   Borrowed.
 * @param pipeline  Borrowed: as in fp_pipelines_resolve(); NULL = the default of the file's declared type.
 * @param[out] out  Set only on success: the job, owned by the caller (fp_job_free()).
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Durably queued.
 * @retval FILEPROC_ERR_INVALID   As fp_pipelines_resolve(); or there is no default for the type (pipeline_unknown).
 * @retval FILEPROC_ERR_NOTFOUND  No such file (file_not_found) or pipeline (pipeline_unknown).
 * @retval FILEPROC_ERR_IO        The database failed; nothing was changed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed; nothing was changed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_job_create(fp_jobs *jobs, const char *file_id, const char *pipeline,
                                     fp_job **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Read one job.
 *
 * @param jobs  Borrowed.
 * @param id    Borrowed.
 * @param[out] out  Set only on success. The caller owns the record: fp_job_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            out is set.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such job. Reason job_not_found.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_job_get(fp_jobs *jobs, const char *id, fp_job **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * List jobs, newest first, with a keyset cursor.
 *
 * @param jobs   Borrowed.
 * @param query  Borrowed; NULL for the newest.
 * @param[out] out  Set only on success. The caller owns the page: fp_job_page_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           One page.
 * @retval FILEPROC_ERR_INVALID  Bad argument; for a bad cursor reason cursor_invalid.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_job_list(fp_jobs *jobs, const fp_job_query *query, fp_job_page **out,
                                   fp_error *err) FILEPROC_NODISCARD;

/**
 * Cancel a job. A running one stops at its next tick; what its finished steps made stays.
 *
 * @param jobs  Borrowed.
 * @param id    Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is cancelled.
 * @retval FILEPROC_ERR_NOTFOUND  No such job. Reason job_not_found.
 * @retval FILEPROC_ERR_CONFLICT  It ended already. Reason job_finished.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_job_cancel(fp_jobs *jobs, const char *id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write a job as the JSON object that the REST API shows: id, file_id, pipeline, state, attempt, max_attempts, progress, steps,
 * error {code, detail, permanent} or null, result, created_at, started_at, finished_at (RFC 3339 or null).
 *
 * @param ctx  Borrowed.
 * @param job  Borrowed.
 * @param[in,out] out  Borrowed; the text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Appended.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_job_to_json(fp_context *ctx, const fp_job *job, fp_buf *out,
                                      fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a job record.
 *
 * @param job  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per record.
 * @since 0.1
 */
FILEPROC_API void fp_job_free(fp_job *job);

/**
 * Release a page and its records.
 *
 * @param page  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per page.
 * @since 0.1
 */
FILEPROC_API void fp_job_page_free(fp_job_page *page);

/** What fp_jobs_maintain() did. Start from FILEPROC_JOBS_MAINTENANCE_INIT. */
typedef struct fp_jobs_maintenance {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    uint64_t rescued;   /**< Running jobs whose worker was lost, queued again. */
    uint64_t dead;      /**< The same, but no attempt was left. */
    uint64_t queued;    /**< Jobs waiting now. */
    uint64_t running;   /**< Jobs running now. */
    uint64_t forgotten; /**< Jobs removed because they ended long ago. */
} fp_jobs_maintenance;
/** An empty fp_jobs_maintenance. */
#define FILEPROC_JOBS_MAINTENANCE_INIT \
    { sizeof(fp_jobs_maintenance), 0, 0, 0, 0, 0 }

/**
 * The rescuer: queues running jobs whose lease ran out (or ends them when no attempt is left), rings for jobs whose
 * time has come, forgets jobs that ended long ago, and old events. To be called every few seconds by one thread of each process.
 *
 * @param jobs  Borrowed.
 * @param[in,out] did  Borrowed; filled on success. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK      Done.
 * @retval FILEPROC_ERR_IO  The database failed; call it again later.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_jobs_maintain(fp_jobs *jobs, fp_jobs_maintenance *did, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Make a worker.
 *
 * @param jobs  Borrowed; must outlive the worker.
 * @param[out] out  Set only on success. The caller owns it: fp_worker_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Ready.
 * @retval FILEPROC_ERR_IO     No descriptors left.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread; fp_worker_run() then from one.
 * @since 0.1
 */
FILEPROC_API fp_status fp_worker_new(fp_jobs *jobs, fp_worker **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * End a worker and its helper process.
 *
 * @param w  Taken; NULL is allowed.
 * @par Blocking  Milliseconds.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_worker_free(fp_worker *w);

/**
 * Claim one job and run it to its end, or wait for one. A job's own failure is recorded in the job and is not a
 * failure of this call.
 *
 * @param w           Borrowed.
 * @param timeout_ms  How long to wait for a job; 0 only looks.
 * @param[out] ran    Set only on success: 1 = a job was run, 0 = there was none. May be NULL.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            See ran.
 * @retval FILEPROC_ERR_CANCELLED fp_worker_stop() was called; a job in progress went back to the queue and its attempt
 *                                was given back.
 * @retval FILEPROC_ERR_IO        The database failed; a job in progress is rescued when its lease runs out.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed so that the job's end could not be recorded; as for IO.
 * @par Blocking  Up to timeout_ms, then as long as the job takes.
 * @par Threads   One thread at a time per worker, always the same.
 * @since 0.1
 */
FILEPROC_API fp_status fp_worker_run(fp_worker *w, uint32_t timeout_ms, int32_t *ran, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Run jobs one after the other, until there was none for timeout_ms. The next job is claimed in the transaction that ends the one before,
 * and the workers of a ledger that end jobs at the same time share a transaction: for many short jobs much cheaper
 * than fp_worker_run(), and the same promises. When it returns, no job is in this worker's hands.
 *
 * @param w           Borrowed.
 * @param timeout_ms  How long to wait for each job; 0 only looks.
 * @param[out] ran    How many jobs were run; set also at a failure. May be NULL.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            There was no job for timeout_ms.
 * @retval FILEPROC_ERR_CANCELLED As fp_worker_run().
 * @retval FILEPROC_ERR_IO        As fp_worker_run().
 * @retval FILEPROC_ERR_NOMEM     As fp_worker_run().
 * @par Blocking  As long as there are jobs, and timeout_ms more; fp_worker_stop() ends it.
 * @par Threads   One thread at a time per worker, always the same.
 * @since 0.1
 */
FILEPROC_API fp_status fp_worker_serve(fp_worker *w, uint32_t timeout_ms, uint64_t *ran,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Ask a worker to stop at once: the helper is killed, the job goes back to the queue.
 *
 * @param w  Borrowed; NULL is allowed.
 * @par Blocking  Never. A worker waiting for work notices within a poll interval, or at once after fp_queue_wake().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API void fp_worker_stop(fp_worker *w);

FILEPROC_END_DECLS
#endif
