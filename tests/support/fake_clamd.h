/* Owns: a clamd for tests that does what a real one can't be made to do: it lies, is slow, hangs up.
 * Must not know: what is tested. */
#ifndef TESTS_FAKE_CLAMD_H
#define TESTS_FAKE_CLAMD_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_clamd fake_clamd;

enum {
    FAKE_CLAMD_ANSWER,   /* the whole stream is read, then the reply is sent */
    FAKE_CLAMD_EARLY,    /* the reply is sent after the first piece, and the connection closed */
    FAKE_CLAMD_HANG_UP,  /* the connection is closed after the first piece */
    FAKE_CLAMD_SILENT,   /* everything is read, nothing is said */
    FAKE_CLAMD_DEAF,     /* nothing is read, nothing is said */
    FAKE_CLAMD_PIECEWISE /* the reply comes byte by byte */
};

/* What the last conversation was. */
typedef struct fake_clamd_heard {
    uint64_t bytes;  /* of the file */
    uint32_t crc32c; /* of them */
    size_t pieces;   /* without the empty one at the end */
    size_t largest;  /* of them */
    int well_formed; /* command and lengths were as they should be, up to the end */
} fake_clamd_heard;

/* One thread, one conversation at a time. size of the reply includes its NUL when it is to have one. */
fake_clamd *fake_clamd_start(const char *socket_path, int how, const char *reply, size_t size);
/* tcp://127.0.0.1:port or unix:///path */
const char *fake_clamd_uri(const fake_clamd *clamd);
fake_clamd_heard fake_clamd_heard_last(fake_clamd *clamd);
void fake_clamd_set(fake_clamd *clamd, int how, const char *reply, size_t size);
void fake_clamd_stop(fake_clamd *clamd);

#endif
