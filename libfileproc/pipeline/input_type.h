/* Owns: which of an input's two types, declared and detected, an operation goes by.
 * Must not know: how a type is detected; operations of the helper, whose decoders look for themselves. */
#ifndef FPI_INPUT_TYPE_H
#define FPI_INPUT_TYPE_H

#include <stdbool.h>

#include "core/media_type.h"
#include "pipeline/operation.h"

typedef struct fpi_input_type {
    char declared[FPI_MEDIA_TYPE_SIZE]; /* "" = none */
    char detected[FPI_MEDIA_TYPE_SIZE]; /* "" = not known */
} fpi_input_type;

/** The type that op accepts: what was detected, or what was declared when the detected type is only a vaguer name for it, such as text/plain
 *  for text/x-log. INVALID and permanent otherwise: media_type_mismatch when the content is not what was declared, media_unsupported
 *  when it is. */
fp_status fpi_input_type_for(const fpi_input_type *input, const fpi_operation *op,
                             const char **type, fp_error *err);

/** Whether the two can't both be right: none is merely a vaguer name for the other. Both are normalised. */
bool fpi_input_type_differs(const char *declared, const char *detected);

#endif
