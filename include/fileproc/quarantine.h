/* Owns: files that nobody may read until they have passed checks: the settings, who is in quarantine, and what a person decides.
 * Must not know: how a check works. A program's own is an operation: fileproc/driver/operation_driver.h. */
#ifndef FILEPROC_QUARANTINE_H
#define FILEPROC_QUARANTINE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/job.h>

FILEPROC_BEGIN_DECLS

/** What becomes of a file about which a check could not say that it is clean. */
enum {
    FILEPROC_QUARANTINE_DEFAULT = 0, /**< What stands beside the setting. */
    FILEPROC_QUARANTINE_ACCEPT = 1,  /**< It is released. */
    FILEPROC_QUARANTINE_HOLD = 2,    /**< It stays until a person decides. */
    FILEPROC_QUARANTINE_REJECT = 3,  /**< It is rejected. */
    FILEPROC_QUARANTINE_RETRY = 4    /**< Only on_scanner_down: it is scanned when the scanner is back, however long that takes. */
};

/** A decision, or that there is none yet. Valid during the call of on_outcome. */
typedef struct fp_quarantine_notice {
    size_t struct_size;  /**< The library's size of this record. */
    const char *file_id; /**< The file. */
    const char *outcome; /**< "released", "held", "rejected"; or "retried": the scanner did not answer. */
    const char *verdict; /**< "clean", "infected", "mismatch" or "unscannable"; NULL: a person decided, or the scanner was away. */
    const char *reason;  /**< Signature, found type, or a code; or NULL. */
    const char *step;    /**< The check that said so; or NULL. */
    int64_t waited_ms;   /**< Since the file came. */
} fp_quarantine_notice;

/** Settings for fp_jobs_options.quarantine. Start from FILEPROC_QUARANTINE_OPTIONS_INIT. */
typedef struct fp_quarantine_options {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    /** Copied. Names of operations with commas between: the checks, in this order. Each must accept every type. Built in are type.check
     *  and, with fp_pipelines_options.clamd_uri, clamav.scan; any that a program has added will do. Its result says `"verdict"`: "clean",
     *  "infected" (rejected whatever the settings), "mismatch" or "unscannable", and `"reason"`. A result without a verdict is a clean
     *  one, any other verdict is unscannable, and so is a check that fails for good. NULL or "": files are available at once; jobs of
     *  files that came before are decided all the same. @since 0.1 */
    const char *checks;
    uint32_t on_unscannable;  /**< FILEPROC_QUARANTINE_*; default HOLD. @since 0.1 */
    uint32_t on_mismatch;     /**< Content that is not what was declared; default ACCEPT. @since 0.1 */
    uint32_t on_scanner_down; /**< After the last attempt, but for RETRY, the default. @since 0.1 */
    uint32_t keep_rejected;   /**< 1: bytes of rejected files are kept, so that they can be released; 0: they are removed. @since 0.1 */
    /** Called after the commit, on the thread that made it. NULL = not wanted. @since 0.1 */
    void (*on_outcome)(void *user_data, const fp_quarantine_notice *notice);
    void *user_data; /**< For on_outcome. @since 0.1 */
} fp_quarantine_options;
/** All-default fp_quarantine_options. */
#define FILEPROC_QUARANTINE_OPTIONS_INIT \
    { sizeof(fp_quarantine_options), NULL, 0, 0, 0, 0, NULL, NULL }

/** What is known of a file that is or was in quarantine. Made by the library, read-only, released with fp_quarantine_free(); later
 *  releases may add members at the end. */
typedef struct fp_quarantine {
    size_t struct_size;      /**< The library's size of this record. */
    const char *file_id;     /**< The file. */
    const char *state;       /**< "scanning", "held", "released" or "rejected". */
    const char *scan_job_id; /**< The job that checks it, or did. */
    const char *verdict;     /**< "clean", "infected", "mismatch" or "unscannable"; NULL while nobody has judged. */
    const char *reason;      /**< Signature, found type, or why it could not be scanned; or NULL. */
    const char *step;        /**< The check that said so; or NULL. */
    const char *decided_by;  /**< The person who decided; NULL: nobody did, or the settings. */
    const char *note;        /**< What that person said; or NULL. */
    int64_t created_at_ms;   /**< When the file came. Milliseconds since 1970 UTC. */
    int64_t decided_at_ms;   /**< When it was released, held or rejected; 0 = not yet. */
    uint32_t bytes_removed;  /**< 1: those of a rejected file are gone, or about to be. */
    uint32_t reserved;       /**< 0. */
} fp_quarantine;

/** One page of them. Made by the library, read-only, released with fp_quarantine_page_free(). */
typedef struct fp_quarantine_page {
    size_t struct_size;                /**< The library's size of this record. */
    size_t count;                      /**< How many. */
    const fp_quarantine *const *items; /**< Newest file first. */
    const char *next;                  /**< Cursor for the next page; NULL at the end. */
} fp_quarantine_page;

/** Which files fp_quarantine_list() shows. Start from FILEPROC_QUARANTINE_QUERY_INIT. */
typedef struct fp_quarantine_query {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    const char *state;  /**< Borrowed. "scanning", "held" or "rejected"; NULL: "held". @since 0.1 */
    const char *cursor; /**< Borrowed. `next` of the page before. @since 0.1 */
    size_t limit;       /**< 1 to 1000; 0 means 50. @since 0.1 */
} fp_quarantine_query;
/** An fp_quarantine_query for what waits for a person. */
#define FILEPROC_QUARANTINE_QUERY_INIT \
    { sizeof(fp_quarantine_query), NULL, NULL, 0 }

/** How many files there are in each state. */
typedef struct fp_quarantine_counts {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    uint64_t scanning;  /**< Being checked, or waiting for that. */
    uint64_t held;      /**< Waiting for a person. */
    uint64_t rejected;  /**< Rejected and not deleted yet. */
} fp_quarantine_counts;
/** An empty fp_quarantine_counts. */
#define FILEPROC_QUARANTINE_COUNTS_INIT \
    { sizeof(fp_quarantine_counts), 0, 0, 0 }

/**
 * Read what is known of one file.
 *
 * @param jobs     Borrowed.
 * @param file_id  Borrowed.
 * @param[out] out  Set only on success. The caller owns the record: fp_quarantine_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            out is set.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  Reason file_not_found; or not_quarantined: it was available at once.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_get(fp_jobs *jobs, const char *file_id, fp_quarantine **out,
                                         fp_error *err) FILEPROC_NODISCARD;

/**
 * List files in one state, newest first.
 *
 * @param jobs   Borrowed.
 * @param query  Borrowed; NULL for those that are held.
 * @param[out] out  Set only on success. The caller owns the page: fp_quarantine_page_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           One page.
 * @retval FILEPROC_ERR_INVALID  Bad argument; for a bad cursor reason cursor_invalid, for another state parameter_invalid.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_list(fp_jobs *jobs, const fp_quarantine_query *query,
                                          fp_quarantine_page **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Count files by state.
 *
 * @param jobs  Borrowed.
 * @param[in,out] out  Borrowed. Start from FILEPROC_QUARANTINE_COUNTS_INIT.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           out is filled.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_count(fp_jobs *jobs, fp_quarantine_counts *out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Release a file: whoever may read it can from now on, and its pipeline runs. For a file that is being checked, is held, or was rejected
 * and still has its bytes; the pipeline of the last is not begun by this.
 *
 * @param jobs     Borrowed.
 * @param file_id  Borrowed.
 * @param by       Borrowed. Who decides: 1 to 255 bytes of UTF-8.
 * @param note     Borrowed. Why: 1 to 1000 bytes of UTF-8. Both are kept, and told in the event.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is available.
 * @retval FILEPROC_ERR_INVALID   Bad argument; reason parameter_invalid for by or note.
 * @retval FILEPROC_ERR_NOTFOUND  Reason file_not_found or not_quarantined.
 * @retval FILEPROC_ERR_CONFLICT  Reason not_quarantined: it was released before; file_rejected: its bytes are gone.
 * @retval FILEPROC_ERR_IO        The database failed; nothing was changed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_release(fp_jobs *jobs, const char *file_id, const char *by,
                                             const char *note, fp_error *err) FILEPROC_NODISCARD;

/**
 * Reject a file that is being checked or is held. Its bytes are removed unless the settings keep them.
 *
 * @param jobs     Borrowed.
 * @param file_id  Borrowed.
 * @param by       Borrowed. As in fp_quarantine_release().
 * @param note     Borrowed. The same.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is rejected.
 * @retval FILEPROC_ERR_INVALID   Bad argument; reason parameter_invalid for by or note.
 * @retval FILEPROC_ERR_NOTFOUND  Reason file_not_found or not_quarantined.
 * @retval FILEPROC_ERR_CONFLICT  Reason not_quarantined or file_rejected: it is released or rejected already.
 * @retval FILEPROC_ERR_IO        The database failed; nothing was changed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_reject(fp_jobs *jobs, const char *file_id, const char *by,
                                            const char *note, fp_error *err) FILEPROC_NODISCARD;

/**
 * Check a held file once more, as if it had just come. A rejected one is never checked again.
 *
 * @param jobs     Borrowed.
 * @param file_id  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            A new job is queued.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTSUP    There are no checks in the settings.
 * @retval FILEPROC_ERR_NOTFOUND  Reason file_not_found or not_quarantined.
 * @retval FILEPROC_ERR_CONFLICT  Reason file_quarantined: it is being checked; not_quarantined or file_rejected: it is decided.
 * @retval FILEPROC_ERR_IO        The database failed; nothing was changed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_rescan(fp_jobs *jobs, const char *file_id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Remove the bytes of rejected files that are to be removed. fp_jobs_maintain() does this, too.
 *
 * @param jobs  Borrowed.
 * @param[out] removed  How many. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Nothing, or at most 64 more, are left to remove.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The database or the storage failed; call it again later.
 * @par Blocking  Database and storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_sweep(fp_jobs *jobs, uint64_t *removed, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write a record as the JSON object that the REST API shows: file_id, state, scan_job_id, verdict, reason, step, decided_by, note,
 * bytes_removed, created_at, decided_at (RFC 3339).
 *
 * @param ctx     Borrowed.
 * @param record  Borrowed.
 * @param[in,out] out  Borrowed; the text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Appended.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_quarantine_to_json(fp_context *ctx, const fp_quarantine *record,
                                             fp_buf *out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a record.
 *
 * @param record  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per record.
 * @since 0.1
 */
FILEPROC_API void fp_quarantine_free(fp_quarantine *record);

/**
 * Release a page and its records.
 *
 * @param page  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per page.
 * @since 0.1
 */
FILEPROC_API void fp_quarantine_page_free(fp_quarantine_page *page);

FILEPROC_END_DECLS
#endif
