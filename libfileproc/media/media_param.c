/* Owns: reading the parameters of a step. The library checked them against the schema; the helper trusts nothing and checks again.
 * Must not know: any operation. */
#include "media/media_param.h"

#include <string.h>

#include "core/hex.h"
#include "media/media_error.h"

static fp_status wrong(fp_error *err, const char *name, const char *wanted)
{
    return fpi_media_fail(err, FILEPROC_REASON_PARAMETER_INVALID, "parameter %s must be %s", name,
                          wanted);
}

fp_status fpi_media_param_integer(const json_t *params, const char *name, int low, int high,
                                  int *value, fp_error *err)
{
    const json_t *j = json_object_get(params, name);
    json_int_t number;

    if (!j)
        return FILEPROC_OK;
    number = json_integer_value(j);
    if (!json_is_integer(j) || number < low || number > high)
        return fpi_media_fail(err, FILEPROC_REASON_PARAMETER_INVALID,
                              "parameter %s must be an integer from %d to %d", name, low, high);
    *value = (int)number;
    return FILEPROC_OK;
}

fp_status fpi_media_param_boolean(const json_t *params, const char *name, bool *value,
                                  fp_error *err)
{
    const json_t *j = json_object_get(params, name);

    if (!j)
        return FILEPROC_OK;
    if (!json_is_boolean(j))
        return wrong(err, name, "true or false");
    *value = json_is_true(j);
    return FILEPROC_OK;
}

fp_status fpi_media_param_choice(const json_t *params, const char *name, const char *const *choices,
                                 int *value, fp_error *err)
{
    const json_t *j = json_object_get(params, name);

    if (!j)
        return FILEPROC_OK;
    for (int i = 0; json_is_string(j) && choices[i]; i++)
        if (strcmp(choices[i], json_string_value(j)) == 0) {
            *value = i;
            return FILEPROC_OK;
        }
    return wrong(err, name, "one of the values its schema lists");
}

fp_status fpi_media_param_text(const json_t *params, const char *name, size_t max,
                               const char **value, fp_error *err)
{
    const json_t *j = json_object_get(params, name);

    if (!j)
        return FILEPROC_OK;
    if (!json_is_string(j) || json_string_length(j) == 0 || json_string_length(j) > max)
        return wrong(err, name, "a text that is neither empty nor too long");
    *value = json_string_value(j);
    return FILEPROC_OK;
}

fp_status fpi_media_param_colour(const json_t *params, const char *name, unsigned char value[3],
                                 fp_error *err)
{
    const char *text = NULL;
    size_t digits;
    fp_status rc = fpi_media_param_text(params, name, 7, &text, err);

    if (rc < 0 || !text)
        return rc;
    digits = strlen(text) - 1;
    if (text[0] != '#' || (digits != 3 && digits != 6) ||
        strspn(text + 1, "0123456789abcdefABCDEF") != digits)
        return wrong(err, name, "a colour such as #fff or #20b2aa");
    for (size_t i = 0; i < 3; i++) {
        const char *at = text + 1 + i * (digits / 3);

        value[i] =
            (unsigned char)(fpi_hex_digit(at[0]) * 16 + fpi_hex_digit(at[digits == 6 ? 1 : 0]));
    }
    return FILEPROC_OK;
}
