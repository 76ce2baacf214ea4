/* Owns: what the library knows of the operations that run in the helper program: their names, types and parameters.
 * Must not know: how any of them works. Pure data. */
#ifndef FPI_OPERATION_BUILTIN_H
#define FPI_OPERATION_BUILTIN_H

#include <stddef.h>

/** One operation of fileproc-media. The members mean what they mean in fp_operation (fileproc/driver/operation_driver.h). */
typedef struct fpi_builtin_operation {
    const char *name;
    const char *accepts;
    const char *parameters;
    const char *info_key;
} fpi_builtin_operation;

/** Sorted by name. */
extern const fpi_builtin_operation fpi_builtin_operations[];
extern const size_t fpi_builtin_operation_count;

#endif
