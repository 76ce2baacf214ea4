/* Owns: the names of what steps make: "photo-thumb.webp".
 * Must not know: files, steps. */
#ifndef FPI_OUTPUT_NAME_H
#define FPI_OUTPUT_NAME_H

#include <stddef.h>

/** Characters, not bytes. */
#define FPI_OUTPUT_NAME_MAX 255u
/** Four bytes for each character, and the NUL. */
#define FPI_OUTPUT_NAME_SIZE (FPI_OUTPUT_NAME_MAX * 4 + 1)

/** input's name without folders and extension, step, number (0 = none) and extension. Whatever input is (NULL, "", no UTF-8, too long),
 *  the result is UTF-8 without control characters and slashes. step and extension are short and clean. */
void fpi_output_name(const char *input, const char *step, unsigned number, const char *extension,
                     char out[FPI_OUTPUT_NAME_SIZE]);

#endif
