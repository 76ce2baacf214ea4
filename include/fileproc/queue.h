/* Owns: doorbells: short messages that say "there is work", so that workers need not poll.
 * Must not know: jobs. The truth about work is in the database; a lost message costs latency, never work. */
#ifndef FILEPROC_QUEUE_H
#define FILEPROC_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/context.h>
#include <fileproc/database.h>

FILEPROC_BEGIN_DECLS

/** An open queue. Shared. */
typedef struct fp_queue fp_queue;
/** A received message. One thread at a time. */
typedef struct fp_message fp_message;

/** The largest message body in bytes. */
#define FILEPROC_QUEUE_BODY_MAX 4096u

/** Settings for fp_queue_open(). Start from FILEPROC_QUEUE_OPTIONS_INIT; 0 means default. */
typedef struct fp_queue_options {
    size_t struct_size;        /**< Filled by the initialiser; never by hand. */
    fp_database *database;     /**< Borrowed; needed by the driver "database", must outlive the queue. @since 0.1 */
    uint32_t poll_interval_ms; /**< How often "database" looks for other processes' work; default 200. @since 0.1 */
    uint32_t reserved;         /**< 0. */
} fp_queue_options;
/** All-default fp_queue_options. */
#define FILEPROC_QUEUE_OPTIONS_INIT \
    { sizeof(fp_queue_options), NULL, 0, 0 }

/**
 * Open the queue that @p uri names: "database:", "amqp://user:password@host:port/vhost" or "amqps://..." (RabbitMQ), or
 * a driver added with fp_context_add_queue_driver().
 *
 * What follows "?" in a broker's URI, as name=value&...: prefix (of all names declared there; default "fileproc."),
 * heartbeat (seconds, default 30; 0 = none), connection_timeout (milliseconds, default 3000), prefetch
 * (unacknowledged messages per topic in this process, default 8), and for amqps cacertfile, certfile, keyfile,
 * verify (verify_peer or verify_none). Nothing given means guest, guest, localhost, 5672 (5671), "/".
 *
 * @param ctx   Borrowed; must outlive the queue.
 * @param uri   UTF-8, at most 4096 bytes. Copied.
 * @param opts  NULL for all defaults. Copied.
 * @param[out] out  Set only on success. The caller owns it: fp_queue_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It is open.
 * @retval FILEPROC_ERR_INVALID  Malformed URI, no database given, or an option newer than this library.
 * @retval FILEPROC_ERR_NOTSUP   This build has no driver for the scheme.
 * @retval FILEPROC_ERR_AUTH     The broker refuses user, password, or access to the virtual host; or its certificate
 *                               is not to be trusted.
 * @retval FILEPROC_ERR_NOTFOUND The broker has no such virtual host.
 * @retval FILEPROC_ERR_IO       The broker can't be reached.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network drivers: until connected.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_queue_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                                     fp_queue **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Close a queue.
 *
 * @param q  Taken; NULL is allowed. No message of it may be alive.
 * @par Blocking  Network drivers: until closed.
 * @par Threads   Nothing may run beside it; wake receivers first: fp_queue_wake().
 * @since 0.1
 */
FILEPROC_API void fp_queue_free(fp_queue *q);

/**
 * Send a message to one receiver of @p topic. To be called after the work it announces is committed.
 *
 * @param q      Borrowed.
 * @param topic  Borrowed: 1 to 100 bytes of [A-Za-z0-9._-].
 * @param body   Borrowed; at most FILEPROC_QUEUE_BODY_MAX bytes. May be NULL when size is 0.
 * @param size   Bytes.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           Sent. The driver "database" keeps it in memory only.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The broker is away. Retryable; the work is found without the message.
 * @retval FILEPROC_ERR_CONFLICT The broker has a queue of this name that was made otherwise.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Network drivers: until the broker confirms; some seconds at most.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_queue_send(fp_queue *q, const char *topic, const void *body, size_t size,
                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * Wait for a message. A wake-up without one is normal: look at the database either way.
 *
 * @param q           Borrowed.
 * @param topic       Borrowed.
 * @param timeout_ms  Milliseconds; 0 only looks.
 * @param[out] out    Set only on success: the message, owned by the caller (fp_message_free()), or NULL when the time
 *                    ran out, somebody called fp_queue_wake(), or another process changed the database.
 * @param[out] err    Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           See out.
 * @retval FILEPROC_ERR_INVALID  Bad argument.
 * @retval FILEPROC_ERR_BUSY     The broker is away. Retryable.
 * @retval FILEPROC_ERR_CONFLICT The broker has a queue of this name that was made otherwise.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Up to timeout_ms; a network driver that has to connect, as long as that takes, but only when timeout_ms
 *                is not 0.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_queue_receive(fp_queue *q, const char *topic, uint32_t timeout_ms,
                                        fp_message **out, fp_error *err) FILEPROC_NODISCARD;

/**
 * Wake every receiver, now waiting or about to: fp_queue_receive() answers at once with no message. Stays so until
 * the queue is freed; used to stop workers.
 *
 * @param q  Borrowed; NULL is allowed.
 * @par Blocking  Never; network drivers: while another thread waits for an answer of the broker.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API void fp_queue_wake(fp_queue *q);

/**
 * Ask whether the queue works: whether the broker answers, and what was received from is still listened to. Connects again
 * when that is due. A network driver has no thread of its own: calling this every few seconds keeps idle connections
 * alive that nobody else uses.
 *
 * @param q  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK           It does.
 * @retval FILEPROC_ERR_BUSY     The broker is away, or takes no messages at present. Retryable.
 * @retval FILEPROC_ERR_AUTH     The broker does not let us in any more.
 * @retval FILEPROC_ERR_INVALID  q is NULL.
 * @par Blocking  Disk or network; some seconds at most.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_queue_ping(fp_queue *q, fp_error *err) FILEPROC_NODISCARD;

/**
 * The bytes of a message.
 *
 * @param msg        Borrowed.
 * @param[out] size  Bytes. May be NULL.
 * @return           Borrowed from the message, with a NUL behind.
 * @par Blocking  Never.
 * @par Threads   One thread at a time per message.
 * @since 0.1
 */
FILEPROC_API const char *fp_message_body(const fp_message *msg, size_t *size);

/**
 * Acknowledge a message: it is not delivered again. To be called once the work is claimed.
 *
 * @param msg  Borrowed.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK        Acknowledged.
 * @retval FILEPROC_ERR_BUSY  The broker is away; the message comes again.
 * @par Blocking  Network drivers.
 * @par Threads   One thread at a time per message.
 * @since 0.1
 */
FILEPROC_API fp_status fp_message_ack(fp_message *msg, fp_error *err) FILEPROC_NODISCARD;

/**
 * Release a message. Unacknowledged, it is given to another receiver.
 *
 * @param msg  Taken; NULL is allowed.
 * @par Blocking  Network drivers.
 * @par Threads   One thread at a time per message.
 * @since 0.1
 */
FILEPROC_API void fp_message_free(fp_message *msg);

FILEPROC_END_DECLS
#endif
