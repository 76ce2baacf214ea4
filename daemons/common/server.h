/* Owns: CivetWeb: starting it safely, handing requests to the dispatcher, stopping it.
 * Must not know: any route. */
#ifndef FPD_SERVER_H
#define FPD_SERVER_H

#include <stdint.h>

#include "dispatch.h"

/** Connections that may wait for a thread. */
#define FPD_CONNECTIONS_QUEUED 128

typedef struct fpd_server fpd_server;

typedef struct fpd_server_options {
    const char *address;   /* IPv4, or "localhost" */
    int64_t port;          /* 0 = any free one */
    bool insecure;         /* an address that others can reach is meant so */
    int64_t threads;       /* connections served at once */
    int64_t keep_alive_ms; /* 0 = each connection serves one request */
    int64_t request_timeout_ms;
} fpd_server_options;

/** Starts to serve. The dispatcher is borrowed and must outlive the server. NULL: `why` says it in one line. Sets the
 *  handling of SIGPIPE to "ignore". */
fpd_server *fpd_server_start(const fpd_server_options *options, fpd_dispatcher *dispatcher,
                             fp_error *why);

/** The port it listens on. */
int fpd_server_port(const fpd_server *server);

/** Cuts what is still in progress and ends. NULL is allowed. Takes up to two seconds when connections are
 *  open, because CivetWeb's threads look up no sooner. */
void fpd_server_stop(fpd_server *server);

/** Whether an address is one that only this machine can reach. */
bool fpd_is_loopback(const char *address);

#endif
