/* Owns: the operations a set of pipelines knows: the context's own first, then the helper's.
 * Must not know: pipelines; how an operation works. */
#ifndef FPI_OPERATION_H
#define FPI_OPERATION_H

#include <stdbool.h>

#include <fileproc/driver/operation_driver.h>

#include "core/json.h"
#include "pipeline/check_operation.h"

/** One operation. The texts belong to whoever registered it and outlive the context. */
typedef struct fpi_operation {
    const char *name;
    const char *accepts;
    const char *info_key;         /* or NULL */
    const fp_operation *embedded; /* NULL: runs in the helper */
    json_t *schema;
    json_t *defaults; /* the params that {} stands for; NULL when it can't run without any */
} fpi_operation;

/** Sorted by name; immutable once it is filled. */
typedef struct fpi_operations {
    const fp_context *ctx;
    fpi_operation *items;
    size_t count;
} fpi_operations;

/** INVALID names the operation and what is wrong with it; EXISTS one of the context's own that is called like one of the helper's
 *  or of ours. checks must outlive the operations. */
fp_status fpi_operations_init(const fp_context *ctx, const fpi_checks *checks, fpi_operations *ops,
                              fp_error *err);
void fpi_operations_dispose(fpi_operations *ops);

/** NULL when there is none. */
const fpi_operation *fpi_operations_find(const fpi_operations *ops, const char *name);

/** type is a valid media type in lower case. */
bool fpi_operation_accepts(const fpi_operation *op, const char *type);

/** A new object {name, accepts, parameters, runs_in, info_key}; NULL when out of memory. */
json_t *fpi_operation_describe(const fpi_operation *op);

#endif
