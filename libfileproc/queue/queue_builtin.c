/* Owns: the table of the queue drivers in this build.
 * Must not know: what they do. The only file of this folder with feature conditions. */
#include "fileproc_config.h"
#include "queue/queue_amqp.h"
#include "queue/queue_private.h"

const fp_queue_driver *const fpi_queue_drivers[] = {
    &fpi_queue_database_driver,
#ifdef FPI_HAVE_RABBITMQ
    &fpi_queue_amqp_driver,
    &fpi_queue_amqps_driver,
#endif
    NULL,
};
