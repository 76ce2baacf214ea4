/* Owns: the part of JSON Schema by which parameters are checked and completed.
 * Must not know: operations and pipelines. */
#ifndef FPI_SCHEMA_H
#define FPI_SCHEMA_H

#include "core/json.h"
#include "pipeline/place.h"

/*
 * Known: type (also a list of types), properties, required, additionalProperties (true, false or a schema), items,
 * minItems, maxItems, enum, const, minimum, maximum, minLength, maxLength, pattern, default, anyOf (of {"required": [...]}
 * only); and title, description, examples, $schema and $comment, which mean nothing here. Two things differ from the
 * standard: additionalProperties is false when absent, and default is written into the document. A pattern is a POSIX
 * extended regular expression, found anywhere in the text unless it has anchors: one that keeps to what these and
 * JavaScript's have in common means the same to both. A number without a fraction (2.0) is a good integer and is rewritten
 * as one.
 */

/** Checks the schema itself, so that a misspelt word can't go unnoticed. Afterwards fpi_schema_apply() relies on it. */
fp_status fpi_schema_check(json_t *schema, const fpi_place *place, fp_error *err);

/** Checks value and writes the defaults into it. INVALID (parameter_invalid) names the place; value may be half completed then. */
fp_status fpi_schema_apply(const json_t *schema, json_t *value, const fpi_place *place,
                           fp_error *err);

#endif
