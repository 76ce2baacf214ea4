/* Owns: taking the chunked coding apart (RFC 9112 section 7.1), with the trailer fields behind it, which the HTTP server does not give.
 * Must not know: where the bytes come from. */
#ifndef FPD_CHUNKED_H
#define FPD_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** All trailer fields together. */
#define FPD_TRAILER_MAX 2048u

/** Where one body is. {0} is its beginning; the members are chunked.c's. */
typedef struct fpd_chunked {
    int state;
    uint64_t left; /* of the chunk */
    unsigned digits, skipped;
    size_t trailer_size;
    char trailer[FPD_TRAILER_MAX + 1];
} fpd_chunked;

typedef enum fpd_chunked_result {
    FPD_CHUNKED_MORE, /* all was taken, and it goes on */
    FPD_CHUNKED_END,  /* the body and its trailer are over */
    FPD_CHUNKED_BAD   /* it is not that coding, or the trailer is too long */
} fpd_chunked_result;

/** Takes the next `size` bytes; what of them is body is moved together to their beginning, *body bytes. *used is less than size only at the
 *  end. */
fpd_chunked_result fpd_chunked_decode(fpd_chunked *c, char *data, size_t size, size_t *body,
                                      size_t *used);

typedef enum fpd_trailer_result {
    FPD_TRAILER_FOUND,
    FPD_TRAILER_ABSENT,
    FPD_TRAILER_BAD /* twice, too long, or among what are no fields */
} fpd_trailer_result;

/** Behind FPD_CHUNKED_END: copies the value of a field; its name is compared without case. */
fpd_trailer_result fpd_chunked_trailer(const fpd_chunked *c, const char *name, char *out,
                                       size_t capacity);

#endif
