/* Owns: media types (RFC 6838) as text: checking, normalising, matching against "image/" with an asterisk.
 * Must not know: which types anybody handles. */
#ifndef FPI_MEDIA_TYPE_H
#define FPI_MEDIA_TYPE_H

#include <stdbool.h>
#include <stddef.h>

/** 127 characters, a slash, 127 characters, and the NUL. */
#define FPI_MEDIA_TYPE_SIZE 256u

/** How well a pattern fits; a greater value is the closer fit. */
typedef enum fpi_media_match {
    FPI_MEDIA_MATCH_NONE = 0,
    FPI_MEDIA_MATCH_ANY = 1,  /* an asterisk alone */
    FPI_MEDIA_MATCH_KIND = 2, /* "image/" with an asterisk */
    FPI_MEDIA_MATCH_EXACT = 3
} fpi_media_match;

/** True for "type/subtype" in lower case without parameters. */
bool fpi_media_type_valid(const char *text);

/** Copies without parameters and outer blanks, in lower case; false (and out = "") when that is no media type. */
bool fpi_media_type_normalise(const char *text, char out[FPI_MEDIA_TYPE_SIZE]);

/** True for a media type in lower case, "image/" with an asterisk, and an asterisk alone. */
bool fpi_media_pattern_valid(const char *pattern, size_t size);

/** pattern and type are valid. */
fpi_media_match fpi_media_pattern_match(const char *pattern, size_t size, const char *type);

/** The best fit of a comma-separated list of patterns; blanks around the commas don't count. */
fpi_media_match fpi_media_list_match(const char *list, const char *type);

/** Takes the next pattern off a comma-separated list: *pattern and *size without blanks, *list behind the comma (NULL
 *  at the end). False when the list was at its end. */
bool fpi_media_list_next(const char **list, const char **pattern, size_t *size);

#endif
