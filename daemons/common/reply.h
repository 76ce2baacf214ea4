/* Owns: writing replies: one write for head and body, the right framing, headers that nobody can inject into.
 * Must not know: what is replied. */
#ifndef FPD_REPLY_H
#define FPD_REPLY_H

#include <fileproc/buf.h>

#include "request.h"

/** Adds a header line to the reply to come. Control characters in the value are dropped. */
void fpd_reply_header(fpd_request *rq, const char *name, const char *fmt, ...)
    FILEPROC_PRINTF(3, 4);

/** Replies with a body of `size` bytes. type may be NULL when there is no body. */
void fpd_reply(fpd_request *rq, int status, const char *type, const void *body, size_t size);

/** Replies with JSON. A text that failed becomes a 503. */
void fpd_reply_json(fpd_request *rq, int status, const fpd_text *json);
void fpd_reply_json_buf(fpd_request *rq, int status, const fp_buf *json);

/** Replies without a body: 204, 304... */
void fpd_reply_empty(fpd_request *rq, int status);

/** Sends the head of a reply whose body of `length` bytes follows with fpd_reply_write(). False when the peer is gone, and
 *  for HEAD: then no body is wanted. */
bool fpd_reply_begin(fpd_request *rq, int status, const char *type, uint64_t length);
/** The same for a reply of unknown length, which the connection's end ends. */
bool fpd_reply_begin_endless(fpd_request *rq, int status, const char *type);
bool fpd_reply_write(fpd_request *rq, const void *data, size_t size);

#endif
