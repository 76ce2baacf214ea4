/* Owns: what several processes know together for a while: values with an end, leases, counters for limits, news.
 * Must not know: what any of it means. Nothing in a cache is the only copy of anything: it may be empty at any time. */
#ifndef FILEPROC_CACHE_H
#define FILEPROC_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/context.h>

FILEPROC_BEGIN_DECLS

/** An open cache. Shared. */
typedef struct fp_cache fp_cache;
/** Somebody who listens to channels. One thread at a time receives; any thread may change what is listened to. */
typedef struct fp_subscription fp_subscription;

/** The longest key, name of a lease, or name of a channel, in bytes. */
#define FILEPROC_CACHE_KEY_MAX 400u
/** The largest value in bytes. */
#define FILEPROC_CACHE_VALUE_MAX 1048576u
/** The largest message in bytes. */
#define FILEPROC_CACHE_MESSAGE_MAX 4096u
/** The longest name of a holder in bytes. */
#define FILEPROC_LEASE_HOLDER_MAX 63u
/** The largest note of a lease in bytes. */
#define FILEPROC_LEASE_NOTE_MAX 128u

/** Settings for fp_cache_open(). Start from FILEPROC_CACHE_OPTIONS_INIT; 0 means default. */
typedef struct fp_cache_options {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    uint64_t max_bytes; /**< What "mem" may keep; default 64 MiB. What was used least lately goes first. @since 0.1 */
} fp_cache_options;
/** All-default fp_cache_options. */
#define FILEPROC_CACHE_OPTIONS_INIT \
    { sizeof(fp_cache_options), 0 }

/**
 * Open the cache that @p uri names: "mem:" (this process alone), "redis://user:password@host:port/database", or a driver added
 * with fp_context_add_cache_driver().
 *
 * What follows "?" in a server's URI, as name=value&...: prefix (of all names there; default "fileproc:"), timeout
 * (milliseconds that a call takes at the most, connecting included; default 1000), pool_size (connections at once, beside
 * one for each subscription; default 8). Nothing given means no password, localhost, 6379, database 0.
 *
 * A server that is away is no reason to fail: calls answer BUSY until it is there.
 *
 * @param ctx   Borrowed; must outlive the cache.
 * @param uri   UTF-8, at most 4096 bytes. Copied.
 * @param opts  NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns it: fp_cache_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open.
 * @retval FILEPROC_ERR_INVALID  Malformed URI, a database that the server does not have, or an option newer than this library.
 * @retval FILEPROC_ERR_NOTSUP   This build has no driver for the scheme; "rediss" (TLS) is in none.
 * @retval FILEPROC_ERR_AUTH     The server refuses user or password, or wants one.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network drivers: as long as a call, and until the name of the server is resolved.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                                     fp_cache **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Close a cache.
 *
 * @param c  Taken; NULL is allowed. No subscription of it may be alive.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_cache_free(fp_cache *c);

/**
 * Ask whether the cache works: whether the server answers. Connects again when that is due.
 *
 * @param c  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It does.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_AUTH     The server does not let us in any more.
 * @retval FILEPROC_ERR_INVALID  c is NULL.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network drivers: the time of a call at the most; not at all while it is too early for another attempt.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_ping(fp_cache *c, fp_error *err) FILEPROC_NODISCARD;

/**
 * Read a value.
 *
 * @param c    Borrowed.
 * @param key  Borrowed: 1 to FILEPROC_CACHE_KEY_MAX bytes.
 * @param[in,out] value  Borrowed; the bytes are appended when there is one.
 * @param[out] found     Set only on success: 1 when there is one, else 0.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           See found.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed; value is unchanged.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_get(fp_cache *c, const char *key, fp_buf *value, int32_t *found,
                                    fp_error *err) FILEPROC_NODISCARD;

/**
 * Keep a value, instead of the one that may be there.
 *
 * @param c       Borrowed.
 * @param key     Borrowed: 1 to FILEPROC_CACHE_KEY_MAX bytes.
 * @param value   Borrowed; at most FILEPROC_CACHE_VALUE_MAX bytes. May be NULL when size is 0.
 * @param size    Bytes.
 * @param ttl_ms  Milliseconds after which it is gone; 0 = it has no end. It may go earlier.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Kept.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_QUOTA    There is no room for it.
 * @retval FILEPROC_ERR_BUSY     The server is away; whether it is kept is not known. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_set(fp_cache *c, const char *key, const void *value, size_t size,
                                    int64_t ttl_ms, fp_error *err) FILEPROC_NODISCARD;

/**
 * Remove a value. Nothing there: succeeds.
 *
 * @param c    Borrowed.
 * @param key  Borrowed: 1 to FILEPROC_CACHE_KEY_MAX bytes.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           There is none.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The server is away; whether it is removed is not known. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_remove(fp_cache *c, const char *key, fp_error *err)
    FILEPROC_NODISCARD;

/* ---- leases ---- */

/** A claim on something that one at a time may work on. Start from FILEPROC_LEASE_INIT, set name, holder and ttl_ms. */
typedef struct fp_lease {
    size_t struct_size; /**< Filled by the initialiser; never by hand. */
    const char *name;   /**< Borrowed: what it is on; 1 to FILEPROC_CACHE_KEY_MAX bytes. @since 0.1 */
    const char *holder; /**< Borrowed: who claims it, by a name that nobody else has; 1 to FILEPROC_LEASE_HOLDER_MAX bytes. @since 0.1 */
    /** Set by fp_lease_acquire(), compared by the others. Whenever a lease changes hands it is greater than any before, also
     *  when the cache was emptied meanwhile; it stays the same when the one who held it last gets it again, so that he
     *  knows that nobody else has worked on the thing. What was known before fp_lease_acquire() is exceeded in any case. @since 0.1 */
    uint64_t epoch;
    const void *note; /**< Borrowed: what fp_lease_renew() and fp_lease_release() write down for others; NULL = as it was. @since 0.1 */
    size_t note_size; /**< Bytes of note, at most FILEPROC_LEASE_NOTE_MAX. @since 0.1 */
    uint32_t ttl_ms;  /**< Milliseconds from now after which it ends by itself: 1 to 86400000. @since 0.1 */
    uint32_t wanted;  /**< Set by fp_lease_acquire() and fp_lease_renew(): 1 when somebody else waits for it. @since 0.1 */
} fp_lease;
/** An empty fp_lease. */
#define FILEPROC_LEASE_INIT \
    { sizeof(fp_lease), NULL, NULL, 0, NULL, 0, 0, 0 }

/** What is known of a lease. Start from FILEPROC_LEASE_INFO_INIT. */
typedef struct fp_lease_info {
    size_t struct_size;      /**< Filled by the initialiser; never by hand. */
    uint64_t epoch;          /**< Of who holds it, or held it last; 0 = nothing is known. */
    int64_t left_ms;         /**< Milliseconds until it ends by itself; 0 = nobody holds it. */
    uint32_t released;       /**< 1: its last holder gave it back; 0: he holds it, or it ended by itself. */
    uint32_t note_size;      /**< Bytes of note in use. */
    char holder[64];         /**< Who holds it, or held it last. */
    unsigned char note[128]; /**< What that one wrote down last. */
} fp_lease_info;
/** An empty fp_lease_info. */
#define FILEPROC_LEASE_INFO_INIT                    \
    {                                               \
        sizeof(fp_lease_info), 0, 0, 0, 0, { 0 }, { \
            0                                       \
        }                                           \
    }

/**
 * Take a lease, or take it once more (which renews it). Who asks again and again while another holds it is given it before others,
 * and the holder is told that it is wanted.
 *
 * @param c      Borrowed.
 * @param[in,out] lease  Borrowed; epoch and wanted are set on success. note is not used: it is empty when the lease
 *                       changes hands.
 * @param flags  0 or FILEPROC_LEASE_TAKE_OVER.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is held.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_CONFLICT Another holds it: for retry_after_ms at the most, if he does not renew it. Reason lease_held.
 * @retval FILEPROC_ERR_QUOTA    There is no room for it.
 * @retval FILEPROC_ERR_BUSY     The server is away; whether it is held is not known, and it ends by itself. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_lease_acquire(fp_cache *c, fp_lease *lease, uint32_t flags, fp_error *err)
    FILEPROC_NODISCARD;
/** fp_lease_acquire(): also when another holds it, who finds that it is lost. */
#define FILEPROC_LEASE_TAKE_OVER 1u

/**
 * Prolong a lease, to ttl_ms from now, and write the note down.
 *
 * @param c  Borrowed.
 * @param[in,out] lease  Borrowed; wanted is set on success.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is still held, under this epoch.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_CONFLICT It ended, or another took it over. Reason lease_lost.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_lease_renew(fp_cache *c, fp_lease *lease, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Ask whether a lease is still held, under this epoch. Changes nothing.
 *
 * @param c      Borrowed.
 * @param lease  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_CONFLICT It ended, or another took it over. Reason lease_lost.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_lease_check(fp_cache *c, const fp_lease *lease, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Give a lease back, and write the note down, unless another has it by now. Also one that has ended by itself.
 *
 * @param c      Borrowed.
 * @param lease  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It was given back.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_CONFLICT Another has taken it over. Reason lease_lost.
 * @retval FILEPROC_ERR_BUSY     The server is away; it ends by itself. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_lease_release(fp_cache *c, const fp_lease *lease, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Look at a lease. One that ended is remembered for an hour, or less when the cache is short of room.
 *
 * @param c     Borrowed.
 * @param name  Borrowed.
 * @param[in,out] info  Borrowed; start from FILEPROC_LEASE_INFO_INIT. Filled only on success.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           See info.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_lease_look(fp_cache *c, const char *name, fp_lease_info *info,
                                     fp_error *err) FILEPROC_NODISCARD;

/* ---- limits ---- */

/** A limit on how often something may happen. Start from FILEPROC_RATE_INIT, set limit and window_ms. */
typedef struct fp_rate {
    size_t struct_size;     /**< Filled by the initialiser; never by hand. */
    uint64_t limit;         /**< How much in a window: 1 to 10^9. @since 0.1 */
    uint32_t window_ms;     /**< Milliseconds: 1 to 86400000. @since 0.1 */
    uint32_t cost;          /**< Of this time; 0 only looks. @since 0.1 */
    uint64_t remaining;     /**< Set: what is left now. @since 0.1 */
    int64_t reset_ms;       /**< Set: milliseconds until the whole limit is there again, when nothing more happens. @since 0.1 */
    int64_t retry_after_ms; /**< Set: when it is not allowed, milliseconds after which it would be; -1 = never. @since 0.1 */
    uint32_t allowed;       /**< Set: 1 = it was counted; 0 = it is too much, and was not. @since 0.1 */
    uint32_t reserved;      /**< 0. */
} fp_rate;
/** A fp_rate that counts one. */
#define FILEPROC_RATE_INIT \
    { sizeof(fp_rate), 0, 0, 1, 0, 0, 0, 0, 0 }

/**
 * Count something, unless that would be too much in a sliding window: what happened in the window before counts by the part of it
 * that still lies within the last window_ms.
 *
 * @param c    Borrowed.
 * @param key  Borrowed: whose limit; 1 to FILEPROC_CACHE_KEY_MAX bytes.
 * @param[in,out] rate  Borrowed; filled only on success.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           See rate.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_QUOTA    There is no room for it.
 * @retval FILEPROC_ERR_BUSY     The server is away; whether it was counted is not known. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_count(fp_cache *c, const char *key, fp_rate *rate, fp_error *err)
    FILEPROC_NODISCARD;

/* ---- news ---- */

/**
 * Tell all who listen to a channel, in this process and others. Who does not listen at this moment never hears of it.
 *
 * @param c        Borrowed.
 * @param channel  Borrowed: 1 to FILEPROC_CACHE_KEY_MAX bytes.
 * @param data     Borrowed; at most FILEPROC_CACHE_MESSAGE_MAX bytes. May be NULL when size is 0.
 * @param size     Bytes.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Told.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The server is away. Retryable.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  As fp_cache_ping().
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_publish(fp_cache *c, const char *channel, const void *data,
                                        size_t size, fp_error *err) FILEPROC_NODISCARD;

/**
 * Begin to listen; to nothing yet. Connects when it first receives.
 *
 * @param c  Borrowed; must outlive the subscription.
 * @param[out] out  Set only on success. The caller owns it: fp_subscription_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Ready for fp_subscription_add().
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_IO       The system has no descriptor left.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_cache_subscribe(fp_cache *c, fp_subscription **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Listen to a channel, too. From when on it is heard fp_subscription_receive() tells by FILEPROC_NEWS_RESUMED.
 *
 * @param sub      Borrowed.
 * @param channel  Borrowed. One that is listened to already is let be.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It will be.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread; one that receives is woken.
 * @since 0.1
 */
FILEPROC_API fp_status fp_subscription_add(fp_subscription *sub, const char *channel, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Listen to a channel no more. A message of it may still come.
 *
 * @param sub      Borrowed; NULL is allowed.
 * @param channel  Borrowed; NULL, and one that is not listened to, are allowed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread; one that receives is woken.
 * @since 0.1
 */
FILEPROC_API void fp_subscription_remove(fp_subscription *sub, const char *channel);

/** What fp_subscription_receive() has to tell. Start from FILEPROC_NEWS_INIT. */
typedef struct fp_news {
    size_t struct_size;  /**< Filled by the initialiser; never by hand. */
    uint32_t kind;       /**< FILEPROC_NEWS_NONE, FILEPROC_NEWS_MESSAGE or FILEPROC_NEWS_RESUMED. */
    uint32_t reserved;   /**< 0. */
    const char *channel; /**< Borrowed from the subscription until the next call of fp_subscription_receive(). */
    const char *data;    /**< Borrowed like channel, with a NUL behind. */
    size_t size;         /**< Bytes of data. */
} fp_news;
/** An empty fp_news. */
#define FILEPROC_NEWS_INIT \
    { sizeof(fp_news), 0, 0, NULL, NULL, 0 }
/** fp_news.kind: nothing came. */
#define FILEPROC_NEWS_NONE 0u
/** fp_news.kind: a message of channel. */
#define FILEPROC_NEWS_MESSAGE 1u
/** fp_news.kind: channel is heard from now on. Messages before may have been missed (at the beginning, while the server was away, or
 *  because the receiver was too slow): time to look at what they would have told of. */
#define FILEPROC_NEWS_RESUMED 2u

/**
 * Wait for news. Connects when that is due.
 *
 * @param sub         Borrowed.
 * @param timeout_ms  Milliseconds; 0 only looks, and does not connect.
 * @param[in,out] news  Borrowed; start from FILEPROC_NEWS_INIT. Filled only on success: kind is FILEPROC_NEWS_NONE when the time
 *                      ran out, or somebody called fp_subscription_wake().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           See news.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The server is away, and the time is over. Retryable.
 * @retval FILEPROC_ERR_AUTH     The server does not let us in any more, and the time is over.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Up to timeout_ms; a network driver that has to connect, a call's time more.
 * @par Threads   One thread at a time per subscription.
 * @since 0.1
 */
FILEPROC_API fp_status fp_subscription_receive(fp_subscription *sub, uint32_t timeout_ms,
                                               fp_news *news, fp_error *err) FILEPROC_NODISCARD;

/**
 * Wake who receives, now or the next time: fp_subscription_receive() answers at once with nothing. Stays so until the
 * subscription is freed; used to stop.
 *
 * @param sub  Borrowed; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API void fp_subscription_wake(fp_subscription *sub);

/**
 * Listen no more.
 *
 * @param sub  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_subscription_free(fp_subscription *sub);

FILEPROC_END_DECLS
#endif
