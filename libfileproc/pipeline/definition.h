/* Owns: checking and completing one pipeline.
 * Must not know: where it comes from, where it runs. */
#ifndef FPI_DEFINITION_H
#define FPI_DEFINITION_H

#include "pipeline/operation.h"
#include "pipeline/place.h"

/** The name of a pipeline that was given none. */
#define FPI_DEFINITION_INLINE "inline"

/** Longest text of one pipeline, as given and as completed. With its envelope it fits into one packet for the helper. */
#define FPI_DEFINITION_TEXT_MAX (64u * 1024u)

/** Like fpi_json_parse(), for text of at most size bytes; INVALID has reason pipeline_invalid. */
fp_status fpi_definition_parse(const char *text, size_t size, const char *what, json_t **out,
                               fp_error *err);

/**
 * A new reference to {"name", "accepts", "steps": [{"name", "operation", "params"}]} with all defaults written out.
 * accepts is only allowed, and only in the result, for a definition; an inline pipeline may lack a name.
 * `given` is left as it is. INVALID names the place.
 */
fp_status fpi_definition_complete(const fpi_operations *ops, const json_t *given, bool is_inline,
                                  const fpi_place *place, json_t **out, fp_error *err);

/** NULL when every step's operation takes the type, else the first that does not. */
const fpi_operation *fpi_definition_refuses(const fpi_operations *ops, const json_t *definition,
                                            const char *type, size_t *step);

#endif
