/* Owns: which names a file may have, and the cutting of folders from them.
 * Must not know: uploads. */
#ifndef FPI_FILENAME_H
#define FPI_FILENAME_H

#include <stdbool.h>
#include <stddef.h>

#include <fileproc/error.h>

/** Characters, not bytes. */
#define FPI_FILENAME_MAX 255u

/** *name points into text, behind its last '/' or '\\'. INVALID with filename_invalid for names that are empty, "." or
 *  "..", too long, no UTF-8, or have control characters. */
fp_status fpi_filename_clean(const char *text, const char **name, fp_error *err);

/** Whether text is UTF-8 (RFC 3629) without control characters; *characters counts them. */
bool fpi_text_clean(const char *text, size_t *characters);

#endif
