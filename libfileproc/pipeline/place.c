/* Owns: how a place in a JSON document is written.
 * Must not know: any document. */
#include "pipeline/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEY_SHOWN 32u
#define DOTS "..."

static void append(char out[FPI_PLACE_SIZE], const char *piece)
{
    size_t used = strlen(out);

    if (used >= sizeof(DOTS) - 1 && strcmp(out + used - (sizeof(DOTS) - 1), DOTS) == 0)
        return;
    if (used + strlen(piece) + sizeof(DOTS) > FPI_PLACE_SIZE)
        piece = DOTS;
    memcpy(out + used, piece, strlen(piece) + 1);
}

/* Keys come from requests, so they can be of any length and hold any character. */
static void append_key(char out[FPI_PLACE_SIZE], const char *key)
{
    size_t size = strlen(key), shown = size;
    char piece[KEY_SHOWN + 8];

    if (shown > KEY_SHOWN) {
        shown = KEY_SHOWN;
        while (shown > 0 && ((unsigned char)key[shown] & 0xC0) == 0x80)
            shown--;
    }
    snprintf(piece, sizeof(piece), "%s%.*s%s", out[0] ? "." : "", (int)shown, key,
             shown < size ? ".." : "");
    append(out, piece);
}

void fpi_place_text(const fpi_place *place, char out[FPI_PLACE_SIZE])
{
    char index[32];

    if (!place->parent) {
        out[0] = '\0';
        return;
    }
    fpi_place_text(place->parent, out);
    if (place->key) {
        append_key(out, place->key);
    } else {
        snprintf(index, sizeof(index), "[%zu]", place->index);
        append(out, index);
    }
}

fp_status fpi_place_error(fp_error *err, int32_t reason, const fpi_place *place, const char *fmt,
                          ...)
{
    char where[FPI_PLACE_SIZE], what[160];
    va_list args;

    fpi_place_text(place, where);
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, reason, "%s%s%s", where,
                            where[0] ? ": " : "", what);
}
