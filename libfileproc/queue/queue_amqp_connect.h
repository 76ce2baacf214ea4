/* Owns: making a connection to a broker that is logged in.
 * Must not know: what becomes of it. */
#ifndef FPI_QUEUE_AMQP_CONNECT_H
#define FPI_QUEUE_AMQP_CONNECT_H

#include <amqp.h>

#include "queue/queue_amqp_settings.h"

/** name is shown in the broker's list of connections. Takes at most about connect_timeout_ms twice; AUTH and NOTFOUND (of the
 *  virtual host) are final, the rest is BUSY. */
fp_status fpi_amqp_connect(const fpi_amqp_settings *s, const char *name,
                           amqp_connection_state_t *out, fp_error *err);

#endif
