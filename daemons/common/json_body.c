/* Owns: JSON request bodies: reading, limits, and members of the right type.
 * Must not know: any document. */
#include "json_body.h"

#include <string.h>

#include "body.h"
#include "header_value.h"
#include "problem.h"

/* Checked on the text, before jansson recurses. */
static bool nests_too_deep(const char *text, size_t size)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < size; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > FPD_JSON_DEPTH)
                return true;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
        }
    }
    return false;
}

/* Good JSON, but no value that we can hold. */
static bool is_value_error(const json_error_t *e)
{
    enum json_error_code code = json_error_code(e);

    return code == json_error_null_character || code == json_error_null_byte_in_key ||
           code == json_error_numeric_overflow;
}

static json_t *parse(fpd_request *rq, const char *text, size_t size)
{
    json_error_t e;
    json_t *json;

    if (nests_too_deep(text, size)) {
        fpd_problem(rq, 400, "invalid_json", "The JSON nests deeper than %d.", FPD_JSON_DEPTH);
        return NULL;
    }
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (json && !json_is_object(json)) {
        json_decref(json);
        fpd_problem(rq, 422, "parameter_invalid", "The body is no JSON object.");
        return NULL;
    }
    if (json)
        return json;
    if (json_error_code(&e) == json_error_out_of_memory)
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    else
        fpd_problem(rq, is_value_error(&e) ? 422 : 400,
                    is_value_error(&e) ? "parameter_invalid" : "invalid_json",
                    "The JSON is wrong at line %d, column %d: %s.", e.line, e.column, e.text);
    return NULL;
}

/* JSON, or nothing said. A form, which curl sends unasked, is refused: so no web page's form can get here. */
static bool is_json_type(fpd_request *rq)
{
    const char *type = fpd_request_header(rq, "Content-Type");

    if (!type || fpd_value_is(type, "application/json"))
        return true;
    fpd_problem(rq, 415, "unsupported_media_type", "The body must be application/json.");
    return false;
}

json_t *fpd_json_body(fpd_request *rq, bool optional)
{
    FPD_MEMORY text = NULL;
    size_t size = 0;

    if (optional && rq->body_kind == FPD_BODY_NONE)
        return json_object();
    if (!is_json_type(rq))
        return NULL;
    text = fpd_body_read_all(rq, FPD_JSON_MAX, &size);
    if (!text)
        return NULL;
    return parse(rq, text, size);
}

bool fpd_json_string(fpd_request *rq, const json_t *object, const char *name, bool required,
                     const char **out)
{
    const json_t *value = json_object_get(object, name);

    *out = NULL;
    if (!required && (!value || json_is_null(value)))
        return true;
    if (json_is_string(value)) {
        *out = json_string_value(value);
        return true;
    }
    fpd_problem(rq, 422, "parameter_invalid", value ? "%s must be a string." : "%s is missing.",
                name);
    return false;
}

bool fpd_json_size(fpd_request *rq, const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    fpd_problem(rq, 422, "parameter_invalid",
                value ? "%s must be an integer of 0 or more." : "%s is missing.", name);
    return false;
}
