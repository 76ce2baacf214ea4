/* Owns: the requests that bring bytes of uploads, and ending the one whose place a newer one has taken, which may be stuck for ever.
 * Must not know: what becomes of the bytes. */
#ifndef FPD_WRITERS_H
#define FPD_WRITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "scoped.h"
#include "wire.h"

/** All requests of a server that bring bytes. Any thread. */
typedef struct fpd_writers fpd_writers;

/** fpd_writer.chunk of bytes that are appended. */
#define FPD_WRITER_APPEND UINT64_MAX

/** One of them; lives on the stack of the thread that serves it. */
typedef struct fpd_writer {
    struct fpd_writer *next, **place; /* of its bucket; NULL = it is in none */
    fpd_writers *all;
    const char *upload_id;
    uint64_t chunk;
    const fpd_wire *wire;
    bool superseded; /* it was ended by a newer one */
} fpd_writer;

/** NULL when out of memory. */
fpd_writers *fpd_writers_new(void);
/** No request may be left. NULL is allowed. */
void fpd_writers_free(fpd_writers *all);

/** To be called once the engine has given the place to this request: whoever had it before reads no more from its connection, and
 *  finds out why by fpd_writer_leave(). All is borrowed until then. */
void fpd_writer_enter(fpd_writers *all, fpd_writer *in, const char *upload_id, uint64_t chunk,
                      const fpd_wire *wire);
/** Ends all of this upload: what they bring does not count any more. */
void fpd_writers_end(fpd_writers *all, const char *upload_id);
/** Ends those that append to it. What of their bytes has arrived they may still bring in. */
void fpd_writers_end_appends(fpd_writers *all, const char *upload_id);
/** Before the request ends, also when it never entered. Answers whether it was superseded. */
bool fpd_writer_leave(fpd_writer *in);

#endif
