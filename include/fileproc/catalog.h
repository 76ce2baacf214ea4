/* Owns: files: the rows that name stored objects, who owns them, where they come from, what is known of them.
 * Must not know: uploads, jobs, HTTP. */
#ifndef FILEPROC_CATALOG_H
#define FILEPROC_CATALOG_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/context.h>
#include <fileproc/database.h>
#include <fileproc/storage.h>

FILEPROC_BEGIN_DECLS

/** The catalog of files in a database. Shared. */
typedef struct fp_catalog fp_catalog;

/** A file as it was when it was read. Made by the library, read-only, released with fp_file_free(); later
 *  releases may add members at the end. All text is UTF-8 and lives as long as the record. */
typedef struct fp_file {
    size_t struct_size;             /**< The library's size of this record. */
    const char *id;                 /**< UUID. */
    const char *filename;           /**< As the sender named it, without any folder. */
    uint64_t size;                  /**< Bytes. */
    const char *mime_type;          /**< As declared. */
    const char *detected_mime_type; /**< As sniffed from the bytes; NULL while unknown. */
    const char *sha256;             /**< 64 hex digits; NULL while unknown. */
    const char *state;              /**< "available", "quarantined", "rejected" or "deleting"; fp_file_check(). */
    const char *owner;              /**< Who uploaded it; NULL when nobody said. */
    const char *parent_id;          /**< The file it was derived from; NULL for an upload. */
    const char *operation;          /**< The operation that derived it, such as "image.resize"; or NULL. */
    const char *storage_key;        /**< Its object's key. */
    const char *info;               /**< JSON object: what pipelines learnt of it; "{}" at first. */
    int64_t created_at_ms;          /**< Milliseconds since 1970 UTC. */
} fp_file;

/** One page of files. Made by the library, read-only, released with fp_file_page_free(). */
typedef struct fp_file_page {
    size_t struct_size;          /**< The library's size of this record. */
    size_t count;                /**< How many. */
    const fp_file *const *items; /**< Newest first. */
    const char *next;            /**< Cursor for the next page; NULL at the end. */
} fp_file_page;

/** Which files fp_catalog_list() shows. Start from FILEPROC_FILE_QUERY_INIT; NULL means "any". */
typedef struct fp_file_query {
    size_t struct_size;    /**< Filled by the initialiser; never by hand. */
    const char *owner;     /**< Borrowed. Only this owner's. @since 0.1 */
    const char *parent_id; /**< Borrowed. Only derivatives of this file; NULL: only uploads. @since 0.1 */
    const char *mime_type; /**< Borrowed. Declared type, "image/png" or "image/" followed by an asterisk. @since 0.1 */
    const char *cursor;    /**< Borrowed. `next` of the page before. @since 0.1 */
    size_t limit;          /**< 1 to 1000; 0 means 50. @since 0.1 */
} fp_file_query;
/** An fp_file_query for the newest uploads. */
#define FILEPROC_FILE_QUERY_INIT \
    { sizeof(fp_file_query), NULL, NULL, NULL, NULL, 0 }

/**
 * Open the catalog in a migrated database.
 *
 * @param ctx  Borrowed; must outlive the catalog.
 * @param db   Borrowed; must outlive the catalog.
 * @param st   Borrowed; must outlive the catalog. Where the objects are.
 * @param[out] out  Set only on success. The caller owns it: fp_catalog_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open.
 * @retval FILEPROC_ERR_INVALID  An argument is NULL.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_open(fp_context *ctx, fp_database *db, fp_storage *st,
                                       fp_catalog **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Close a catalog.
 *
 * @param cat  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_catalog_free(fp_catalog *cat);

/**
 * Read one file. A file being deleted is not found; one in quarantine, or rejected, is: ask fp_file_check() before its bytes are given to
 * anybody.
 *
 * @param cat  Borrowed.
 * @param id   Borrowed.
 * @param[out] out  Set only on success. The caller owns the record: fp_file_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            out is set.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such file. Reason file_not_found.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_get(fp_catalog *cat, const char *id, fp_file **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Keep what fp_catalog_get_json() has read in memory. A file that this catalog, or a ledger with it, changes or deletes is never shown as
 * it was before, once the call that did so has returned. What others change is seen after max_age_ms at the latest.
 *
 * @param cat         Borrowed.
 * @param max_bytes   Of all that is kept; 0 = nothing is, as at first.
 * @param max_age_ms  Milliseconds; 0 = nothing is kept.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Done.
 * @retval FILEPROC_ERR_INVALID  cat is NULL.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; nothing was changed.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_set_cache(fp_catalog *cat, size_t max_bytes, uint32_t max_age_ms,
                                            fp_error *err) FILEPROC_NODISCARD;

/**
 * Read one file as fp_file_to_json() writes it, from memory when it was read lately: fp_catalog_set_cache().
 *
 * @param cat  Borrowed.
 * @param id   Borrowed.
 * @param[in,out] out  Borrowed; the text is appended.
 * @param[out] tag     Set only on success: a number that is another one when the text is. The same in each process. May be NULL.
 * @param[out] err     Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Appended.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such file. Reason file_not_found.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed; out is unchanged.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_get_json(fp_catalog *cat, const char *id, fp_buf *out,
                                           uint64_t *tag, fp_error *err) FILEPROC_NODISCARD;

/**
 * List files, newest first, with a keyset cursor: stable under insertions.
 *
 * @param cat    Borrowed.
 * @param query  Borrowed; NULL for the newest uploads of anybody.
 * @param[out] out  Set only on success. The caller owns the page: fp_file_page_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           One page.
 * @retval FILEPROC_ERR_INVALID  Bad argument; for a bad cursor reason cursor_invalid.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_list(fp_catalog *cat, const fp_file_query *query,
                                       fp_file_page **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Delete a file and everything derived from it: rows, objects, queued jobs. Once it returned FILEPROC_OK the file
 * is gone for every reader; objects that could not be removed at once are removed by fp_catalog_sweep().
 *
 * @param cat  Borrowed.
 * @param id   Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Deleted.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such file. Reason file_not_found.
 * @retval FILEPROC_ERR_IO        The database failed; nothing was changed.
 * @par Blocking  Database and storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_delete(fp_catalog *cat, const char *id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Finish deletions that a crash or an unreachable store interrupted.
 *
 * @param cat  Borrowed.
 * @param[out] removed  Files finished. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK     Nothing is left to do.
 * @retval FILEPROC_ERR_IO The database or the storage failed; call it again later.
 * @par Blocking  Database and storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_catalog_sweep(fp_catalog *cat, uint64_t *removed, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write a file as the JSON object that the REST API shows: id, filename, size, mime_type, detected_mime_type,
 * sha256, state, owner, parent_id, operation, created_at (RFC 3339), info.
 *
 * @param ctx   Borrowed.
 * @param file  Borrowed.
 * @param[in,out] out  Borrowed; the text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Appended.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_file_to_json(fp_context *ctx, const fp_file *file, fp_buf *out,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Whether the bytes of a file may be read.
 *
 * @param file  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is available.
 * @retval FILEPROC_ERR_INVALID   file is NULL.
 * @retval FILEPROC_ERR_CONFLICT  Reason file_quarantined: not yet, fileproc/quarantine.h.
 * @retval FILEPROC_ERR_AUTH      Reason file_rejected: it is not to be read, and its bytes may be gone.
 * @retval FILEPROC_ERR_NOTFOUND  Reason file_not_found: it is being deleted.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_file_check(const fp_file *file, fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a file record.
 *
 * @param file  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per record.
 * @since 0.1
 */
FILEPROC_API void fp_file_free(fp_file *file);

/**
 * Release a page and its records.
 *
 * @param page  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per page.
 * @since 0.1
 */
FILEPROC_API void fp_file_page_free(fp_file_page *page);

FILEPROC_END_DECLS
#endif
