/* Owns: objects under keys, and the staged object ("assembly") that uploads write into.
 * Must not know: uploads, the catalog, HTTP. */
#ifndef FILEPROC_STORAGE_H
#define FILEPROC_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/context.h>

FILEPROC_BEGIN_DECLS

/** An open store. Shared: any number of threads may use one store at the same time, except that
 *  nothing may run beside or after fp_storage_free().
 *
 *  Keys are 1 to 1024 bytes: segments of [A-Za-z0-9._-], separated by single '/', none of them "." or
 *  "..", none longer than 200 bytes. Anything else answers FILEPROC_ERR_INVALID, reason key_invalid. A key
 *  may not be the folder of another one: "a" beside "a/b" answers FILEPROC_ERR_CONFLICT at publication. (Where there
 *  are no folders, in s3, that is not checked: it would cost requests, and two writers could pass each other.)
 *  Times are those of the context's clock, in s3 those of the server. */
typedef struct fp_storage fp_storage;

/** Settings for fp_storage_open(). Start from FILEPROC_STORAGE_OPTIONS_INIT; 0 in any member means
 *  "library default". */
typedef struct fp_storage_options {
    size_t struct_size;          /**< Filled by the initialiser; never by hand. */
    uint64_t max_bytes;          /**< mem: objects and staging together; default 256 MiB. @since 0.1 */
    uint32_t connect_timeout_ms; /**< Milliseconds, network drivers; default 10000. @since 0.1 */
    uint32_t max_attempts;       /**< Tries per call, the first included; default 4. @since 0.1 */
    const char *access_key;      /**< s3: who asks. Copied, wiped at the end. No default. @since 0.1 */
    const char *secret_key;      /**< s3: what proves it. Copied, wiped at the end. No default. @since 0.1 */
    /** s3: bytes of a part of a multipart upload, 5 MiB (default) to 1 GiB; an object has 10000 of them at the most. Parts
     *  of assemblies that begin and end at multiples of it are neither copied nor kept in memory. @since 0.1 */
    uint64_t part_size;
} fp_storage_options;
/** All-default fp_storage_options. */
#define FILEPROC_STORAGE_OPTIONS_INIT \
    { sizeof(fp_storage_options), 0, 0, 0, NULL, NULL, 0 }

/** Bytes of an etag, the NUL included. */
#define FILEPROC_ETAG_SIZE 80u

/** What fp_storage_stat() tells. Start from FILEPROC_STORAGE_INFO_INIT. */
typedef struct fp_storage_info {
    size_t struct_size;  /**< Filled by the initialiser; never by hand. */
    uint64_t size;       /**< Bytes. */
    int64_t modified_ms; /**< When it was published, milliseconds since 1970 UTC. */
    /** Text that is another one once the key has other bytes: letters, digits, '.', '_' and '-'. What it is made of is the
     *  driver's business; "" from a driver that does not tell. @since 0.1 */
    char etag[FILEPROC_ETAG_SIZE];
} fp_storage_info;
/** An empty fp_storage_info. */
#define FILEPROC_STORAGE_INFO_INIT       \
    {                                    \
        sizeof(fp_storage_info), 0, 0, { \
            '\0'                         \
        }                                \
    }

/** One page of names. Made by the library, read-only, released with fp_storage_list_free(). */
typedef struct fp_storage_list_page {
    size_t struct_size;         /**< The library's size of this record. */
    size_t count;               /**< How many names. */
    const char *const *names;   /**< Keys or assembly ids, in byte order. */
    const uint64_t *sizes;      /**< Bytes of each. */
    const int64_t *modified_ms; /**< Last change of each, milliseconds since 1970 UTC. */
    const char *next;           /**< Cursor for the next page; NULL at the end. */
} fp_storage_list_page;

/**
 * Open the store that @p uri names.
 *
 * The scheme picks the driver: "file:///absolute/folder" (made when missing, with mode 0700),
 * "mem:" (gone with the handle), "s3://bucket/prefix?endpoint=host:port&region=us-east-1&secure=1&style=path" (a bucket of
 * an S3 server; nothing is sent before it is used), or one added with fp_context_add_storage_driver(). Calls to a store
 * behind a network that fail with FILEPROC_ERROR_RETRYABLE are repeated, up to opts->max_attempts times in all.
 *
 * @param ctx   Borrowed; must outlive the store.
 * @param uri   UTF-8, at most 4096 bytes before the NUL. Copied.
 * @param opts  NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns the store and releases it with
 *                  fp_storage_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           The store is open.
 * @retval FILEPROC_ERR_INVALID  Malformed URI, or an option newer than this library.
 * @retval FILEPROC_ERR_NOTSUP   This build has no driver for the scheme.
 * @retval FILEPROC_ERR_AUTH     s3: access_key or secret_key is not set.
 * @retval FILEPROC_ERR_IO       The folder can't be made or opened.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; nothing was changed.
 * @par Blocking  Disk, or up to opts->connect_timeout_ms for network drivers.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_open(fp_context *ctx, const char *uri,
                                       const fp_storage_options *opts, fp_storage **out,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Close a store.
 *
 * @param st  Taken; NULL is allowed. No assembly of it may be open.
 * @par Blocking  Never for longer than one disk operation.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_storage_free(fp_storage *st);

/**
 * Store a whole object from memory, durably and atomically: readers see the old bytes or the new ones.
 *
 * @param st    Borrowed.
 * @param key   Borrowed. An object of this key is replaced.
 * @param data  Borrowed; may be NULL when size is 0.
 * @param size  Bytes.
 * @param flags 0, or FILEPROC_STORAGE_EXCLUSIVE.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is on disk.
 * @retval FILEPROC_ERR_INVALID  Bad key or argument.
 * @retval FILEPROC_ERR_EXISTS   FILEPROC_STORAGE_EXCLUSIVE, and the key is taken.
 * @retval FILEPROC_ERR_CONFLICT Another key is a folder of this one, or this one of it.
 * @retval FILEPROC_ERR_QUOTA    No space left; nothing was changed. Reason storage_full.
 * @retval FILEPROC_ERR_IO       The disk or network failed: readers see the old object or the new one, and the new
 *                               one may be gone again after a crash.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; nothing was changed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_put(fp_storage *st, const char *key, const void *data, size_t size,
                                      uint32_t flags, fp_error *err) FILEPROC_NODISCARD;
/** fp_storage_put(), fp_assembly_publish(): refuse to replace an object. */
#define FILEPROC_STORAGE_EXCLUSIVE 1u

/**
 * Read bytes of an object.
 *
 * @param st      Borrowed.
 * @param key     Borrowed.
 * @param offset  First byte wanted; at or past the end answers 0 bytes.
 * @param buf     Borrowed; filled.
 * @param cap     Bytes that buf can hold.
 * @param[out] got  Set only on success: bytes read, less than cap only at the object's end.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            got bytes are in buf.
 * @retval FILEPROC_ERR_INVALID   Bad key or argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such object. Reason object_not_found.
 * @retval FILEPROC_ERR_IO        The disk or network failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_read(fp_storage *st, const char *key, uint64_t offset, void *buf,
                                       size_t cap, size_t *got, fp_error *err) FILEPROC_NODISCARD;

/**
 * Get a read-only file descriptor on an object's bytes, for sendfile() or for handing to another process.
 * Drivers without local files copy the object into an unnamed temporary file first.
 *
 * @param st   Borrowed.
 * @param key  Borrowed.
 * @param[out] fd   Set only on success. The caller owns it and closes it; it stays readable when the object
 *                  is removed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            fd is open, close-on-exec, at offset 0.
 * @retval FILEPROC_ERR_INVALID   Bad key or argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such object. Reason object_not_found.
 * @retval FILEPROC_ERR_QUOTA     No space for the copy. Reason storage_full.
 * @retval FILEPROC_ERR_BUSY      The object was replaced again and again while it was copied.
 * @retval FILEPROC_ERR_IO        The disk or network failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Disk or network; with a copy, as long as the copy takes.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_open_fd(fp_storage *st, const char *key, int32_t *fd,
                                          fp_error *err) FILEPROC_NODISCARD;

/**
 * Tell an object's size, age and version.
 *
 * @param st   Borrowed.
 * @param key  Borrowed.
 * @param[in,out] info  Borrowed; start from FILEPROC_STORAGE_INFO_INIT. Filled only on success.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            info is filled.
 * @retval FILEPROC_ERR_INVALID   Bad key or argument.
 * @retval FILEPROC_ERR_NOTFOUND  No such object. Reason object_not_found.
 * @retval FILEPROC_ERR_IO        The disk or network failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_stat(fp_storage *st, const char *key, fp_storage_info *info,
                                       fp_error *err) FILEPROC_NODISCARD;

/**
 * Remove an object. Removing what is not there succeeds, so that a repeated clean-up is harmless.
 *
 * @param st   Borrowed.
 * @param key  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is not there any more.
 * @retval FILEPROC_ERR_INVALID  Bad key or argument.
 * @retval FILEPROC_ERR_IO       The disk or network failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_remove(fp_storage *st, const char *key, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * List objects in byte order of their keys.
 *
 * @param st      Borrowed.
 * @param prefix  Borrowed; NULL or "" for all. Plain text prefix of the key, not a folder.
 * @param cursor  Borrowed; NULL for the first page, else `next` of the page before.
 * @param limit   1 to 1000 names.
 * @param[out] out  Set only on success. The caller owns the page: fp_storage_list_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           One page; objects published or removed meanwhile may or may not be in it.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The disk or network failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_list(fp_storage *st, const char *prefix, const char *cursor,
                                       size_t limit, fp_storage_list_page **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Release a page of fp_storage_list() or fp_storage_list_staged().
 *
 * @param page  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per page; before its store is freed.
 * @since 0.1
 */
FILEPROC_API void fp_storage_list_free(fp_storage_list_page *page);

/**
 * The address people may be shown for an object: "<scheme>://<bucket>/<key>". It reveals no server path.
 *
 * @param st  Borrowed.
 * @return    Borrowed from the store: its scheme, such as "file".
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API const char *fp_storage_scheme(const fp_storage *st);

/**
 * Make an address by which somebody without keys can read or write an object directly, for a while.
 *
 * @param st         Borrowed.
 * @param key        Borrowed. It need not exist.
 * @param method     FILEPROC_PRESIGN_GET or FILEPROC_PRESIGN_PUT.
 * @param expires_s  Seconds that it is good for: 1 to 604800.
 * @param[in,out] url  Borrowed; the address is appended on success. It is a secret until it expires.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           url has it.
 * @retval FILEPROC_ERR_INVALID  Bad key or argument.
 * @retval FILEPROC_ERR_NOTSUP   Only s3 can do that.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_presign(fp_storage *st, const char *key, uint32_t method,
                                          uint32_t expires_s, fp_buf *url, fp_error *err)
    FILEPROC_NODISCARD;
/** fp_storage_presign(): for reading. */
#define FILEPROC_PRESIGN_GET 1u
/** fp_storage_presign(): for writing the whole object. */
#define FILEPROC_PRESIGN_PUT 2u

/**
 * Tell how many bytes could still be stored, as far as that is known: for "file" what the file system has left for this user.
 *
 * @param st          Borrowed.
 * @param[out] bytes  Set only on success.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           bytes is set. It may be another a moment later.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOTSUP   The driver can't know.
 * @retval FILEPROC_ERR_IO       The disk failed.
 * @par Blocking  Disk, briefly.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_room(fp_storage *st, uint64_t *bytes, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Remove what a crash can leave at a server where neither fp_storage_list() nor fp_storage_list_staged() shows it: multipart
 * uploads that no assembly knows of. Stores without such things have nothing to do.
 *
 * @param st             Borrowed.
 * @param older_than_ms  Age from which on it is removed; younger ones may be about to be used.
 * @param[out] count     Set only on success: how many were removed. May be NULL.
 * @param[out] err       Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Done; call it again when count is 1000.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The network failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_reap(fp_storage *st, int64_t older_than_ms, uint64_t *count,
                                       fp_error *err) FILEPROC_NODISCARD;

/** A staged object: parts are written into it at any offset and in any order, and become one object at
 *  publication. What was committed survives a crash; what was not is as if never written. Shared. */
typedef struct fp_assembly fp_assembly;

/** A part being written. One thread at a time. */
typedef struct fp_part fp_part;

/** The largest note that fp_part_commit() stores. */
#define FILEPROC_PART_NOTE_MAX 160u

/** A committed part, as fp_assembly_part_at() shows it. Start from FILEPROC_PART_INFO_INIT. */
typedef struct fp_part_info {
    size_t struct_size;                         /**< Filled by the initialiser; never by hand. */
    uint64_t offset;                            /**< First byte. */
    uint64_t length;                            /**< Bytes. */
    int64_t committed_ms;                       /**< Milliseconds since 1970 UTC. */
    uint32_t note_size;                         /**< Bytes of note in use. */
    uint32_t crc32c;                            /**< CRC-32C (RFC 3720 B.4) of the part's bytes. */
    unsigned char note[FILEPROC_PART_NOTE_MAX]; /**< What the writer gave to fp_part_commit(). */
    uint32_t flags;                             /**< 0 or FILEPROC_PART_ADOPTED. */
    uint32_t reserved;                          /**< 0. */
} fp_part_info;
/** fp_part_info.flags: fp_assembly_adopt() made it; we have not seen its bytes, so crc32c is 0. */
#define FILEPROC_PART_ADOPTED 1u
/** An empty fp_part_info. */
#define FILEPROC_PART_INFO_INIT                          \
    {                                                    \
        sizeof(fp_part_info), 0, 0, 0, 0, 0, { 0 }, 0, 0 \
    }

/**
 * Open the assembly @p id, and with FILEPROC_ASSEMBLY_CREATE make it when it is not there.
 *
 * A record damaged by a crash is cut at its last whole entry. After a crash, bytes beyond what
 * is committed are dropped. Once a commit has failed with FILEPROC_ERR_IO all later ones do, until the assembly is
 * closed and opened again: only then is it known what the disk has.
 *
 * @param st     Borrowed; must outlive the assembly.
 * @param id     Borrowed: one key segment. Two handles on one id at the same time are the caller's mistake.
 * @param flags  0 or FILEPROC_ASSEMBLY_CREATE, or both that and FILEPROC_ASSEMBLY_TRANSIENT. Creation itself
 *               needs no disk access until the first part.
 * @param[out] out  Set only on success. The caller owns it: fp_assembly_close().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is open.
 * @retval FILEPROC_ERR_INVALID   Bad id or argument.
 * @retval FILEPROC_ERR_NOTFOUND  Nothing is staged under this id. Reason object_not_found.
 * @retval FILEPROC_ERR_CORRUPT   The record's head is damaged, or bytes that it tells of are gone.
 * @retval FILEPROC_ERR_IO        The disk or network failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_open(fp_storage *st, const char *id, uint32_t flags,
                                        fp_assembly **out, fp_error *err) FILEPROC_NODISCARD;
/** fp_assembly_open(): make it when it is not there. */
#define FILEPROC_ASSEMBLY_CREATE 1u
/** fp_assembly_open(), with FILEPROC_ASSEMBLY_CREATE and an id that is new: for results that can be made again. Parts become
 *  durable at publication and not at their commit, which saves syncs; what this handle has not published is
 *  dropped by fp_assembly_close(), or after a crash by whoever discards what fp_storage_list_staged() shows. */
#define FILEPROC_ASSEMBLY_TRANSIENT 2u

/**
 * Close an assembly and keep what is committed, unless it is FILEPROC_ASSEMBLY_TRANSIENT.
 *
 * @param a  Taken; NULL is allowed. No part of it may be open.
 * @par Blocking  Never for longer than one disk operation.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_assembly_close(fp_assembly *a);

/**
 * Tell, after opening and before the first part, under which key and with which size it will be published. Optional, but
 * then at every opening; a store that can then writes the bytes to where they end, so that publishing copies nothing
 * (s3: parts of the multipart upload itself, which fp_assembly_read() can't read). With "file" a part that has all the bytes
 * becomes the object at its commit, which costs fewer syncs; its note is kept no longer than the handle. Nobody
 * else may use the key, since the object can be there before fp_assembly_publish(): who gives the assembly up removes
 * both.
 *
 * @param a     Borrowed.
 * @param key   Borrowed.
 * @param size  Bytes of the object; 0 when it is empty or nobody knows yet.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Noted, or of no use to this store. Publishing under another key may answer CONFLICT. A
 *                                part that had become the object counts as committed.
 * @retval FILEPROC_ERR_INVALID   Bad key or argument.
 * @retval FILEPROC_ERR_CONFLICT  Bytes were written for another key.
 * @retval FILEPROC_ERR_IO        The disk failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Disk.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_set_target(fp_assembly *a, const char *key, uint64_t size,
                                              fp_error *err) FILEPROC_NODISCARD;

/**
 * Tell how the bytes of an assembly are cut into parts that others can write: the first part has the bytes from 0 on. It does not
 * change any more once one of them was presigned.
 *
 * @param a  Borrowed; NULL answers 0.
 * @return   Bytes of every part but the last; 0 where nobody else can write.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API uint64_t fp_assembly_part_size(fp_assembly *a);

/**
 * Make an address by which somebody without keys can write one part of the upload behind an assembly directly, for a while. The
 * part counts only when it is committed: what is sent there is read by nobody else.
 *
 * @param a          Borrowed; fp_assembly_set_target() must have been called.
 * @param offset     A multiple of fp_assembly_part_size().
 * @param expires_s  Seconds that it is good for: 1 to 604800.
 * @param[in,out] url  Borrowed; the address is appended on success. It is a secret until it expires.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            url has it.
 * @retval FILEPROC_ERR_INVALID   Bad argument, or no part begins at offset.
 * @retval FILEPROC_ERR_CONFLICT  The key is not known, or the assembly is published.
 * @retval FILEPROC_ERR_NOTSUP    Only s3 can do that.
 * @retval FILEPROC_ERR_IO        The network failed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Network, the first time.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_presign(fp_assembly *a, uint64_t offset, uint32_t expires_s,
                                           fp_buf *url, fp_error *err) FILEPROC_NODISCARD;

/** Called once per part by fp_assembly_written(), in the order of the offsets; a failure stops it and is returned. etag is as the
 *  server tells it, and borrowed for the call. */
typedef fp_status (*fp_written_fn)(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                                   fp_error *err);

/**
 * Tell what the store has at the addresses of fp_assembly_presign(), committed or not; parts that were written with
 * fp_part_write() may be among it.
 *
 * @param a   Borrowed.
 * @param fn  Called from within, without any lock.
 * @param user_data  Given to fn.
 * @param[out] err   Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           All were told.
 * @retval FILEPROC_ERR_INVALID  An argument is NULL.
 * @retval FILEPROC_ERR_NOTSUP   Only s3 can do that.
 * @retval FILEPROC_ERR_IO       The network failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_written(fp_assembly *a, fp_written_fn fn, void *user_data,
                                           fp_error *err) FILEPROC_NODISCARD;

/** What fp_assembly_adopt() makes a part of. Start from FILEPROC_ADOPTION_INIT. */
typedef struct fp_adoption {
    size_t struct_size;       /**< Filled by the initialiser; never by hand. */
    uint64_t offset;          /**< First byte: a multiple of fp_assembly_part_size(). */
    uint64_t length;          /**< Bytes. All parts but the last have part_size; a short one must end the object. */
    const char *const *etags; /**< What the writers were answered, one for each part_size of the length, in order. */
    size_t etag_count;        /**< How many. */
    const void *note;         /**< As for fp_part_commit(); may be NULL. */
    size_t note_size;         /**< Bytes of note. */
} fp_adoption;
/** An empty fp_adoption. */
#define FILEPROC_ADOPTION_INIT \
    { sizeof(fp_adoption), 0, 0, NULL, 0, NULL, 0 }

/**
 * Commit, as one part, what others have written to the addresses of fp_assembly_presign(). The store is asked whether it has
 * just that: sizes and ETags. The bytes are not read, so the part's CRC is not known.
 *
 * @param a      Borrowed.
 * @param what   Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            It is committed, as by fp_part_commit().
 * @retval FILEPROC_ERR_INVALID   Bad argument, or the store has something else there, or nothing.
 * @retval FILEPROC_ERR_CONFLICT  A committed part has some of these bytes, the assembly is published, or nothing was presigned.
 * @retval FILEPROC_ERR_QUOTA     The assembly has 2^20 parts.
 * @retval FILEPROC_ERR_NOTSUP    Only s3 can do that.
 * @retval FILEPROC_ERR_IO        The network failed; not committed.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed; not committed.
 * @par Blocking  Network; at a takeover until the old writer's call that is under way has ended.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_adopt(fp_assembly *a, const fp_adoption *what, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * How many parts are committed.
 *
 * @param a  Borrowed; NULL answers 0.
 * @return   The count; parts are numbered from 0 in the order of their commit.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API size_t fp_assembly_part_count(const fp_assembly *a);

/**
 * Look at one committed part.
 *
 * @param a      Borrowed.
 * @param index  Below fp_assembly_part_count().
 * @param[in,out] info  Borrowed; start from FILEPROC_PART_INFO_INIT. Filled only on success.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           info is filled.
 * @retval FILEPROC_ERR_INVALID  No such part, or a bad argument.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_part_at(const fp_assembly *a, size_t index, fp_part_info *info,
                                           fp_error *err) FILEPROC_NODISCARD;

/**
 * Begin to write a part. Parts may be open side by side. One that begins on the range of an open one takes it
 * over: the old one's next write or commit answers CONFLICT, and no byte of it arrives after this call has
 * returned. So a new connection need not wait for a dead one.
 *
 * @param a       Borrowed; must outlive the part.
 * @param offset  Where its first byte goes.
 * @param length  Bytes it will have at the most; not 0.
 * @param[out] out  Set only on success. The caller owns it and ends it with fp_part_commit() and
 *                  then fp_part_free(), or with fp_part_free() alone to drop it.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Ready for fp_part_write().
 * @retval FILEPROC_ERR_INVALID  offset + length overflows, or a bad argument.
 * @retval FILEPROC_ERR_CONFLICT A committed part has some of these bytes, or the assembly is published.
 * @retval FILEPROC_ERR_QUOTA    No space left. Reason storage_full.
 * @retval FILEPROC_ERR_IO       The disk or network failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Disk or network; at a takeover until the old one's call that is under way has ended.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_part_begin(fp_assembly *a, uint64_t offset, uint64_t length, fp_part **out,
                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * Add bytes to a part, in order. They are not durable before fp_part_commit().
 *
 * @param part  Borrowed.
 * @param data  Borrowed.
 * @param size  Bytes; the sum may not exceed the length given to fp_part_begin().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Taken.
 * @retval FILEPROC_ERR_INVALID  Too many bytes, or a bad argument.
 * @retval FILEPROC_ERR_CONFLICT Another part took the range over (reason chunk_superseded), or the assembly is published.
 * @retval FILEPROC_ERR_QUOTA    No space left. Reason storage_full. The part can only be freed now.
 * @retval FILEPROC_ERR_IO       The disk or network failed. The part can only be freed now.
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per part.
 * @since 0.1
 */
FILEPROC_API fp_status fp_part_write(fp_part *part, const void *data, size_t size, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Make a part durable: its bytes are synced, then its record (with CRC), and only then the call returns.
 *
 * @param part  Borrowed; afterwards only fp_part_free() is allowed.
 * @param note  Borrowed: up to FILEPROC_PART_NOTE_MAX bytes kept with the record; may be NULL.
 * @param note_size  Bytes of note.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         The bytes written so far are committed and survive a crash.
 * @retval FILEPROC_ERR_INVALID  Bad argument, no bytes were written, or committed before.
 * @retval FILEPROC_ERR_CONFLICT Another part took the range over (reason chunk_superseded), or the assembly is published.
 * @retval FILEPROC_ERR_QUOTA  No space left (reason storage_full), or the assembly has 2^20 parts; not committed.
 * @retval FILEPROC_ERR_IO     The disk or network failed; not committed. See fp_assembly_open().
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; not committed.
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per part.
 * @since 0.1
 */
FILEPROC_API fp_status fp_part_commit(fp_part *part, const void *note, size_t note_size,
                                      fp_error *err) FILEPROC_NODISCARD;

/**
 * End a part. What was not committed is dropped.
 *
 * @param part  Taken; NULL is allowed.
 * @par Blocking  Disk or network.
 * @par Threads   One thread at a time per part.
 * @since 0.1
 */
FILEPROC_API void fp_part_free(fp_part *part);

/**
 * Read bytes back from an assembly; only those of committed parts mean anything, and behind the last of them
 * there is nothing.
 *
 * @param a       Borrowed.
 * @param offset  First byte wanted.
 * @param buf     Borrowed; filled.
 * @param cap     Bytes that buf can hold.
 * @param[out] got  Set only on success: bytes read; less than cap only at the end.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            got bytes are in buf.
 * @retval FILEPROC_ERR_INVALID   Bad argument.
 * @retval FILEPROC_ERR_NOTFOUND  Published meanwhile. Reason object_not_found.
 * @retval FILEPROC_ERR_NOTSUP    The driver can't read what is staged.
 * @retval FILEPROC_ERR_IO        The disk or network failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_read(fp_assembly *a, uint64_t offset, void *buf, size_t cap,
                                        size_t *got, fp_error *err) FILEPROC_NODISCARD;

/**
 * Turn the committed parts into the object @p key, atomically, durably, and without copying.
 *
 * The parts must cover 0 to @p size without a hole. The record of the parts stays until
 * fp_storage_discard(), and publishing the same assembly under the same key again succeeds: so a
 * caller that crashed in between can simply do it once more. A part that is still open is as if another
 * had taken its range over.
 *
 * @param a      Borrowed.
 * @param key    Borrowed.
 * @param size   Bytes that the object must have; 0 publishes an empty object.
 * @param flags  0 or FILEPROC_STORAGE_EXCLUSIVE.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           The object is visible and on disk.
 * @retval FILEPROC_ERR_INVALID  Bad key or argument.
 * @retval FILEPROC_ERR_CONFLICT The parts don't cover the size exactly, or another key is a folder of this one, or
 *                               this one of it.
 * @retval FILEPROC_ERR_EXISTS   FILEPROC_STORAGE_EXCLUSIVE, and another object has the key.
 * @retval FILEPROC_ERR_NOTFOUND It was published before, and no object of this size has the key. Reason
 *                               object_not_found.
 * @retval FILEPROC_ERR_CORRUPT  Committed bytes are gone.
 * @retval FILEPROC_ERR_QUOTA    No space left; what is staged is unchanged. Reason storage_full.
 * @retval FILEPROC_ERR_IO       The disk or network failed. No byte is lost: publish it again.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; what is staged is unchanged.
 * @par Blocking  Disk or network; not in proportion to the size.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_assembly_publish(fp_assembly *a, const char *key, uint64_t size,
                                           uint32_t flags, fp_error *err) FILEPROC_NODISCARD;

/**
 * Remove what is staged under @p id, the record included; never a published object. Nothing there: succeeds.
 * A crash right after it may bring it back, for fp_storage_list_staged() to show.
 *
 * @param st  Borrowed.
 * @param id  Borrowed. No handle on this assembly may be open.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Nothing is staged under id.
 * @retval FILEPROC_ERR_INVALID  Bad id or argument.
 * @retval FILEPROC_ERR_IO       The disk or network failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_discard(fp_storage *st, const char *id, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * List what is staged: the ids of assemblies, also of those whose owner is gone.
 *
 * @param st      Borrowed.
 * @param cursor  Borrowed; NULL for the first page, else `next` of the page before.
 * @param limit   1 to 1000 ids.
 * @param[out] out  Set only on success. The caller owns the page: fp_storage_list_free(). Here sizes are
 *                  the bytes on disk.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           One page.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The disk or network failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Disk or network.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_storage_list_staged(fp_storage *st, const char *cursor, size_t limit,
                                              fp_storage_list_page **out, fp_error *err)
    FILEPROC_NODISCARD;

FILEPROC_END_DECLS
#endif
