/* Owns: sending on what happened: files created and deleted, jobs finished, as CloudEvents 1.0.
 * Must not know: what the events mean. They are written by other nouns, in the transactions that made them true. */
#ifndef FILEPROC_EVENT_H
#define FILEPROC_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/context.h>
#include <fileproc/database.h>
#include <fileproc/queue.h>

FILEPROC_BEGIN_DECLS

/** Sends the events of one database to one broker. One thread at a time, but for fp_relay_stop(). */
typedef struct fp_relay fp_relay;

/** Settings for fp_relay_open(). Start from FILEPROC_RELAY_OPTIONS_INIT; 0 means default. */
typedef struct fp_relay_options {
    size_t struct_size;        /**< Filled by the initialiser; never by hand. */
    fp_database *database;     /**< Borrowed; required, must outlive the relay. @since 0.1 */
    fp_queue *queue;           /**< Borrowed; required, must outlive the relay: one that publishes, such as amqp. @since 0.1 */
    const char *source;        /**< Copied: the events' "source", a URI reference of at most 200 bytes; default "/fileproc". @since 0.1 */
    uint32_t lease_ms;         /**< How long a relay that is gone keeps the others waiting; default 30000. @since 0.1 */
    uint32_t batch;            /**< Events sent at once; default 64, at most 1000. @since 0.1 */
    uint32_t poll_interval_ms; /**< How often it looks for events; default 200. @since 0.1 */
    uint32_t reserved;         /**< 0. */
} fp_relay_options;
/** All-default fp_relay_options. */
#define FILEPROC_RELAY_OPTIONS_INIT \
    { sizeof(fp_relay_options), NULL, NULL, NULL, 0, 0, 0, 0 }

/**
 * Make a relay. From now on the database keeps events until they are sent (for 7 days after a relay was last seen); without one
 * they are forgotten after a day.
 *
 * Any number of relays may be open on one database, in any processes: one at a time sends, the others stand by. Each event is
 * sent at least once, always with the same id; events of one subject in the order in which they happened.
 *
 * @param ctx   Borrowed; must outlive the relay.
 * @param opts  Borrowed.
 * @param[out] out  Set only on success. The caller owns it: fp_relay_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Ready.
 * @retval FILEPROC_ERR_INVALID  No database or queue, or an option that makes no sense.
 * @retval FILEPROC_ERR_NOTSUP   This queue does not publish.
 * @retval FILEPROC_ERR_IO       The database failed.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Database.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_relay_open(fp_context *ctx, const fp_relay_options *opts, fp_relay **out,
                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * End a relay; another one may go on at once.
 *
 * @param relay  Taken; NULL is allowed.
 * @par Blocking  Database.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_relay_free(fp_relay *relay);

/**
 * Send one batch of events, or wait for one. To be called again and again.
 *
 * @param relay       Borrowed.
 * @param timeout_ms  How long to wait for an event; 0 only looks.
 * @param[out] sent   Always set: how many events were sent and noted as sent. May be NULL.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            See sent; 0 also while another relay sends.
 * @retval FILEPROC_ERR_CANCELLED fp_relay_stop() was called.
 * @retval FILEPROC_ERR_BUSY      The broker is away. Retryable; no event is lost.
 * @retval FILEPROC_ERR_IO        The database failed. What was sent may be sent again.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed.
 * @par Blocking  Up to timeout_ms, and as long as database and broker take.
 * @par Threads   One thread at a time per relay.
 * @since 0.1
 */
FILEPROC_API fp_status fp_relay_run(fp_relay *relay, uint32_t timeout_ms, uint64_t *sent,
                                    fp_error *err) FILEPROC_NODISCARD;

/**
 * Make fp_relay_run() end: it answers CANCELLED from now on. A batch that is being sent is finished.
 *
 * @param relay  Borrowed; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API void fp_relay_stop(fp_relay *relay);

FILEPROC_END_DECLS
#endif
