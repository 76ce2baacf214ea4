/* Owns: the driver's name for the table of built-in drivers.
 * Must not know: rabbitmq-c. */
#ifndef FPI_QUEUE_AMQP_H
#define FPI_QUEUE_AMQP_H

#include <fileproc/driver/queue_driver.h>

extern const fp_queue_driver fpi_queue_amqp_driver;  /* amqp:// */
extern const fp_queue_driver fpi_queue_amqps_driver; /* amqps://, the same over TLS */

#endif
