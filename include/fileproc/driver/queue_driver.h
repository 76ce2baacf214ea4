/* Owns: the table of functions behind fileproc/queue.h, for those who write a backend.
 * Must not know: any driver. Less stable than the other headers: a minor release may extend it. */
#ifndef FILEPROC_DRIVER_QUEUE_DRIVER_H
#define FILEPROC_DRIVER_QUEUE_DRIVER_H

#include <fileproc/queue.h>

FILEPROC_BEGIN_DECLS

/** An event for publish. */
typedef struct fp_queue_event {
    const char *id;           /**< Borrowed: the same for each time that the event is published. */
    const char *type;         /**< Borrowed: what subscribers choose by, such as "fileproc.file.created". */
    const char *content_type; /**< Borrowed. */
    const void *body;         /**< Borrowed. */
    size_t size;              /**< Bytes. */
} fp_queue_event;

/** A queue backend. Every slot may be called from many threads at once; the core has validated
 *  the arguments. */
typedef struct fp_queue_driver {
    size_t struct_size; /**< Filled by FILEPROC_QUEUE_DRIVER_INIT. */
    const char *scheme; /**< Filled by FILEPROC_QUEUE_DRIVER_INIT. */

    /** Required. Sets *self on success. */
    fp_status (*open)(fp_context *ctx, const char *uri, const fp_queue_options *opts, void **self,
                      fp_error *err);
    /** Required. Frees self; never NULL. */
    void (*close)(void *self);
    /** Required. As fp_queue_send(). */
    fp_status (*send)(void *self, const char *topic, const void *body, size_t size, uint32_t flags,
                      fp_error *err);
    /** Required. As fp_queue_receive(): sets *m (or NULL), and *body and *size to what m owns. */
    fp_status (*receive)(void *self, const char *topic, uint32_t timeout_ms, void **m,
                         const char **body, size_t *size, uint32_t flags, fp_error *err);
    /** Required. As fp_queue_wake(). */
    void (*wake)(void *self);
    /** Required. As fp_message_ack(). */
    fp_status (*ack)(void *self, void *m, fp_error *err);
    /** Required. As fp_message_free(). */
    void (*message_free)(void *self, void *m);
    /** As fp_queue_ping(). NULL: it always works. */
    fp_status (*ping)(void *self, fp_error *err);
    /** Publishes events in order, for any number of subscribers, and waits until they are safe. Always sets *confirmed: how many
     *  from the first on are. BUSY when the broker is away. NULL: this queue has no subscribers. */
    fp_status (*publish)(void *self, const fp_queue_event *events, size_t count, size_t *confirmed,
                         fp_error *err);
    /** Acknowledges messages of a topic that have come and that nobody has received, `most` at the most, and answers how many that
     *  were. Never waits. NULL: they are received one by one. */
    size_t (*discard)(void *self, const char *topic, size_t most);
} fp_queue_driver;
/** The first two members; designated initialisers for the slots follow. */
#define FILEPROC_QUEUE_DRIVER_INIT(name) .struct_size = sizeof(fp_queue_driver), .scheme = (name)

FILEPROC_END_DECLS
#endif
