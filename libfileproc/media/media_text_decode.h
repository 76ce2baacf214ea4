/* Owns: which encoding a text has, and its characters, block by block.
 * Must not know: what is done with them. */
#ifndef FPI_MEDIA_TEXT_DECODE_H
#define FPI_MEDIA_TEXT_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fpi_media_encoding {
    FPI_MEDIA_ASCII = 0,
    FPI_MEDIA_UTF8,
    FPI_MEDIA_UTF16LE,
    FPI_MEDIA_UTF16BE,
    FPI_MEDIA_LATIN1, /* a guess: bytes above 127 that are no UTF-8 */
    FPI_MEDIA_BINARY
} fpi_media_encoding;

/** As IANA registers them; "binary" for what is no text. */
const char *fpi_media_encoding_name(fpi_media_encoding encoding);

/** Looks at all bytes once. Zero-initialise. */
typedef struct fpi_media_encoding_guess {
    uint64_t bytes;
    uint64_t controls; /* that no text has */
    uint64_t nuls;
    uint32_t state; /* of an unfinished UTF-8 character: bytes to come and the range of the next */
    uint8_t next_low, next_high;
    bool high;   /* a byte above 127 was seen */
    bool broken; /* no UTF-8 */
    uint8_t head[4];
} fpi_media_encoding_guess;

void fpi_media_encoding_look(fpi_media_encoding_guess *g, const uint8_t *data, size_t size);
/** After the last block. *mark is set to the size of the byte order mark. */
fpi_media_encoding fpi_media_encoding_result(const fpi_media_encoding_guess *g, size_t *mark);

/** Keeps what a block left unfinished. Initialise with the encoding, the rest zero. */
typedef struct fpi_media_decoder {
    fpi_media_encoding encoding;
    uint32_t value;   /* of an unfinished character */
    uint32_t missing; /* bytes of UTF-8; for UTF-16: 1 = half a unit */
    uint32_t lead;    /* the first half of a surrogate pair */
} fpi_media_decoder;

/** Makes at most size + 1 characters of size bytes, and answers how many. Unpaired surrogates become U+FFFD. */
size_t fpi_media_decode(fpi_media_decoder *d, const uint8_t *data, size_t size, uint32_t *out);

#endif
