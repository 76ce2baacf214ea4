/* Owns: where in a JSON document something is, as people write it: steps[1].params.width.
 * Must not know: any document. */
#ifndef FPI_PLACE_H
#define FPI_PLACE_H

#include <stddef.h>

#include <fileproc/error.h>

#define FPI_PLACE_SIZE 112u

/** A place hangs on the stack of whoever walks through a document; the root has no parent. */
typedef struct fpi_place {
    const struct fpi_place *parent;
    const char *key; /* NULL: an element of an array, or the root */
    size_t index;
} fpi_place;

#define FPI_PLACE_ROOT                                                                             \
    {                                                                                              \
        NULL, NULL, 0                                                                              \
    }

static inline fpi_place fpi_place_member(const fpi_place *parent, const char *key)
{
    return (fpi_place){ parent, key, 0 };
}

static inline fpi_place fpi_place_element(const fpi_place *parent, size_t index)
{
    return (fpi_place){ parent, NULL, index };
}

/** "" for the root. Long keys and paths are cut, never inside a character. */
void fpi_place_text(const fpi_place *place, char out[FPI_PLACE_SIZE]);

/** INVALID with the reason; the message is "place: what's wrong". */
fp_status fpi_place_error(fp_error *err, int32_t reason, const fpi_place *place, const char *fmt,
                          ...) FILEPROC_PRINTF(4, 5);

#endif
