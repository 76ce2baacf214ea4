/* Owns: what a schema may say: the table of keywords.
 * Must not know: operations and pipelines. */
#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "pipeline/schema.h"

#define WRONG(err, place, ...)                                                                     \
    fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, place, __VA_ARGS__)

typedef fp_status (*keyword_check)(json_t *value, const fpi_place *place, fp_error *err);

static bool is_type_name(const json_t *value)
{
    static const char *const names[] = { "object", "array",   "string", "integer",
                                         "number", "boolean", "null" };

    for (size_t i = 0; json_is_string(value) && i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(json_string_value(value), names[i]) == 0)
            return true;
    return false;
}

static fp_status check_type(json_t *value, const fpi_place *place, fp_error *err)
{
    bool good = is_type_name(value) || (json_array_size(value) > 0 && json_array_size(value) <= 4);
    const json_t *one;
    size_t i;

    json_array_foreach(value, i, one)
        good = good && is_type_name(one);
    return good ? FILEPROC_OK
                : WRONG(err, place, "must be the name of a type, or a list of 1 to 4 of them");
}

static fp_status check_schemas(json_t *value, const fpi_place *place, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    json_t *schema;
    const char *key;

    if (!json_is_object(value))
        return WRONG(err, place, "must be an object of schemas");
    json_object_foreach(value, key, schema) {
        fpi_place here = fpi_place_member(place, key);

        rc = fpi_schema_check(schema, &here, err);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static fp_status check_closed(json_t *value, const fpi_place *place, fp_error *err)
{
    return json_is_boolean(value) ? FILEPROC_OK : fpi_schema_check(value, place, err);
}

static fp_status check_names(json_t *value, const fpi_place *place, fp_error *err)
{
    bool good = json_is_array(value);
    const json_t *one;
    size_t i;

    json_array_foreach(value, i, one)
        good = good && json_is_string(one);
    return good ? FILEPROC_OK : WRONG(err, place, "must be an array of strings");
}

static fp_status check_values(json_t *value, const fpi_place *place, fp_error *err)
{
    return json_array_size(value) > 0 ? FILEPROC_OK
                                      : WRONG(err, place, "must be an array of values");
}

static fp_status check_number(json_t *value, const fpi_place *place, fp_error *err)
{
    return json_is_number(value) ? FILEPROC_OK : WRONG(err, place, "must be a number");
}

static fp_status check_count(json_t *value, const fpi_place *place, fp_error *err)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return FILEPROC_OK;
    return WRONG(err, place, "must be an integer of 0 or more");
}

static fp_status check_pattern(json_t *value, const fpi_place *place, fp_error *err)
{
    regex_t compiled;
    int rc;

    if (!json_is_string(value))
        return WRONG(err, place, "must be a string");
    rc = regcomp(&compiled, json_string_value(value), REG_EXTENDED | REG_NOSUB);
    if (rc == REG_ESPACE)
        return fpi_no_memory(err);
    if (rc != 0)
        return WRONG(err, place, "must be a POSIX extended regular expression");
    regfree(&compiled);
    return FILEPROC_OK;
}

/* Of all that it may be in the standard, only "one of these must be there" is needed. */
static fp_status check_any(json_t *value, const fpi_place *place, fp_error *err)
{
    bool good = json_array_size(value) > 0;
    json_t *one, *names;
    fp_status rc;
    size_t i;

    json_array_foreach(value, i, one) {
        fpi_place here = fpi_place_element(place, i);

        names = json_object_get(one, "required");
        good = good && json_object_size(one) == 1 && json_array_size(names) > 0;
        rc = good ? check_names(names, &here, err) : FILEPROC_OK;
        if (rc < 0)
            return rc;
    }
    return good ? FILEPROC_OK : WRONG(err, place, "must be an array of {\"required\": [names]}");
}

static fp_status check_nothing(json_t *value, const fpi_place *place, fp_error *err)
{
    (void)value;
    (void)place;
    (void)err;
    return FILEPROC_OK;
}

static const struct keyword {
    const char *name;
    keyword_check check;
} keywords[] = {
    { "$comment", check_nothing },
    { "$schema", check_nothing },
    { "additionalProperties", check_closed },
    { "anyOf", check_any },
    { "const", check_nothing },
    { "default", check_nothing }, /* see check_default() */
    { "description", check_nothing },
    { "enum", check_values },
    { "examples", check_nothing },
    { "items", fpi_schema_check },
    { "maxItems", check_count },
    { "maxLength", check_count },
    { "maximum", check_number },
    { "minItems", check_count },
    { "minLength", check_count },
    { "minimum", check_number },
    { "pattern", check_pattern },
    { "properties", check_schemas },
    { "required", check_names },
    { "title", check_nothing },
    { "type", check_type },
};

static const struct keyword *find(const char *name)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

/* A default that its own schema refuses would fail every request that leaves the member out. */
static fp_status check_default(const json_t *schema, const fpi_place *place, fp_error *err)
{
    fpi_place here = fpi_place_member(place, "default");
    const json_t *standard = json_object_get(schema, "default");
    FPI_CLEANUP(json_t) copy = NULL;

    if (!standard)
        return FILEPROC_OK;
    copy = json_deep_copy(standard);
    if (!copy)
        return fpi_no_memory(err);
    return fpi_schema_apply(schema, copy, &here, err);
}

fp_status fpi_schema_check(json_t *schema, const fpi_place *place, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    json_t *value;
    const char *key;

    if (!json_is_object(schema))
        return WRONG(err, place, "must be a schema, that is, an object");
    json_object_foreach(schema, key, value) {
        fpi_place here = fpi_place_member(place, key);
        const struct keyword *keyword = find(key);

        rc = keyword ? keyword->check(value, &here, err)
                     : WRONG(err, &here, "is not among the supported words of JSON Schema");
        if (rc < 0)
            return rc;
    }
    return check_default(schema, place, err);
}
