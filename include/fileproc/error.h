/* Owns: status codes, machine-readable reasons, and the error record that every fallible call fills.
 * Must not know: any other noun. */
#ifndef FILEPROC_ERROR_H
#define FILEPROC_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/export.h>

FILEPROC_BEGIN_DECLS

/** What a fallible call returns: FILEPROC_OK or one of the negative FILEPROC_ERR_ codes. */
typedef int32_t fp_status;

/** The status codes: few, chosen by what a caller can do about them. A value is never reused. */
enum {
    FILEPROC_OK = 0,
    FILEPROC_ERR_NOMEM = -1,      /**< An allocation failed. */
    FILEPROC_ERR_INVALID = -2,    /**< The request itself is wrong; sending it again changes nothing. */
    FILEPROC_ERR_NOTSUP = -3,     /**< Not built in, or this backend can't do it. */
    FILEPROC_ERR_NOTFOUND = -4,   /**< The thing named does not exist (any more). */
    FILEPROC_ERR_EXISTS = -5,     /**< The thing to be made exists already. */
    FILEPROC_ERR_CONFLICT = -6,   /**< It clashes with the present state of the thing. */
    FILEPROC_ERR_AUTH = -7,       /**< A credential is missing, wrong or not enough. */
    FILEPROC_ERR_QUOTA = -8,      /**< A limit or the space on the disk is used up. */
    FILEPROC_ERR_BUSY = -9,       /**< Too much at once, or a peer is away; try again later. */
    FILEPROC_ERR_TIMEOUT = -10,   /**< It took longer than allowed. */
    FILEPROC_ERR_CANCELLED = -11, /**< Somebody asked for it to stop. */
    FILEPROC_ERR_IO = -12,        /**< Disk or network failed. */
    FILEPROC_ERR_PROTOCOL = -13,  /**< A peer said something that makes no sense. */
    FILEPROC_ERR_CORRUPT = -14,   /**< Stored data is damaged. */
    FILEPROC_ERR_USER = -15       /**< A callback of the caller failed; its own code is in cause. */
};

/** fp_error.flags: the same call may succeed later. */
#define FILEPROC_ERROR_RETRYABLE 1u
/** fp_error.flags: the same input can never succeed. */
#define FILEPROC_ERROR_PERMANENT 2u
/** fp_error.flags: it may have been done all the same, since the connection broke before the answer. Whoever calls again must be able to
 *  recognise his own work. */
#define FILEPROC_ERROR_UNCERTAIN 4u

/**
 * The reasons: finer than the codes, for programs that tell cases apart. An error with a reason has
 * domain "fileproc" and the number in cause; fp_error_reason() gives the name. Each line is
 * X(constant suffix, number, name). Numbers and names are never reused.
 */
#define FILEPROC_REASON_MAP(X)                         \
    X(UPLOAD_NOT_FOUND, 1, "upload_not_found")         \
    X(UPLOAD_EXPIRED, 2, "upload_expired")             \
    X(UPLOAD_CANCELLED, 3, "upload_cancelled")         \
    X(UPLOAD_COMPLETED, 4, "upload_completed")         \
    X(UPLOAD_INCOMPLETE, 5, "upload_incomplete")       \
    X(CHUNK_INDEX_INVALID, 6, "chunk_index_invalid")   \
    X(CHUNK_LENGTH_INVALID, 7, "chunk_length_invalid") \
    X(CHUNK_CONFLICT, 8, "chunk_conflict")             \
    X(CHUNK_SUPERSEDED, 9, "chunk_superseded")         \
    X(DIGEST_MISMATCH, 10, "digest_mismatch")          \
    X(DIGEST_UNSUPPORTED, 11, "digest_unsupported")    \
    X(SIZE_TOO_LARGE, 12, "size_too_large")            \
    X(TYPE_NOT_ALLOWED, 13, "type_not_allowed")        \
    X(FILENAME_INVALID, 14, "filename_invalid")        \
    X(METADATA_INVALID, 15, "metadata_invalid")        \
    X(FILE_NOT_FOUND, 16, "file_not_found")            \
    X(JOB_NOT_FOUND, 17, "job_not_found")              \
    X(JOB_FINISHED, 18, "job_finished")                \
    X(CURSOR_INVALID, 19, "cursor_invalid")            \
    X(PIPELINE_INVALID, 20, "pipeline_invalid")        \
    X(PIPELINE_UNKNOWN, 21, "pipeline_unknown")        \
    X(OPERATION_UNKNOWN, 22, "operation_unknown")      \
    X(PARAMETER_INVALID, 23, "parameter_invalid")      \
    X(STORAGE_FULL, 24, "storage_full")                \
    X(KEY_INVALID, 25, "key_invalid")                  \
    X(OBJECT_NOT_FOUND, 26, "object_not_found")        \
    X(LEASE_LOST, 27, "lease_lost")                    \
    X(LEASE_HELD, 28, "lease_held")                    \
    X(SHA256_MISMATCH, 63, "sha256_mismatch")          \
    X(IDEMPOTENCY_REUSED, 64, "idempotency_reused")    \
    X(REQUEST_IN_PROGRESS, 65, "request_in_progress")  \
    X(QUOTA_EXCEEDED, 66, "quota_exceeded")            \
    X(TOO_MANY_UPLOADS, 67, "too_many_uploads")        \
    X(MEDIA_UNSUPPORTED, 40, "media_unsupported")      \
    X(MEDIA_DAMAGED, 41, "media_damaged")              \
    X(MEDIA_TOO_LARGE, 42, "media_too_large")          \
    X(MEDIA_ENCRYPTED, 43, "media_encrypted")          \
    X(MEDIA_TYPE_MISMATCH, 44, "media_type_mismatch")  \
    X(ARCHIVE_BOMB, 45, "archive_bomb")                \
    X(OUTPUT_TOO_LARGE, 46, "output_too_large")        \
    X(HELPER_CRASHED, 50, "helper_crashed")            \
    X(HELPER_TIMEOUT, 51, "helper_timeout")            \
    X(HELPER_MEMORY, 52, "helper_memory")              \
    X(HELPER_UNAVAILABLE, 53, "helper_unavailable")    \
    X(ATTEMPTS_EXHAUSTED, 54, "attempts_exhausted")    \
    X(WORKER_LOST, 55, "worker_lost")                  \
    X(OFFSET_MISMATCH, 60, "offset_mismatch")          \
    X(LENGTH_EXCEEDED, 61, "length_exceeded")          \
    X(LENGTH_INVALID, 62, "length_invalid")            \
    X(CONCAT_INVALID, 68, "concat_invalid")            \
    X(UPLOAD_PARTIAL, 69, "upload_partial")            \
    X(UPLOAD_FINAL, 75, "upload_final")                \
    X(FILE_QUARANTINED, 70, "file_quarantined")        \
    X(FILE_REJECTED, 71, "file_rejected")              \
    X(NOT_QUARANTINED, 72, "not_quarantined")          \
    X(SCANNER_UNAVAILABLE, 73, "scanner_unavailable")  \
    X(SCANNER_FAILED, 74, "scanner_failed")

/** The reason numbers, FILEPROC_REASON_UPLOAD_NOT_FOUND and so on. */
enum {
    FILEPROC_REASON_NONE = 0,
/** Makes a constant of a row; only for this enum. */
#define FILEPROC_REASON_ENUM(suffix, number, name) FILEPROC_REASON_##suffix = (number),
    FILEPROC_REASON_MAP(FILEPROC_REASON_ENUM)
#undef FILEPROC_REASON_ENUM
};

/** Why a call failed. 256 bytes, frozen at 1.0. Zero-initialise it: `fp_error err = {0};`. */
typedef struct fp_error {
    fp_status code;          /**< FILEPROC_ERR_*, the same as the return value. */
    int32_t cause;           /**< errno, SQLite code, reason...: see domain; 0 = none. */
    uint32_t flags;          /**< FILEPROC_ERROR_RETRYABLE, _PERMANENT, _UNCERTAIN. */
    uint32_t retry_after_ms; /**< A hint of the peer; 0 = none. */
    uint64_t reserved[2];    /**< 0. */
    char domain[16];         /**< "fileproc" (cause is a reason), "errno", "sqlite", ...; "" = none. */
    char message[208];       /**< UTF-8, one line, never a secret or a signed URL. */
} fp_error;

/**
 * Fill an error and return its code, so that `return fp_error_setf(err, code, ...)` can't drift apart.
 *
 * @param err   Borrowed; NULL is allowed and only returns the code.
 * @param code  One of FILEPROC_ERR_*.
 * @param fmt   Borrowed. printf-style; the result is cut at 207 bytes, never inside a UTF-8 character.
 * @return      code.
 * @par Blocking  Never; allocates nothing.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_error_setf(fp_error *err, fp_status code, const char *fmt, ...)
    FILEPROC_PRINTF(3, 4);

/**
 * Fill an error that carries a reason: like fp_error_setf(), and cause = reason, domain = "fileproc".
 *
 * @param err     Borrowed; NULL is allowed and only returns the code.
 * @param code    One of FILEPROC_ERR_*.
 * @param reason  One of FILEPROC_REASON_*.
 * @param fmt     Borrowed. printf-style, cut as in fp_error_setf().
 * @return        code.
 * @par Blocking  Never; allocates nothing.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_error_reasonf(fp_error *err, fp_status code, int32_t reason,
                                        const char *fmt, ...) FILEPROC_PRINTF(4, 5);

/**
 * The stable name of an error's reason, such as "chunk_conflict".
 *
 * @param err  Borrowed; NULL is allowed.
 * @return     Borrowed, static. For an error without a reason the name of its code, such as "io".
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API const char *fp_error_reason(const fp_error *err);

/**
 * The stable lower-case name of a status code: "nomem", "invalid", ...
 *
 * @param code  Any value; an unknown one answers "unknown".
 * @return      Borrowed, static.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API const char *fp_status_name(fp_status code);

FILEPROC_END_DECLS
#endif
