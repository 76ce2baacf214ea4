/* Owns: what the URI of a broker says.
 * Must not know: how one connects. */
#ifndef FPI_QUEUE_AMQP_SETTINGS_H
#define FPI_QUEUE_AMQP_SETTINGS_H

#include <stdbool.h>

#include "core/uri.h"

/** The longest prefix; a name is prefix + "topic." + a topic of at most 100 bytes, and AMQP's limit is 255. */
#define FPI_AMQP_PREFIX_MAX 100u

typedef struct fpi_amqp_settings {
    fpi_uri uri; /* host, user and password in it */
    const char *host;
    const char *user;
    const char *password;
    const char *vhost;
    char *prefix; /* of every name that we declare */
    char *ca_file, *certificate_file, *key_file;
    uint32_t port;
    uint32_t heartbeat_s; /* 0 = none */
    uint32_t connect_timeout_ms;
    uint32_t prefetch;
    bool tls;
    bool verify;
} fpi_amqp_settings;

/** INVALID names what is wrong, never the password. */
fp_status fpi_amqp_settings_parse(fp_context *ctx, const char *uri, fpi_amqp_settings *s,
                                  fp_error *err);
void fpi_amqp_settings_dispose(fpi_amqp_settings *s);
FPI_DEFINE_DISPOSE(fpi_amqp_settings, fpi_amqp_settings_dispose)

#endif
