/* Owns: where a request's body begins among the bytes that CivetWeb has read ahead, so that somebody else can read it.
 * Must not know: what is in it. */
#ifndef FPD_TAKEOVER_H
#define FPD_TAKEOVER_H

#include <stdint.h>

#include "wire.h"

/** A request of the connection that this thread serves is over: so many bytes of head and body. */
void fpd_takeover_count(uint64_t bytes);
/** The same, when nobody knows how many. */
void fpd_takeover_lose(void);
/** The connection is over. */
void fpd_takeover_reset(void);

/** The present request's head is at `head` in the server's buffer, which has `capacity` bytes, and has `head_size` bytes. Fills what out
 *  says of bytes that follow it there. False: nobody knows. fd: the connection. */
bool fpd_takeover(const char *head, size_t head_size, size_t capacity, int fd, fpd_raw *out);

#endif
