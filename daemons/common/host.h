/* Owns: which names the server answers to.
 * Must not know: any route. */
#ifndef FPD_HOST_H
#define FPD_HOST_H

#include <stdbool.h>

/** Whether a request for `host`, a Host header's value, is for us: a loopback name or address, or what `allowed` has: comma-separated
 *  names, with a port when only that one is meant, or an asterisk. */
bool fpd_host_allowed(const char *allowed, const char *host);

#endif
