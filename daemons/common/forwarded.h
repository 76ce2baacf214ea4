/* Owns: the address at which a client sees this server, when a proxy that is believed tells it.
 * Must not know: any route. */
#ifndef FPD_FORWARDED_H
#define FPD_FORWARDED_H

#include "request.h"

/** Adds Location for a path of ours. It is relative, and so right behind every proxy that changes no paths. When the peer is in the list
 *  `proxies`, X-Forwarded-Prefix stands before the path; and with a scheme and a host, of Forwarded (RFC 7239) or of X-Forwarded-Proto
 *  and -Host, the address is absolute. What is no path, scheme or host is passed over. */
void fpd_forwarded_location(fpd_request *rq, const char *proxies, const char *path);
/** The same for who has another place for it than the reply: NUL-terminated, and nothing but visible ASCII when the path is. */
#define FPD_FORWARDED_SIZE 1024u
void fpd_forwarded_address(const fpd_request *rq, const char *proxies, const char *path,
                           char out[FPD_FORWARDED_SIZE]);

/** Appends the absolute address of a path of ours, for clients that take no other. What no proxy that is believed tells is read from the
 *  request: the host from Host, and the scheme is that of the page that asks, since one that came over https may ask for nothing else. */
void fpd_forwarded_url(const fpd_request *rq, const char *proxies, const char *path, fpd_text *url);

#endif
