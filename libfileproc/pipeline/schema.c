/* Owns: applying a schema to a value.
 * Must not know: operations and pipelines. What a schema may say is checked in schema_check.c. */
#include "pipeline/schema.h"

#include <math.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Beyond this a double skips integers. */
#define EXACT_DOUBLE 9007199254740992.0

#define WRONG(err, place, ...)                                                                     \
    fpi_place_error(err, FILEPROC_REASON_PARAMETER_INVALID, place, __VA_ARGS__)

static bool is_whole(const json_t *value)
{
    double d = json_real_value(value);

    return json_is_real(value) && fabs(d) <= EXACT_DOUBLE && trunc(d) == d;
}

static bool has_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
        return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0 || (strcmp(type, "integer") == 0 && is_whole(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(type, "boolean") == 0;
    default:
        return strcmp(type, "null") == 0;
    }
}

/* 2.0 is to become 2 where only integers are asked for. */
static bool wants_integer(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type"), *one;
    bool integer = false, number = false;
    size_t i;

    if (json_is_string(type))
        return strcmp(json_string_value(type), "integer") == 0;
    json_array_foreach(type, i, one) {
        integer = integer || strcmp(json_string_value(one), "integer") == 0;
        number = number || strcmp(json_string_value(one), "number") == 0;
    }
    return integer && !number;
}

static const char *with_article(const char *type)
{
    static const char *const names[] = { "an object",  "an array", "a string",
                                         "an integer", "a number", "a boolean" };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(strchr(names[i], ' ') + 1, type) == 0)
            return names[i];
    return type;
}

static fp_status check_type(const json_t *schema, const json_t *value, const fpi_place *place,
                            fp_error *err)
{
    const json_t *type = json_object_get(schema, "type"), *one;
    char list[80] = "";
    size_t i, used = 0;

    if (!type || (json_is_string(type) && has_type(value, json_string_value(type))))
        return FILEPROC_OK;
    if (json_is_string(type))
        return WRONG(err, place, "must be %s", with_article(json_string_value(type)));
    json_array_foreach(type, i, one) {
        if (has_type(value, json_string_value(one)))
            return FILEPROC_OK;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? " or " : "",
                                 with_article(json_string_value(one)));
    }
    return WRONG(err, place, "must be %s", list);
}

/* 1 and 1.0 are the same number. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    if (json_is_number(a) && json_is_number(b))
        return !islessgreater(json_number_value(a), json_number_value(b));
    return json_equal(a, b) != 0;
}

/* A value of a schema, for a message. */
static void show(const json_t *value, char *out, size_t size)
{
    size_t n = json_dumpb(value, out, size - 1, FPI_JSON_FLAGS);

    if (n >= size) /* too long for the message */
        n = (size_t)snprintf(out, size, "a certain value");
    out[n] = '\0';
}

static fp_status check_choice(const json_t *schema, const json_t *value, const fpi_place *place,
                              fp_error *err)
{
    const json_t *only = json_object_get(schema, "const");
    const json_t *choices = json_object_get(schema, "enum"), *choice;
    char list[128] = "", one[48];
    size_t i, used = 0;

    if (only && !same(only, value)) {
        show(only, one, sizeof(one));
        return WRONG(err, place, "must be %s", one);
    }
    if (!choices)
        return FILEPROC_OK;
    json_array_foreach(choices, i, choice) {
        if (same(choice, value))
            return FILEPROC_OK;
        show(choice, one, sizeof(one));
        if (used + strlen(one) + 8 < sizeof(list))
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", one);
    }
    return WRONG(err, place, "must be one of %s", list);
}

/* -1, 0, 1: the value is below, at, above the limit. */
static int compare(const json_t *value, const json_t *limit)
{
    if (json_is_integer(value) && json_is_integer(limit)) {
        json_int_t a = json_integer_value(value), b = json_integer_value(limit);

        return (a > b) - (a < b);
    }
    return (json_number_value(value) > json_number_value(limit)) -
           (json_number_value(value) < json_number_value(limit));
}

static fp_status check_number(const json_t *schema, const json_t *value, const fpi_place *place,
                              fp_error *err)
{
    const json_t *low = json_object_get(schema, "minimum"),
                 *high = json_object_get(schema, "maximum");
    char limit[48];

    if (low && compare(value, low) < 0) {
        show(low, limit, sizeof(limit));
        return WRONG(err, place, "must be at least %s", limit);
    }
    if (high && compare(value, high) > 0) {
        show(high, limit, sizeof(limit));
        return WRONG(err, place, "must be at most %s", limit);
    }
    return FILEPROC_OK;
}

/* Lengths of strings count characters; jansson lets only good UTF-8 in. */
static size_t character_count(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t count = 0;

    for (size_t i = 0; i < json_string_length(string); i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

static fp_status check_count(const json_t *schema, size_t count, const char *const keywords[2],
                             const char *noun, const fpi_place *place, fp_error *err)
{
    const json_t *low = json_object_get(schema, keywords[0]);
    const json_t *high = json_object_get(schema, keywords[1]);

    if (low && (json_int_t)count < json_integer_value(low))
        return WRONG(err, place, "must have at least %lld %s", (long long)json_integer_value(low),
                     noun);
    if (high && (json_int_t)count > json_integer_value(high))
        return WRONG(err, place, "must have at most %lld %s", (long long)json_integer_value(high),
                     noun);
    return FILEPROC_OK;
}

/* schema_check.c has seen that it compiles, so now only memory can lack. */
static fp_status check_pattern(const json_t *schema, const json_t *value, const fpi_place *place,
                               fp_error *err)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    regex_t compiled;
    int rc;

    if (!pattern)
        return FILEPROC_OK;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return fpi_no_memory(err);
    rc = regexec(&compiled, json_string_value(value), 0, NULL, 0);
    regfree(&compiled);
    if (rc == REG_ESPACE)
        return fpi_no_memory(err);
    return rc == 0 ? FILEPROC_OK : WRONG(err, place, "must match %.120s", pattern);
}

static fp_status apply_string(const json_t *schema, const json_t *value, const fpi_place *place,
                              fp_error *err)
{
    static const char *const lengths[] = { "minLength", "maxLength" };
    fp_status rc = check_count(schema, character_count(value), lengths, "characters", place, err);

    return rc < 0 ? rc : check_pattern(schema, value, place, err);
}

static fp_status apply(const json_t *schema, json_t *value, json_t **replacement,
                       const fpi_place *place, fp_error *err);

static fp_status apply_member(json_t *object, const char *key, const json_t *schema,
                              const fpi_place *place, fp_error *err)
{
    fpi_place here = fpi_place_member(place, key);
    FPI_CLEANUP(json_t) replacement = NULL;
    fp_status rc = apply(schema, json_object_get(object, key), &replacement, &here, err);

    if (rc == FILEPROC_OK && replacement)
        rc = fpi_json_set(object, key, fpi_steal(&replacement), err);
    return rc;
}

static fp_status apply_items(const json_t *schema, json_t *array, const fpi_place *place,
                             fp_error *err)
{
    static const char *const keywords[] = { "minItems", "maxItems" };
    const json_t *items = json_object_get(schema, "items");
    fp_status rc = check_count(schema, json_array_size(array), keywords, "items", place, err);

    for (size_t i = 0; items && rc == FILEPROC_OK && i < json_array_size(array); i++) {
        fpi_place here = fpi_place_element(place, i);
        FPI_CLEANUP(json_t) replacement = NULL;

        rc = apply(items, json_array_get(array, i), &replacement, &here, err);
        if (rc == FILEPROC_OK && replacement &&
            json_array_set_new(array, i, fpi_steal(&replacement)) != 0)
            rc = fpi_no_memory(err);
    }
    return rc;
}

static fp_status check_required(const json_t *schema, const json_t *object, const fpi_place *place,
                                fp_error *err)
{
    const json_t *required = json_object_get(schema, "required"), *name;
    size_t i;

    json_array_foreach(required, i, name) {
        if (!json_object_get(object, json_string_value(name))) {
            fpi_place here = fpi_place_member(place, json_string_value(name));

            return WRONG(err, &here, "is required");
        }
    }
    return FILEPROC_OK;
}

static bool has_all(const json_t *object, const json_t *names)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
        if (!json_object_get(object, json_string_value(name)))
            return false;
    return true;
}

/* "width or height", "a and b or c" */
static fp_status check_any(const json_t *schema, const json_t *object, const fpi_place *place,
                           fp_error *err)
{
    const json_t *choices = json_object_get(schema, "anyOf"), *choice, *name;
    char list[128] = "";
    size_t i, n, used = 0;

    if (!choices)
        return FILEPROC_OK;
    json_array_foreach(choices, i, choice) {
        const json_t *names = json_object_get(choice, "required");

        if (has_all(object, names))
            return FILEPROC_OK;
        json_array_foreach(names, n, name)
            if (used < sizeof(list)) /* what doesn't fit is cut */
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                         n   ? " and "
                                         : i ? " or "
                                             : "",
                                         json_string_value(name));
    }
    return WRONG(err, place, "must have %s", list);
}

static fp_status apply_properties(json_t *properties, json_t *object, const fpi_place *place,
                                  fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    json_t *schema;
    const char *key;

    json_object_foreach(properties, key, schema) {
        json_t *standard = json_object_get(schema, "default");

        if (!json_object_get(object, key) && standard)
            rc = fpi_json_set(object, key, json_deep_copy(standard), err);
        if (rc == FILEPROC_OK && json_object_get(object, key))
            rc = apply_member(object, key, schema, place, err);
        if (rc < 0)
            return rc;
    }
    return FILEPROC_OK;
}

static fp_status apply_additional(const json_t *schema, json_t *object, const fpi_place *place,
                                  fp_error *err)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *additional = json_object_get(schema, "additionalProperties");
    fp_status rc = FILEPROC_OK;
    const char *key;
    json_t *value;
    void *next;

    if (json_is_true(additional))
        return FILEPROC_OK;
    json_object_foreach_safe(object, next, key, value)
    {
        fpi_place here = fpi_place_member(place, key);

        if (json_object_get(properties, key))
            continue;
        rc = json_is_object(additional) ? apply_member(object, key, additional, place, err)
                                        : WRONG(err, &here, "is not known here");
        if (rc < 0)
            return rc;
    }
    return FILEPROC_OK;
}

static fp_status apply_object(const json_t *schema, json_t *object, const fpi_place *place,
                              fp_error *err)
{
    json_t *properties = json_object_get(schema, "properties");
    fp_status rc = apply_additional(schema, object, place, err);

    if (rc == FILEPROC_OK)
        rc = check_required(schema, object, place, err);
    if (rc == FILEPROC_OK)
        rc = check_any(schema, object, place, err);
    if (rc == FILEPROC_OK && properties)
        rc = apply_properties(properties, object, place, err);
    return rc;
}

/* Sets *replacement when another value has to take this one's place. */
static fp_status apply(const json_t *schema, json_t *value, json_t **replacement,
                       const fpi_place *place, fp_error *err)
{
    fp_status rc = check_type(schema, value, place, err);

    if (rc == FILEPROC_OK)
        rc = check_choice(schema, value, place, err);
    if (rc < 0)
        return rc;
    if (json_is_string(value))
        return apply_string(schema, value, place, err);
    if (json_is_object(value))
        return apply_object(schema, value, place, err);
    if (json_is_array(value))
        return apply_items(schema, value, place, err);
    if (!json_is_number(value))
        return FILEPROC_OK;
    rc = check_number(schema, value, place, err);
    if (rc == FILEPROC_OK && json_is_real(value) && wants_integer(schema)) {
        *replacement = json_integer((json_int_t)json_real_value(value));
        if (!*replacement)
            return fpi_no_memory(err);
    }
    return rc;
}

fp_status fpi_schema_apply(const json_t *schema, json_t *value, const fpi_place *place,
                           fp_error *err)
{
    FPI_CLEANUP(json_t) replacement = NULL; /* a root that is a number stays what it is */

    return apply(schema, value, &replacement, place, err);
}
