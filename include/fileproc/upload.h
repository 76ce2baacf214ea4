/* Owns: upload sessions: declared size, durable chunks in any order, completion, expiry.
 * Must not know: HTTP or any other protocol in which the bytes arrive. */
#ifndef FILEPROC_UPLOAD_H
#define FILEPROC_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/cache.h>
#include <fileproc/catalog.h>
#include <fileproc/context.h>
#include <fileproc/database.h>
#include <fileproc/job.h>
#include <fileproc/storage.h>

FILEPROC_BEGIN_DECLS

/** The upload engine. Shared. */
typedef struct fp_uploads fp_uploads;
/** A chunk on its way in. One thread at a time. */
typedef struct fp_chunk fp_chunk;
/** Bytes that are being appended. One thread at a time. */
typedef struct fp_append fp_append;

/** An upload as it was when it was read. Made by the library, read-only, released with fp_upload_free(); later
 *  releases may add members at the end. */
typedef struct fp_upload {
    size_t struct_size;          /**< The library's size of this record. */
    const char *id;              /**< UUID. */
    const char *filename;        /**< Without any folder. */
    const char *mime_type;       /**< As declared. */
    const char *owner;           /**< The starter kit's user_id; or NULL. */
    const char *status;          /**< "initiated", "uploading", "completed", "failed" or "cancelled". */
    const char *metadata;        /**< JSON object as given at creation; or NULL. */
    const char *file_id;         /**< Set once completed; else NULL. */
    const char *job_id;          /**< Set once completed when the type has a pipeline; else NULL. */
    const char *sha256;          /**< Of the whole file, when known without reading it again; else NULL. */
    const char *storage_url;     /**< "<scheme>://<bucket>/files/<file_id>"; NULL before completion. */
    uint64_t size;               /**< Declared bytes. */
    uint64_t bytes_received;     /**< Durable bytes. */
    uint64_t chunk_size;         /**< Bytes of every chunk but the last. */
    uint64_t chunks_uploaded;    /**< Durable chunks, each counted once. */
    uint64_t total_chunks;       /**< 0 for an empty file. */
    int64_t created_at_ms;       /**< Milliseconds since 1970 UTC. */
    int64_t updated_at_ms;       /**< Last durable change. */
    int64_t expires_at_ms;       /**< When an unfinished upload is removed; with an idle timeout, unless bytes come. */
    const char *note;            /**< As given at creation; or NULL. */
    uint64_t offset;             /**< Durable bytes from the first one on without a gap: where an append goes on. */
    uint32_t size_unknown;       /**< 1 until fp_upload_set_size(): size and total_chunks are 0. */
    uint32_t flags;              /**< 0, or an or-combination of FILEPROC_UPLOAD_*. */
    const char *expected_sha256; /**< As given at creation; or NULL. Of an upload that failed for it, sha256 is what came. */
} fp_upload;
/** fp_upload.flags: not done now; this is the answer to an earlier request with the same idempotency key. */
#define FILEPROC_UPLOAD_REPLAYED 1u
/** fp_upload.flags and fp_upload_request.flags: it never becomes a file, but a piece of one: fp_upload_concat(). */
#define FILEPROC_UPLOAD_PARTIAL 2u
/** fp_upload.flags: fp_upload_concat() made it; nobody sends bytes to it. */
#define FILEPROC_UPLOAD_FINAL 4u
/** fp_upload.flags: its bytes are just being put together from those of its partial uploads. */
#define FILEPROC_UPLOAD_JOINING 8u

/** Settings for fp_uploads_open(). Start from FILEPROC_UPLOADS_OPTIONS_INIT; 0 or NULL means default. The
 *  handles are borrowed and must outlive the engine. */
typedef struct fp_uploads_options {
    size_t struct_size;         /**< Filled by the initialiser; never by hand. */
    fp_database *database;      /**< Required. Migrated. @since 0.1 */
    fp_storage *storage;        /**< Required. @since 0.1 */
    fp_catalog *catalog;        /**< Required. @since 0.1 */
    fp_jobs *jobs;              /**< NULL: completion queues no job. @since 0.1 */
    const char *allowed_types;  /**< Copied. Comma-separated, an asterisk = all; default: the starter kit's nine. @since 0.1 */
    const char *bucket;         /**< Copied. For storage_url; default "uploads". @since 0.1 */
    uint64_t max_file_size;     /**< Bytes; default 100 MiB. @since 0.1 */
    uint64_t chunk_size;        /**< Bytes, 1 to 1 GiB; default 5 MiB. Files of over 2^20 chunks get larger ones. @since 0.1 */
    uint64_t min_free_bytes;    /**< Room that a new upload must leave in a "file" store; 0 = not looked at. @since 0.1 */
    int64_t session_timeout_ms; /**< Life of an unfinished upload; default 3600000. See idle_timeout_ms. @since 0.1 */
    int64_t tombstone_ms;       /**< How long an ended session is remembered; default 7 days. @since 0.1 */
    /** Called after each durable change, on the thread that made it, with a record that is valid during the
     *  call. NULL = not wanted. @since 0.1 */
    void (*on_progress)(void *user_data, const fp_upload *upload);
    void *user_data; /**< For on_progress and on_lost. @since 0.1 */
    /** For several engines, in one process or many, on one database and one storage that several processes may use (s3): the cache
     *  that they have in common. Each upload is worked on by one of them at a time; while the cache does not answer, what would work on
     *  an upload answers BUSY. NULL: see database_leases. @since 0.1 */
    fp_cache *cache;
    uint32_t lease_ms; /**< With several engines: how long an engine that gives no sign of life keeps an upload; default 10000. @since 0.1 */
    /** Without a cache, 1: there may be several engines all the same, and who works on an upload is agreed on in the database, by its clock; a
     *  few statements per chunk. 0: this engine is the only one. @since 0.1 */
    uint32_t database_leases;
    uint64_t append_step;       /**< Bytes after which a long append makes durable what it has; default 32 MiB. @since 0.1 */
    uint64_t owner_max_bytes;   /**< Bytes of one owner's files and unfinished uploads; 0 = any. @since 0.1 */
    uint64_t owner_max_uploads; /**< Unfinished uploads of one owner; 0 = any. @since 0.1 */
    int64_t idle_timeout_ms;    /**< Life of an unfinished upload without new bytes; 0 = session_timeout_ms, at most that. @since 0.1 */
    /** With several engines: another one has had the upload meanwhile, so nothing counts any more that chunks and appends of this one bring
     *  which began before, and somebody waits for them to end. Called on the thread of the one who waits; must not call the engine.
     *  NULL = nobody can end them. @since 0.1 */
    void (*on_lost)(void *user_data, const char *upload_id);
} fp_uploads_options;
/** All-default fp_uploads_options. */
#define FILEPROC_UPLOADS_OPTIONS_INIT \
    { sizeof(fp_uploads_options), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL }

/** What fp_upload_create() is asked for. Start from FILEPROC_UPLOAD_REQUEST_INIT. Everything is copied. */
typedef struct fp_upload_request {
    size_t struct_size;    /**< Filled by the initialiser; never by hand. */
    const char *filename;  /**< Required: 1 to 255 characters of UTF-8, no control characters; folders are cut off. @since 0.1 */
    const char *mime_type; /**< Required. Parameters after ';' are ignored, letters compared without case. @since 0.1 */
    const char *owner;     /**< At most 255 bytes; or NULL. @since 0.1 */
    const char *metadata;  /**< JSON object of at most 16 KiB; or NULL. @since 0.1 */
    uint64_t size;         /**< Bytes; 0 is a good size. @since 0.1 */
    const char *note;      /**< For the caller's own use: at most 16 KiB of UTF-8 without control characters; or NULL. @since 0.1 */
    uint32_t size_unknown; /**< 1: size is 0 and is declared later, with fp_upload_set_size(). @since 0.1 */
    uint32_t flags;        /**< FILEPROC_UPLOAD_PARTIAL, whose type need not be allowed, or _REUSE; or 0. @since 0.1 */
    const char *sha256;    /**< Of the whole file, 64 hex digits, which fp_upload_complete() then insists on; or NULL. @since 0.1 */
    /** 1 to 255 bytes that the client chose for this request; or NULL. The same request of the same owner with the same key gets the same
     *  answer, and nothing is made twice; another one is refused. Known for as long as the upload is. @since 0.1 */
    const char *idempotency_key;
} fp_upload_request;
/** fp_upload_request.flags: when the owner has a file with this sha256 and size already the upload gets its bytes from there, and is completed
 *  when fp_upload_create() returns; else, or when that can't be done, it begins as any other. Takes as long as copying the file. */
#define FILEPROC_UPLOAD_REUSE 16u
/** An empty fp_upload_request. */
#define FILEPROC_UPLOAD_REQUEST_INIT \
    { sizeof(fp_upload_request), NULL, NULL, NULL, NULL, 0, NULL, 0, 0, NULL, NULL }

/** How fp_chunk_begin() shall check a chunk. Start from FILEPROC_CHUNK_OPTIONS_INIT. */
typedef struct fp_chunk_options {
    size_t struct_size;           /**< Filled by the initialiser; never by hand. */
    const char *digest_algorithm; /**< Borrowed: "sha-256", "md5", "sha" (SHA-1) or "crc32c" as in RFC 9530; NULL = no digest. @since 0.1 */
    const void *digest;           /**< Borrowed. The expected bytes. @since 0.1 */
    size_t digest_size;           /**< Bytes of digest. @since 0.1 */
} fp_chunk_options;
/** All-default fp_chunk_options. */
#define FILEPROC_CHUNK_OPTIONS_INIT \
    { sizeof(fp_chunk_options), NULL, NULL, 0 }

/**
 * Open the upload engine.
 *
 * @param ctx   Borrowed; must outlive the engine.
 * @param opts  Copied; database, storage and catalog are required.
 * @param[out] out  Set only on success. The caller owns it: fp_uploads_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open.
 * @retval FILEPROC_ERR_INVALID  A handle is missing, a setting out of range, or an option newer than this library.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never: sessions are read when first touched, so ten thousand of them cost nothing at the start.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_uploads_open(fp_context *ctx, const fp_uploads_options *opts,
                                       fp_uploads **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Close the engine; durable state stays.
 *
 * @param ups  Taken; NULL is allowed. No chunk of it may be alive.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_uploads_free(fp_uploads *ups);

/**
 * Begin an upload session. It is durable when the call returns.
 *
 * @param ups  Borrowed.
 * @param req  Borrowed.
 * @param[out] out  Set only on success. The caller owns the record: fp_upload_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           The session exists. With FILEPROC_UPLOAD_REPLAYED it did before; then out shows it as it was when it
 *                               was made, whatever has become of it. With FILEPROC_UPLOAD_REUSE it may be completed.
 * @retval FILEPROC_ERR_INVALID  Reason filename_invalid, metadata_invalid, type_not_allowed, or parameter_invalid for a sha256 or
 *                               a key that is none; or idempotency_reused.
 * @retval FILEPROC_ERR_QUOTA    Reason size_too_large, storage_full, quota_exceeded or too_many_uploads.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_create(fp_uploads *ups, const fp_upload_request *req,
                                        fp_upload **out, fp_error *err) FILEPROC_NODISCARD;

/** Most uploads that fp_upload_concat() puts together. */
#define FILEPROC_CONCAT_MAX 10000u

/**
 * Begin an upload whose bytes are those of partial uploads, one behind the other. It is durable when the call returns.
 * fp_upload_complete() then puts the bytes together, inside the storage where that can, and makes the file, as soon as all of
 * them are there; the partial uploads are cancelled after that, unless another such upload waits for them. No bytes can be
 * sent to it. The same request again, as of a client that heard no answer, gets the same upload, unless that has been cancelled,
 * has failed or has expired; then out has FILEPROC_UPLOAD_REPLAYED.
 *
 * @param ups   Borrowed.
 * @param req   Borrowed. As for fp_upload_create(); size, size_unknown and flags are 0, since the partial uploads tell the size.
 * @param ids   Borrowed. The partial uploads in this order; the same one may come more than once.
 * @param count 1 to FILEPROC_CONCAT_MAX.
 * @param[out] out  Set only on success. The caller owns the record: fp_upload_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It exists.
 * @retval FILEPROC_ERR_INVALID   Reason concat_invalid: one of them is no partial upload, or there are none or too many. Or as
 *                                fp_upload_create().
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found, also for a partial upload of another owner; upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_cancelled: one of them was.
 * @retval FILEPROC_ERR_QUOTA     Reason size_too_large, or storage_full.
 * @retval FILEPROC_ERR_BUSY      Another engine is just taking one of them over; try again.
 * @retval FILEPROC_ERR_CORRUPT   One of them has failed.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_concat(fp_uploads *ups, const fp_upload_request *req,
                                        const char *const *ids, size_t count, fp_upload **out,
                                        fp_error *err) FILEPROC_NODISCARD;

/**
 * Complete those uploads that wait for a partial one and have all their bytes by now. To be called when a partial upload has
 * become whole; fp_uploads_reap() does what was left undone.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed. The partial upload.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Done; those that wait for others still do.
 * @retval FILEPROC_ERR_BUSY   One could not be completed now; and so any other failure of fp_upload_complete().
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_complete_waiting(fp_uploads *ups, const char *id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Read the present state of an upload: only what is durable.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param[out] out  Set only on success. The caller owns the record: fp_upload_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            out is set; a cancelled or completed session still shows.
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found, or upload_expired while it is remembered.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage; never on a writer.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_get(fp_uploads *ups, const char *id, fp_upload **out, fp_error *err)
    FILEPROC_NODISCARD;

/** Neighbouring chunks. */
typedef struct fp_chunk_range {
    uint64_t first; /**< Index of the first one. */
    uint64_t last;  /**< Index of the last one, which may be the first. */
} fp_chunk_range;

/** Most ranges that fp_upload_map() shows at once. */
#define FILEPROC_CHUNK_RANGES_MAX 10000u

/** Which chunks are there, as fp_upload_map() found them. Made by the library, read-only, released with fp_chunk_map_free();
 *  later releases may add members at the end. */
typedef struct fp_chunk_map {
    size_t struct_size;            /**< The library's size of this record. */
    const fp_chunk_range *durable; /**< Chunks that are on disk, as few ranges as there can be, ascending. */
    const fp_chunk_range *missing; /**< Those that are not. */
    size_t durable_count;          /**< Ranges in durable. */
    size_t missing_count;          /**< Ranges in missing. */
    uint64_t total_chunks;         /**< Of the whole upload. */
    uint64_t chunks_uploaded;      /**< Durable ones of the whole upload. */
    uint64_t chunk_size;           /**< Bytes of every chunk but the last. */
    uint64_t first;                /**< The ranges tell of the chunks from this one on... */
    uint64_t next;                 /**< ...to the one before this; total_chunks when that is all. */
} fp_chunk_map;

/**
 * Tell which chunks of an upload are durable and which are missing. Memory and time depend on @p limit and hardly on the
 * number of chunks; who wants all asks again from fp_chunk_map.next until that is total_chunks.
 *
 * @param ups    Borrowed.
 * @param id     Borrowed.
 * @param from   Index of the first chunk to tell of; at or behind the end there is nothing to tell.
 * @param limit  Ranges of both kinds together, 1 to FILEPROC_CHUNK_RANGES_MAX.
 * @param[out] out  Set only on success. The caller owns the map: fp_chunk_map_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            out is set. Of a completed upload all chunks are durable.
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_cancelled: nothing is stored any more.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_BUSY      Another engine is just taking the upload over; try again.
 * @retval FILEPROC_ERR_CORRUPT   The upload has failed.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage; never on a writer.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_map(fp_uploads *ups, const char *id, uint64_t from, uint32_t limit,
                                     fp_chunk_map **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a map.
 *
 * @param map  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per map.
 * @since 0.1
 */
FILEPROC_API void fp_chunk_map_free(fp_chunk_map *map);

/**
 * Begin to receive chunk @p index. A newcomer takes the chunk over from a writer that is still at it (a dead connection,
 * mostly): the old one's next write answers chunk_superseded. A chunk that is durable already is compared with what
 * arrives.
 *
 * @param ups    Borrowed; must outlive the chunk.
 * @param id     Borrowed.
 * @param index  0 to total_chunks - 1.
 * @param opts   NULL for no digest. Copied.
 * @param[out] out  Set only on success. The caller owns it and ends it with fp_chunk_free(), after fp_chunk_commit() or
 *                  without, to drop it.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Ready for fp_chunk_write().
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_completed, upload_cancelled or upload_final; chunk_conflict when bytes in the
 *                                middle of the chunk came by appending, so that it can't be sent as a whole.
 * @retval FILEPROC_ERR_INVALID   Reason chunk_index_invalid or digest_unsupported.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full.
 * @retval FILEPROC_ERR_CORRUPT   The upload has failed: what was stored of it is damaged.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_chunk_begin(fp_uploads *ups, const char *id, uint64_t index,
                                      const fp_chunk_options *opts, fp_chunk **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * How many bytes this chunk must have.
 *
 * @param chunk  Borrowed.
 * @return       Bytes.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per chunk.
 * @since 0.1
 */
FILEPROC_API uint64_t fp_chunk_length(const fp_chunk *chunk);

/**
 * Add bytes to a chunk, in order.
 *
 * @param chunk  Borrowed.
 * @param data   Borrowed.
 * @param size   Bytes.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Taken, not durable yet.
 * @retval FILEPROC_ERR_INVALID   More bytes than the chunk has. Reason chunk_length_invalid.
 * @retval FILEPROC_ERR_CONFLICT  Other bytes than the durable ones (chunk_conflict), another writer took over
 *                                (chunk_superseded), or the upload has ended (upload_completed, upload_cancelled).
 * @retval FILEPROC_ERR_NOTFOUND  It expired meanwhile. Reason upload_expired.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full.
 * @retval FILEPROC_ERR_IO        The storage failed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per chunk.
 * @since 0.1
 */
FILEPROC_API fp_status fp_chunk_write(fp_chunk *chunk, const void *data, size_t size, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Make a chunk durable: when this returns FILEPROC_OK its bytes and their record are on disk. On failure it is as if
 * the chunk had never been sent.
 *
 * @param chunk     Borrowed; afterwards only fp_chunk_free() is allowed.
 * @param[out] out  Set only on success: the upload with this chunk in it, owned by the caller. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Durable; also when it was durable before.
 * @retval FILEPROC_ERR_INVALID   Too few bytes (chunk_length_invalid) or the digest is another (digest_mismatch).
 * @retval FILEPROC_ERR_CONFLICT  Reason chunk_superseded, upload_completed or upload_cancelled.
 * @retval FILEPROC_ERR_NOTFOUND  It expired meanwhile. Reason upload_expired.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full.
 * @retval FILEPROC_ERR_IO        The storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per chunk.
 * @since 0.1
 */
FILEPROC_API fp_status fp_chunk_commit(fp_chunk *chunk, fp_upload **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * End a chunk; what was not committed is dropped.
 *
 * @param chunk  Taken; NULL is allowed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per chunk.
 * @since 0.1
 */
FILEPROC_API void fp_chunk_free(fp_chunk *chunk);

/** How fp_append_begin() shall take bytes. Start from FILEPROC_APPEND_OPTIONS_INIT. */
typedef struct fp_append_options {
    size_t struct_size;           /**< Filled by the initialiser; never by hand. */
    const char *digest_algorithm; /**< Borrowed: as in fp_chunk_options; of just the bytes of this append. NULL = no digest. @since 0.1 */
    const void *digest;           /**< Borrowed. The expected bytes. @since 0.1 */
    size_t digest_size;           /**< Bytes of digest. @since 0.1 */
    uint64_t length;              /**< Bytes that are to come at the most; 0 = as many as the upload has room for. @since 0.1 */
    uint32_t digest_later;        /**< 1: there is a digest, which fp_append_expect() tells behind the last byte. @since 0.1 */
    uint32_t reserved;            /**< 0. */
} fp_append_options;
/** All-default fp_append_options. */
#define FILEPROC_APPEND_OPTIONS_INIT \
    { sizeof(fp_append_options), NULL, NULL, 0, 0, 0, 0 }

/**
 * Begin to append bytes to an upload, of any number, from @p offset on. At any time one append is at work on an upload: a
 * newcomer takes it over at once, also from one that is at work in another process, and the old one's next write or commit answers
 * chunk_superseded (or BUSY). Where bytes behind the offset are durable already, because they came as chunks, what arrives is
 * compared with them where the storage can read them back.
 *
 * @param ups     Borrowed; must outlive the append.
 * @param id      Borrowed.
 * @param offset  Where the caller believes the upload to be: fp_upload.offset.
 * @param opts    NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns it and ends it with fp_append_free(), after fp_append_commit() or
 *                  without, to drop it.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Ready for fp_append_write().
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason offset_mismatch: the upload is elsewhere, fp_upload_get() tells where; nothing has
 *                                changed. Or upload_completed, upload_cancelled or upload_final.
 * @retval FILEPROC_ERR_INVALID   Reason length_exceeded (the length goes beyond the upload's size) or digest_unsupported.
 * @retval FILEPROC_ERR_QUOTA     Of an upload of unknown size: reason size_too_large (it would become larger than a file may be),
 *                                quota_exceeded (its owner has no more left), or storage_full.
 * @retval FILEPROC_ERR_BUSY      The cache is away, or another engine does not let go.
 * @retval FILEPROC_ERR_CORRUPT   The upload has failed: what was stored of it is damaged.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_append_begin(fp_uploads *ups, const char *id, uint64_t offset,
                                       const fp_append_options *opts, fp_append **out,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Append bytes. Without a digest, what was taken becomes durable on the way every fp_uploads_options.append_step bytes, and when ten
 * seconds have passed, so that a crash takes no more than that; with one, nothing is durable before fp_append_commit().
 *
 * @param append  Borrowed.
 * @param data    Borrowed.
 * @param size    Bytes.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Taken.
 * @retval FILEPROC_ERR_INVALID   More bytes than were announced or than the upload has: reason length_exceeded, and none of
 *                                these bytes was taken. Or, with a digest, more than one gap would be filled.
 * @retval FILEPROC_ERR_CONFLICT  Other bytes than the durable ones (chunk_conflict), another writer took over (chunk_superseded), or
 *                                the upload has ended (upload_completed, upload_cancelled).
 * @retval FILEPROC_ERR_NOTFOUND  It expired meanwhile. Reason upload_expired.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full; or, and none of these bytes was taken, size_too_large or quota_exceeded.
 * @retval FILEPROC_ERR_BUSY      Another engine has taken the upload over.
 * @retval FILEPROC_ERR_IO        The storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per append.
 * @since 0.1
 */
FILEPROC_API fp_status fp_append_write(fp_append *append, const void *data, size_t size,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Tell the digest of an append that began with digest_later, in any algorithm. Without it fp_append_commit() fails.
 *
 * @param append     Borrowed.
 * @param algorithm  Borrowed. As in fp_append_options.
 * @param digest     Borrowed. The expected bytes.
 * @param size       Bytes of digest.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           fp_append_commit() compares.
 * @retval FILEPROC_ERR_INVALID  Reason digest_unsupported; another size than the algorithm's; or it did not begin so, or was told before.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per append.
 * @since 0.1
 */
FILEPROC_API fp_status fp_append_expect(fp_append *append, const char *algorithm, const void *digest,
                                        size_t size, fp_error *err) FILEPROC_NODISCARD;

/**
 * Make durable what was taken, however much that is: an append that broke off is committed like any other. On failure
 * nothing of it is kept but what had become durable on the way.
 *
 * @param append    Borrowed; afterwards only fp_append_free() is allowed.
 * @param[out] out  Set only on success: the upload with these bytes in it, owned by the caller. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Durable.
 * @retval FILEPROC_ERR_INVALID   Reason digest_mismatch: nothing of this append is kept.
 * @retval FILEPROC_ERR_CONFLICT  Reason chunk_superseded, upload_completed or upload_cancelled.
 * @retval FILEPROC_ERR_NOTFOUND  It expired meanwhile. Reason upload_expired.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full.
 * @retval FILEPROC_ERR_BUSY      Another engine has taken the upload over.
 * @retval FILEPROC_ERR_IO        The storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per append.
 * @since 0.1
 */
FILEPROC_API fp_status fp_append_commit(fp_append *append, fp_upload **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * End an append; what was not committed is dropped.
 *
 * @param append  Taken; NULL is allowed.
 * @par Blocking  Storage.
 * @par Threads   One thread at a time per append.
 * @since 0.1
 */
FILEPROC_API void fp_append_free(fp_append *append);

/** Largest number of a part that a client may send straight to the store. */
#define FILEPROC_DIRECT_PARTS_MAX 10000u

/** A part that a client sent straight to the store. Frozen. */
typedef struct fp_direct_part {
    uint32_t number;   /**< From 1 on: part n has the bytes from (n - 1) * part size on. */
    uint32_t reserved; /**< 0. */
    uint64_t size;     /**< Bytes, as the store tells them; not used by fp_upload_adopt(). */
    const char *etag;  /**< What the store answered whoever sent it. Borrowed for the call. */
} fp_direct_part;

/**
 * Tell how many bytes a part of an upload must have that a client sends straight to the store.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param[out] size  Set only on success: bytes of every part but the last, which may have fewer.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK  size is set. Otherwise as fp_upload_presign().
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_part_size(fp_uploads *ups, const char *id, uint64_t *size,
                                           fp_error *err) FILEPROC_NODISCARD;

/**
 * Make an address to which a client may PUT part @p number of an upload itself, past this engine, for a while. What it sends there
 * belongs to the upload once fp_upload_adopt() has taken it.
 *
 * @param ups        Borrowed.
 * @param id         Borrowed.
 * @param number     1 to FILEPROC_DIRECT_PARTS_MAX.
 * @param expires_s  Seconds that it is good for: 1 to 604800. Not longer than the upload itself.
 * @param[in,out] url  Borrowed; the address is appended on success. It is a secret until it expires.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            url has it.
 * @retval FILEPROC_ERR_INVALID   Reason chunk_index_invalid: the upload can't have such a part; or a bad argument.
 * @retval FILEPROC_ERR_QUOTA     Reason size_too_large: a file with this part would be larger than any may be. Or quota_exceeded: of an
 *                                upload without a size, when the owner has not a byte left for the part.
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_completed or upload_cancelled.
 * @retval FILEPROC_ERR_NOTSUP    The store signs no addresses.
 * @retval FILEPROC_ERR_BUSY      Another engine works on the upload, or the cache is away.
 * @retval FILEPROC_ERR_CORRUPT   The upload has failed.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_presign(fp_uploads *ups, const char *id, uint32_t number,
                                         uint32_t expires_s, fp_buf *url, fp_error *err)
    FILEPROC_NODISCARD;

/** Called once per part by fp_upload_written(), in the order of the numbers; a failure stops it and is returned. */
typedef fp_status (*fp_direct_part_fn)(void *user_data, const fp_direct_part *part, fp_error *err);

/**
 * Tell which parts of an open upload the store has, taken by fp_upload_adopt() or not. Parts that came through an engine may be among
 * them.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param fn   Called from within.
 * @param user_data  Given to fn.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK  All were told. Otherwise as fp_upload_presign().
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_written(fp_uploads *ups, const char *id, fp_direct_part_fn fn,
                                         void *user_data, fp_error *err) FILEPROC_NODISCARD;

/**
 * Make parts that a client sent straight to the store bytes of the upload, durably, once the store confirms that it has just them.
 * The size of an upload that was created without one is declared on the way: it ends with the last of the parts. What is durable
 * already is passed over, so calling it again, also after a crash, succeeds. fp_upload_complete() may follow.
 *
 * @param ups    Borrowed.
 * @param id     Borrowed.
 * @param parts  Borrowed. In ascending order, each number once; number and etag count.
 * @param count  How many; with 0 nothing happens.
 * @param[out] out  Set only on success: the upload with these parts in it, owned by the caller. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            They are durable.
 * @retval FILEPROC_ERR_INVALID   Reason upload_incomplete: the store has no such part, or another one, or more parts than were told of
 *                                an upload that was created without a size; chunk_length_invalid: a part
 *                                that is not the last has another size than all of them must have, or the last one does not end
 *                                where the upload does; or a bad argument.
 * @retval FILEPROC_ERR_QUOTA     Reason size_too_large or quota_exceeded.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_completed or upload_cancelled; chunk_conflict when some bytes of a part came another
 *                                way.
 * @retval FILEPROC_ERR_NOTFOUND  As fp_upload_presign(), and so the others.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_adopt(fp_uploads *ups, const char *id, const fp_direct_part *parts,
                                       size_t count, fp_upload **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Declare the size of an upload that was created without one. Declaring the same size again succeeds. An append that is under
 * way is superseded; what of it is durable stays.
 *
 * @param ups   Borrowed.
 * @param id    Borrowed.
 * @param size  Bytes of the whole.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Declared, durably.
 * @retval FILEPROC_ERR_INVALID   Reason length_invalid: it has another size, or has more bytes already.
 * @retval FILEPROC_ERR_QUOTA     Reason size_too_large, quota_exceeded or storage_full.
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_completed, upload_cancelled or upload_final.
 * @retval FILEPROC_ERR_BUSY      Another engine works on the upload.
 * @retval FILEPROC_ERR_CORRUPT   The upload has failed: what was stored of it is damaged.
 * @retval FILEPROC_ERR_IO        The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_set_size(fp_uploads *ups, const char *id, uint64_t size,
                                          fp_error *err) FILEPROC_NODISCARD;

/**
 * Turn a covered upload into a file of the catalog, with its default job and event, in one transaction. Takes the same time
 * for any size, unless a SHA-256 was given and chunks came out of order: what was not hashed on its way in is read back first.
 * Calling it again, also after a crash, gives the same answer.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param[out] out  Set only on success: file_id, job_id and storage_url are in it. The caller owns it.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            The file exists.
 * @retval FILEPROC_ERR_INVALID   Chunks are missing. Reason upload_incomplete. Or the SHA-256 is another than was given: reason
 *                                sha256_mismatch, the upload has failed for good, and there is no file.
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_cancelled; upload_partial.
 * @retval FILEPROC_ERR_QUOTA     Reason storage_full; try again later.
 * @retval FILEPROC_ERR_CORRUPT   What was stored is damaged or gone; the upload has failed.
 * @retval FILEPROC_ERR_IO        The database or the storage failed; try again later.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_complete(fp_uploads *ups, const char *id, fp_upload **out,
                                          fp_error *err) FILEPROC_NODISCARD;

/**
 * As fp_upload_complete(), for a request that a client may repeat under a key of its own: the key stands for the completion of
 * this upload from now on, and for nothing else of its owner. What it stands for is durable, but no failure is: after one the
 * same call tries again. In an answer that was given before, out has FILEPROC_UPLOAD_REPLAYED.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param idempotency_key  Borrowed. 1 to 255 bytes; NULL is fp_upload_complete().
 * @param[out] out  Set only on success. The caller owns the record: fp_upload_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            The file exists.
 * @retval FILEPROC_ERR_INVALID   Reason idempotency_reused; parameter_invalid for a key that is none; or as
 *                                fp_upload_complete().
 * @retval FILEPROC_ERR_CONFLICT  Reason request_in_progress: the first call with this key has not ended, here or at another
 *                                engine. Or as fp_upload_complete().
 * @retval FILEPROC_ERR_NOTFOUND  As fp_upload_complete(), and so the others.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_complete_keyed(fp_uploads *ups, const char *id,
                                                const char *idempotency_key, fp_upload **out,
                                                fp_error *err) FILEPROC_NODISCARD;

/**
 * Cancel an unfinished upload and remove its bytes. Cancelling twice succeeds.
 *
 * @param ups  Borrowed.
 * @param id   Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Cancelled. Bytes that could not be removed at once go with fp_uploads_reap().
 * @retval FILEPROC_ERR_NOTFOUND  Reason upload_not_found or upload_expired.
 * @retval FILEPROC_ERR_CONFLICT  Reason upload_completed.
 * @retval FILEPROC_ERR_IO        The database failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_cancel(fp_uploads *ups, const char *id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Lend a thread that computes the SHA-256 of large chunks beside those who write them, one at a time, until
 * fp_uploads_stop_hasher(). Without it the writers do that themselves; nothing else differs. It is worth a thread where cores
 * are idle: one client's upload is faster by a third.
 *
 * @param ups  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Stopped. All that it had begun is done.
 * @retval FILEPROC_ERR_CONFLICT  Another thread is lent already.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Until it is stopped.
 * @par Threads   Callable from any thread; one at a time runs.
 * @since 0.1
 */
FILEPROC_API fp_status fp_uploads_run_hasher(fp_uploads *ups, fp_error *err) FILEPROC_NODISCARD;

/**
 * End fp_uploads_run_hasher(), also one that is just beginning.
 *
 * @param ups  Borrowed. NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API void fp_uploads_stop_hasher(fp_uploads *ups);

/** What fp_uploads_reap() did. Start from FILEPROC_REAPED_INIT. */
typedef struct fp_reaped {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    uint64_t expired;   /**< Sessions that ran out. */
    uint64_t discarded; /**< Staged objects removed: expired, cancelled, finished or without a session. */
    uint64_t forgotten; /**< Tombstones removed. */
    uint64_t open;      /**< Unfinished sessions that are left. */
    uint64_t bytes;     /**< Of the staged objects removed, as far as the store tells. */
} fp_reaped;
/** An empty fp_reaped. */
#define FILEPROC_REAPED_INIT \
    { sizeof(fp_reaped), 0, 0, 0, 0, 0 }

/**
 * Remove what expired, was cancelled, or has no session, and forget old tombstones. To be called now and then.
 *
 * @param ups       Borrowed.
 * @param grace_ms  Staged objects without a session are left alone until they are this old; 3600000 is a good value.
 * @param[in,out] did  Borrowed; filled with what was done, also when something else failed. May be NULL.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK      Done.
 * @retval FILEPROC_ERR_IO  The database or the storage failed; call it again later.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_uploads_reap(fp_uploads *ups, int64_t grace_ms, fp_reaped *did,
                                       fp_error *err) FILEPROC_NODISCARD;

/** fp_reap_item.kind: an unfinished upload whose time is over; bytes are those that are not staged any more. */
#define FILEPROC_REAP_EXPIRED 1
/** fp_reap_item.kind: what is stored under this id for an upload that expires or has ended, or for none. */
#define FILEPROC_REAP_STAGED 2

/** Something that the reaper would remove. Made by the library, valid during the call; later releases may add members at the end. */
typedef struct fp_reap_item {
    size_t struct_size; /**< The library's size of this record. */
    int32_t kind;       /**< FILEPROC_REAP_*. */
    uint32_t reserved;  /**< 0. */
    const char *id;     /**< Of the upload, or whatever else it is staged under. */
    uint64_t bytes;     /**< That would be free. */
    int64_t time_ms;    /**< When it expired, or was changed last. */
} fp_reap_item;

/** Called for each item, on the thread that asked. */
typedef void (*fp_reap_fn)(void *user_data, const fp_reap_item *item);

/**
 * Tell what fp_uploads_reap() would remove now, and change nothing. It may be asked of an engine beside the one that works, also in
 * another process. What a crash left at an S3 server where no list shows it is not looked for.
 *
 * @param ups        Borrowed.
 * @param grace_ms   As for fp_uploads_reap().
 * @param fn         Called for each upload and each staged object, on this thread; tombstones are only counted. NULL = not wanted.
 * @param user_data  For fn.
 * @param[in,out] would  Borrowed; filled with what fp_uploads_reap() would say, as far as it could be found out. May be NULL.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           All was told.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The database or the storage failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database, storage.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_uploads_reap_dry_run(fp_uploads *ups, int64_t grace_ms, fp_reap_fn fn,
                                               void *user_data, fp_reaped *would, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write an upload as the JSON object that the REST API's status shows: the starter kit's members (id, filename, size,
 * mime_type, user_id, status, chunks_uploaded, total_chunks, created_at, updated_at, expires_at) and ours (bytes_received,
 * chunk_size, percentage, file_id, processing_job_id, metadata).
 *
 * @param ctx     Borrowed.
 * @param upload  Borrowed.
 * @param[in,out] out  Borrowed; the text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Appended.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_upload_to_json(fp_context *ctx, const fp_upload *upload, fp_buf *out,
                                         fp_error *err) FILEPROC_NODISCARD;

/**
 * Release an upload record.
 *
 * @param upload  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per record.
 * @since 0.1
 */
FILEPROC_API void fp_upload_free(fp_upload *upload);

FILEPROC_END_DECLS
#endif
