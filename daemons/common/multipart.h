/* Owns: a streaming parser of multipart/form-data (RFC 7578, RFC 2046 section 5.1). It never holds a part: data goes
 *       on as spans of the caller's own buffer.
 * Must not know: where the bytes come from, or what the parts are. Pure: no input or output, no allocation. */
#ifndef FPD_MULTIPART_H
#define FPD_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** RFC 2046: a boundary has 1 to 70 characters. */
#define FPD_MULTIPART_BOUNDARY_MAX 70u
/** Bytes of all header lines of one part. */
#define FPD_MULTIPART_HEAD_MAX 4096u
/** Parts in one body. */
#define FPD_MULTIPART_PARTS_MAX 100u

/** What the header lines of a part said; valid during the call. Empty text = not given. */
typedef struct fpd_multipart_head {
    char name[128];
    char content_type[128];
    char content_digest[256];
} fpd_multipart_head;

/** All are called from fpd_multipart_feed(). Answering false stops it with FPD_MULTIPART_STOPPED. */
typedef struct fpd_multipart_events {
    bool (*begin)(void *user_data, const fpd_multipart_head *head);
    bool (*data)(void *user_data, const char *data, size_t size); /* size > 0 */
    bool (*end)(void *user_data);                                 /* the part is whole */
    void *user_data;
} fpd_multipart_events;

typedef enum fpd_multipart_result {
    FPD_MULTIPART_OK,
    FPD_MULTIPART_MALFORMED,
    FPD_MULTIPART_TOO_LARGE, /* header lines or number of parts */
    FPD_MULTIPART_STOPPED    /* an event said so */
} fpd_multipart_result;

typedef enum fpd_multipart_state {
    FPD_MULTIPART_PREAMBLE,  /* before the first delimiter */
    FPD_MULTIPART_DELIMITED, /* just behind a delimiter */
    FPD_MULTIPART_PADDING,   /* blanks between a delimiter and its line end */
    FPD_MULTIPART_LINE_END,  /* its CR was seen */
    FPD_MULTIPART_CLOSING,   /* the first '-' behind a delimiter was seen */
    FPD_MULTIPART_HEAD,      /* header lines */
    FPD_MULTIPART_DATA,
    FPD_MULTIPART_EPILOGUE, /* behind the last delimiter: ignored */
    FPD_MULTIPART_FAILED
} fpd_multipart_state;

typedef struct fpd_multipart {
    const fpd_multipart_events *events;
    char delimiter[FPD_MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_size;
    size_t
        matched; /* bytes of the delimiter at the end of what was fed so far, not passed on yet */
    size_t
        lent; /* how many of those are no data: the line end that a delimiter shares with what is before */
    char head[FPD_MULTIPART_HEAD_MAX];
    size_t head_size;
    size_t parts;
    fpd_multipart_state state;
    fpd_multipart_result failure;
} fpd_multipart;

/** Takes the boundary from a Content-Type value; false when there is none or it is not valid. events is borrowed. */
bool fpd_multipart_init(fpd_multipart *mp, const char *content_type,
                        const fpd_multipart_events *events);

/** The next bytes, cut anywhere. After a failure it keeps answering the same. */
fpd_multipart_result fpd_multipart_feed(fpd_multipart *mp, const char *data, size_t size);

/** Whether the closing delimiter was seen: a body that ends without it was cut off. */
bool fpd_multipart_done(const fpd_multipart *mp);

#endif
