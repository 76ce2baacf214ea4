/* Owns: reading a request's body: limits before the first byte, 100 Continue, and knowing whether all of it came.
 * Must not know: what is in it. */
#ifndef FPD_BODY_H
#define FPD_BODY_H

#include "chunked.h"
#include "request.h"

/** Buffer size for bodies: large enough for few system calls, small enough for the processor's cache. */
#define FPD_BODY_BUFFER (256u * 1024u)

/** To be called once the handler means to read. Answers 413 and returns false when the declared length is above the limit;
 *  else lets a client that waits go on. */
bool fpd_body_open(fpd_request *rq, uint64_t limit);

/** Before fpd_body_open(): a body in the chunked coding shall be read with its trailer, which is in *c behind FPD_BODY_END. c is zero, and
 *  borrowed until fpd_body_let_go(). The connection ends with the request. False: it is answered, and can be sent again. */
bool fpd_body_take_over(fpd_request *rq, fpd_chunked *c);
/** Nothing more of it is read. */
void fpd_body_let_go(fpd_request *rq);

typedef enum fpd_body_result {
    FPD_BODY_OK,       /* *got bytes; more may follow */
    FPD_BODY_END,      /* *got is 0: it was whole */
    FPD_BODY_CUT,      /* the client stopped in the middle, or the chunked coding is wrong */
    FPD_BODY_TOO_LARGE /* a chunked body went over the limit */
} fpd_body_result;

/** Fills buf as far as the body goes. After anything but FPD_BODY_OK there is nothing more to read; with FPD_BODY_CUT *got bytes
 *  came before. */
fpd_body_result fpd_body_read(fpd_request *rq, void *buf, size_t capacity, size_t *got);

/** Answers for FPD_BODY_CUT and FPD_BODY_TOO_LARGE. */
void fpd_body_problem(fpd_request *rq, fpd_body_result result);

/** Reads a whole small body into memory of malloc(), NUL added. Answers the request and returns NULL on failure. */
char *fpd_body_read_all(fpd_request *rq, size_t limit, size_t *size);

/** Whether the rest of the body is small enough to read it only to keep the connection. */
bool fpd_body_is_discardable(const fpd_request *rq);

/** Reads what is left after the reply: a client that is still sending would not see the answer if we just closed. Ends after
 *  a while in any case. */
void fpd_body_drain(fpd_request *rq);

#endif
