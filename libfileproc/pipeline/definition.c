/* Owns: checking and completing one pipeline.
 * Must not know: where it comes from, where it runs. */
#include "pipeline/definition.h"

#include <string.h>

#include "core/media_type.h"
#include "pipeline/schema.h"

#define NAME_MAX_SIZE 40u

#define WRONG(err, place, ...)                                                                     \
    fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, place, __VA_ARGS__)

/* What of a pipeline a schema can say. */
#define STEPS                                                                                      \
    "\"steps\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":50,\"items\":{\"type\":\"object\"," \
    "\"required\":[\"operation\"],\"properties\":{\"name\":{\"type\":\"string\"},\"operation\":"   \
    "{\"type\":\"string\"},\"params\":{\"type\":\"object\",\"additionalProperties\":true,"         \
    "\"default\":{}}}}}"
#define NAME "\"name\":{\"type\":\"string\"}"
#define ACCEPTS                                                                                    \
    "\"accepts\":{\"type\":\"array\",\"maxItems\":200,\"items\":{\"type\":\"string\"},\"default\":[]}"

static const char inline_shape[] =
    "{\"type\":\"object\",\"required\":[\"steps\"],\"properties\":{" NAME "," STEPS "}}";
static const char definition_shape[] = "{\"type\":\"object\",\"required\":[\"name\",\"steps\"],"
                                       "\"properties\":{" NAME "," ACCEPTS "," STEPS "}}";

static bool name_valid(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return size > 0 && size <= NAME_MAX_SIZE && name[size] == '\0';
}

fp_status fpi_definition_parse(const char *text, size_t size, const char *what, json_t **out,
                               fp_error *err)
{
    size_t used = strnlen(text, size + 1);
    fp_error e = { 0 };
    fp_status rc;

    if (used > size)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
                                "%s: longer than %zu bytes", what, size);
    rc = fpi_json_parse(text, used, what, out, &e);
    if (rc == FILEPROC_ERR_INVALID)
        return fp_error_reasonf(err, rc, FILEPROC_REASON_PIPELINE_INVALID, "%s", e.message);
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status check_shape(json_t *copy, bool is_inline, const fpi_place *place, fp_error *err)
{
    const char *text = is_inline ? inline_shape : definition_shape;
    FPI_CLEANUP(json_t) shape = NULL;
    fp_status rc = fpi_json_parse(text, strlen(text), "shape", &shape, err);

    if (rc == FILEPROC_OK)
        rc = fpi_schema_apply(shape, copy, place, err);
    if (rc == FILEPROC_ERR_INVALID && err)
        err->cause = FILEPROC_REASON_PIPELINE_INVALID;
    return rc;
}

static fp_status complete_name(json_t *copy, bool is_inline, const fpi_place *place, json_t *out,
                               fp_error *err)
{
    const char *name = json_string_value(json_object_get(copy, "name"));
    fpi_place here = fpi_place_member(place, "name");

    if (!name)
        name = FPI_DEFINITION_INLINE;
    else if (!name_valid(name))
        return WRONG(err, &here, "must be 1 to %u characters of [a-z0-9_-]", NAME_MAX_SIZE);
    else if (!is_inline && strcmp(name, FPI_DEFINITION_INLINE) == 0)
        return WRONG(err, &here, "\"%s\" is kept for pipelines without a name", name);
    return fpi_json_set(out, "name", json_string(name), err);
}

static fp_status complete_accepts(json_t *copy, const fpi_place *place, json_t *out, fp_error *err)
{
    json_t *accepts = json_object_get(copy, "accepts");
    fpi_place list = fpi_place_member(place, "accepts");
    json_t *pattern;
    size_t i;

    json_array_foreach(accepts, i, pattern) {
        fpi_place here = fpi_place_element(&list, i);

        if (!fpi_media_pattern_valid(json_string_value(pattern), json_string_length(pattern)))
            return WRONG(err, &here, "must be a media type in lower case, or one like image/*");
    }
    return fpi_json_set(out, "accepts", json_incref(accepts), err);
}

/* Without a name a step is called like its operation; that is also the only name with a dot. */
static fp_status step_name(const json_t *given, const char *operation, const json_t *steps,
                           const fpi_place *place, fp_error *err)
{
    const char *name = json_string_value(json_object_get(given, "name"));
    fpi_place here = fpi_place_member(place, "name");
    const json_t *other;
    size_t i;

    if (name && !name_valid(name) && strcmp(name, operation) != 0)
        return WRONG(err, &here, "must be 1 to %u characters of [a-z0-9_-]", NAME_MAX_SIZE);
    json_array_foreach(steps, i, other)
        if (strcmp(json_string_value(json_object_get(other, "name")), name ? name : operation) == 0)
            return WRONG(err, &here, "\"%s\" is the name of steps[%zu] already%s",
                         name ? name : operation, i, name ? "" : "; give the steps names");
    return FILEPROC_OK;
}

static fp_status complete_step(const fpi_operations *ops, json_t *given, const fpi_place *place,
                               json_t *steps, fp_error *err)
{
    const char *operation = json_string_value(json_object_get(given, "operation"));
    const char *name = json_string_value(json_object_get(given, "name"));
    json_t *params = json_object_get(given, "params");
    fpi_place operation_place = fpi_place_member(place, "operation");
    fpi_place params_place = fpi_place_member(place, "params");
    const fpi_operation *op = fpi_operations_find(ops, operation);
    FPI_CLEANUP(json_t) step = json_object();
    fp_status rc;

    if (!op)
        return fpi_place_error(err, FILEPROC_REASON_OPERATION_UNKNOWN, &operation_place,
                               "there is no operation \"%.64s\"", operation);
    rc = step_name(given, operation, steps, place, err);
    if (rc == FILEPROC_OK)
        rc = fpi_schema_apply(op->schema, params, &params_place, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "name", json_string(name ? name : operation), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "operation", json_string(operation), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(step, "params", json_incref(params), err);
    if (rc == FILEPROC_OK && json_array_append(steps, step) != 0)
        rc = fpi_no_memory(err);
    return rc;
}

static fp_status complete_steps(const fpi_operations *ops, json_t *copy, const fpi_place *place,
                                json_t *out, fp_error *err)
{
    fpi_place list = fpi_place_member(place, "steps");
    FPI_CLEANUP(json_t) steps = json_array();
    fp_status rc = FILEPROC_OK;
    json_t *given;
    size_t i;

    json_array_foreach(json_object_get(copy, "steps"), i, given) {
        fpi_place here = fpi_place_element(&list, i);

        rc = complete_step(ops, given, &here, steps, err);
        if (rc < 0)
            return rc;
    }
    return fpi_json_set(out, "steps", fpi_steal(&steps), err);
}

fp_status fpi_definition_complete(const fpi_operations *ops, const json_t *given, bool is_inline,
                                  const fpi_place *place, json_t **out, fp_error *err)
{
    FPI_CLEANUP(json_t) copy = json_deep_copy(given);
    FPI_CLEANUP(json_t) whole = json_object();
    fp_status rc;

    if (!copy || !whole)
        return fpi_no_memory(err);
    rc = check_shape(copy, is_inline, place, err);
    if (rc == FILEPROC_OK)
        rc = complete_name(copy, is_inline, place, whole, err);
    if (rc == FILEPROC_OK && !is_inline)
        rc = complete_accepts(copy, place, whole, err);
    if (rc == FILEPROC_OK)
        rc = complete_steps(ops, copy, place, whole, err);
    if (rc == FILEPROC_OK && json_dumpb(whole, NULL, 0, FPI_JSON_FLAGS) > FPI_DEFINITION_TEXT_MAX)
        rc = WRONG(err, place, "with all parameters written out it is longer than %u bytes",
                   FPI_DEFINITION_TEXT_MAX);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&whole);
    return rc;
}

const fpi_operation *fpi_definition_refuses(const fpi_operations *ops, const json_t *definition,
                                            const char *type, size_t *step)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(definition, "steps"), i, one) {
        const char *name = json_string_value(json_object_get(one, "operation"));
        const fpi_operation *op = fpi_operations_find(ops, name);

        *step = i;
        if (!fpi_operation_accepts(op, type))
            return op;
    }
    return NULL;
}
