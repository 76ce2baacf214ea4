/* Owns: reading one value by its setting's type, into a normal form and a number.
 * Must not know: where the value comes from, or any setting. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/buf_private.h"
#include "core/config_private.h"
#include "core/json.h"
#include "core/uri.h"

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* Powers of 1000 only where the unit says so; a single letter is what nginx, Docker and dd make of it. The first unit that
 * divides a number is the one it is shown in. */
static const unit size_units[] = {
    { "PiB", INT64_C(1) << 50 },
    { "TiB", INT64_C(1) << 40 },
    { "GiB", INT64_C(1) << 30 },
    { "MiB", INT64_C(1) << 20 },
    { "KiB", INT64_C(1) << 10 },
    { "B", 1 },
    { "P", INT64_C(1) << 50 },
    { "T", INT64_C(1) << 40 },
    { "G", INT64_C(1) << 30 },
    { "M", INT64_C(1) << 20 },
    { "K", INT64_C(1) << 10 },
    { "PB", INT64_C(1000000000000000) },
    { "TB", INT64_C(1000000000000) },
    { "GB", INT64_C(1000000000) },
    { "MB", INT64_C(1000000) },
    { "KB", INT64_C(1000) },
    { NULL, 0 },
};
static const unit duration_units[] = {
    { "d", INT64_C(86400000) },
    { "h", INT64_C(3600000) },
    { "m", INT64_C(60000) },
    { "s", INT64_C(1000) },
    { "ms", 1 },
    { "min", INT64_C(60000) },
    { "w", INT64_C(604800000) },
    { NULL, 0 },
};
#define PLAIN_DURATION INT64_C(1000) /* a duration without a unit is in seconds */

static bool holds_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

static fp_status refuse(const char *label, const char *text, const char *wanted, fp_error *err)
{
    if (holds_control_character(text))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the value is not %s", label, wanted);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: '%.40s' is not %s", label, text, wanted);
}

void fpi_config_wipe(const fp_context *ctx, fpi_config_value *value)
{
    if (value->text)
        explicit_bzero(value->text, strlen(value->text));
    fpi_free(&ctx->a, value->text);
    value->text = NULL;
}

/* ---- numbers ---- */

void fpi_config_quantity(const fpi_setting *setting, int64_t number, char out[32])
{
    const unit *u = setting->type == FPI_SETTING_SIZE ? size_units : duration_units;

    if (setting->type != FPI_SETTING_SIZE && setting->type != FPI_SETTING_DURATION) {
        snprintf(out, 32, "%" PRId64, number);
        return;
    }
    while (number % u->factor)
        u++;
    snprintf(out, 32, "%" PRId64 "%s", number / u->factor, number ? u->name : "");
}

static fp_status check_range(const fpi_setting *s, const char *label, int64_t number, fp_error *err)
{
    char low[32], high[32];

    if (number >= s->min && number <= s->max)
        return FILEPROC_OK;
    fpi_config_quantity(s, s->min, low);
    fpi_config_quantity(s, s->max, high);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the value must be from %s to %s", label,
                         low, high);
}

/* False when there is no digit or the number does not fit. */
static bool read_digits(const char **at, int64_t *number)
{
    const char *p = *at;
    int64_t value = 0;

    while (fpi_ascii_is_digit(*p))
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p++ - '0', &value))
            return false;
    if (p == *at)
        return false;
    *at = p;
    *number = value;
    return true;
}

static bool read_unit(const char **at, const unit *units, int64_t *factor)
{
    size_t size = 0;

    while (fpi_ascii_is_letter((*at)[size]))
        size++;
    for (; units->name; units++)
        if (strlen(units->name) == size && fpi_ascii_same(units->name, *at, size)) {
            *at += size;
            *factor = units->factor;
            return true;
        }
    return false;
}

/* "5MiB", "1h30m", or a number alone, which counts in `plain`. */
static bool read_quantity(const char *text, const unit *units, int64_t plain, int64_t *number)
{
    int64_t value, factor, sum = 0;
    bool first = true;

    for (; *text || first; first = false) {
        if (!read_digits(&text, &value))
            return false;
        while (*text == ' ')
            text++;
        factor = plain;
        if ((*text || !first) && !read_unit(&text, units, &factor))
            return false;
        if (__builtin_mul_overflow(value, factor, &value) ||
            __builtin_add_overflow(sum, value, &sum))
            return false;
        while (*text == ' ')
            text++;
    }
    *number = sum;
    return true;
}

static fp_status parse_integer(const fpi_setting *s, const char *label, const char *text,
                               int64_t *number, fp_error *err)
{
    const char *at = text + (*text == '-');
    int64_t value;

    if (s->choices && strlen(text) == strlen(s->choices) &&
        fpi_ascii_same(text, s->choices, strlen(text))) {
        *number = -1;
        return FILEPROC_OK;
    }
    if (!read_digits(&at, &value) || *at)
        return refuse(label, text, s->choices ? "a whole number or auto" : "a whole number", err);
    value = *text == '-' ? -value : value;
    *number = value;
    return check_range(s, label, value, err);
}

static fp_status parse_size(const fpi_setting *s, const char *label, const char *text,
                            int64_t *number, fp_error *err)
{
    if (!read_quantity(text, size_units, 1, number))
        return refuse(label, text, "a size such as 5242880, 5MiB or 100MB", err);
    return check_range(s, label, *number, err);
}

static fp_status parse_duration(const fpi_setting *s, const char *label, const char *text,
                                int64_t *number, fp_error *err)
{
    if (!read_quantity(text, duration_units, PLAIN_DURATION, number))
        return refuse(label, text, "a time such as 30 (seconds), 500ms, 5m or 1h", err);
    return check_range(s, label, *number, err);
}

/* ---- words ---- */

static fp_status parse_switch(const char *label, const char *text, const char **normal,
                              int64_t *number, fp_error *err)
{
    static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strlen(words[i]) == strlen(text) && fpi_ascii_same(words[i], text, strlen(text))) {
            *number = i % 2;
            *normal = words[i % 2];
            return FILEPROC_OK;
        }
    return refuse(label, text, "true or false", err);
}

static fp_status parse_choice(const fpi_setting *s, const char *label, const char *text,
                              const char **normal, size_t *size, int64_t *number, fp_error *err)
{
    char wanted[160];
    int64_t position = 0;

    for (const char *word = s->choices; *word; position++) {
        size_t length = strcspn(word, " ");

        if (strlen(text) == length && fpi_ascii_same(word, text, length)) {
            *normal = word;
            *size = length;
            *number = position;
            return FILEPROC_OK;
        }
        word += length + (word[length] == ' ');
    }
    snprintf(wanted, sizeof(wanted), "one of: %s", s->choices);
    return refuse(label, text, wanted, err);
}

/* ---- texts ---- */

static fp_status check_text(const fp_context *ctx, const fpi_setting *s, const char *label,
                            const char *text, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) uri = { 0 };
    int64_t size = (int64_t)strlen(text);
    fp_error why = { 0 };
    fp_status rc;

    if (size < s->min || size > s->max)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "%s: the value must have %" PRId64 " to %" PRId64 " bytes", label,
                             s->min, s->max);
    /* Keys in PEM form have line ends. */
    if (s->type != FPI_SETTING_SECRET && holds_control_character(text))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the value holds a control character",
                             label);
    if (s->type != FPI_SETTING_URI || size == 0)
        return FILEPROC_OK;
    rc = fpi_uri_parse(ctx, text, &uri, &why);
    return rc < 0 ? fp_error_setf(err, rc, "%s: %s", label, why.message) : FILEPROC_OK;
}

/* ---- lists ---- */

static fp_status add_item(const fp_context *ctx, fp_buf *items, const char *label, const char *text,
                          size_t size, int64_t *count, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (size && fpi_ascii_is_space(*text))
        text++, size--;
    while (size && fpi_ascii_is_space(text[size - 1]))
        size--;
    if (size == 0)
        return FILEPROC_OK;
    if (memchr(text, ',', size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: an item holds a comma", label);
    ++*count;
    if (items->size)
        rc = fpi_buf_append(ctx, items, ",", 1, err);
    if (rc == FILEPROC_OK)
        rc = fpi_buf_append(ctx, items, text, size, err);
    return rc;
}

static fp_status split_commas(const fp_context *ctx, fp_buf *items, const char *label,
                              const char *text, int64_t *count, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && *text) {
        size_t size = strcspn(text, ",");

        rc = add_item(ctx, items, label, text, size, count, err);
        text += size + (text[size] == ',');
    }
    return rc;
}

/* The form in which pydantic's settings, and so the starter kit, take lists. */
static fp_status split_json(const fp_context *ctx, fp_buf *items, const char *label,
                            const char *text, int64_t *count, fp_error *err)
{
    FPI_CLEANUP(json_t) array = NULL;
    const json_t *item;
    size_t i;
    fp_status rc;

    rc = fpi_json_parse(text, strlen(text), label, &array, err);
    json_array_foreach(array, i, item) {
        if (rc == FILEPROC_OK && !json_is_string(item))
            rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: an item is not a string", label);
        if (rc == FILEPROC_OK)
            rc = add_item(ctx, items, label, json_string_value(item), json_string_length(item),
                          count, err);
    }
    return rc;
}

static fp_status parse_list(const fp_context *ctx, const fpi_setting *s, const char *label,
                            const char *text, fp_buf *items, fp_error *err)
{
    int64_t count = 0;
    fp_status rc;

    rc = *text == '[' ? split_json(ctx, items, label, text, &count, err)
                      : split_commas(ctx, items, label, text, &count, err);
    if (rc < 0)
        return rc;
    if (count < s->min || count > s->max)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "%s: the list must have %" PRId64 " to %" PRId64 " items", label,
                             s->min, s->max);
    if (items->size && holds_control_character(items->data))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: an item holds a control character",
                             label);
    return fpi_buf_append(ctx, items, "", 0, err); /* an empty list is a text, too */
}

/* ---- all ---- */

static fp_status normalise(const fp_context *ctx, const fpi_setting *s, const char *label,
                           const char *text, fp_buf *out, int64_t *number, fp_error *err)
{
    const char *normal = text;
    size_t size = SIZE_MAX;
    fp_status rc;

    switch (s->type) {
    case FPI_SETTING_INTEGER:
        rc = parse_integer(s, label, text, number, err);
        break;
    case FPI_SETTING_SIZE:
        rc = parse_size(s, label, text, number, err);
        break;
    case FPI_SETTING_DURATION:
        rc = parse_duration(s, label, text, number, err);
        break;
    case FPI_SETTING_SWITCH:
        rc = parse_switch(label, text, &normal, number, err);
        break;
    case FPI_SETTING_CHOICE:
        rc = parse_choice(s, label, text, &normal, &size, number, err);
        break;
    case FPI_SETTING_LIST:
        return parse_list(ctx, s, label, text, out, err);
    default:
        rc = check_text(ctx, s, label, text, err);
        break;
    }
    if (rc < 0)
        return rc;
    return fpi_buf_append(ctx, out, normal, size == SIZE_MAX ? strlen(normal) : size, err);
}

static bool is_text(const fpi_setting *s)
{
    return s->type == FPI_SETTING_TEXT || s->type == FPI_SETTING_SECRET ||
           s->type == FPI_SETTING_PATH || s->type == FPI_SETTING_URI;
}

fp_status fpi_config_parse(const fp_context *ctx, const fpi_setting *s, const char *label,
                           const char *text, fpi_config_value *value, fp_error *err)
{
    FPI_DISPOSE(fp_buf) normal = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) trimmed = FILEPROC_BUF_INIT;
    size_t size = strnlen(text, FPI_CONFIG_VALUE_MAX + 1);
    int64_t number = 0;
    fp_status rc;

    if (size > FPI_CONFIG_VALUE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the value is longer than 64 KiB",
                             label);
    if (!is_text(s)) {
        while (size && fpi_ascii_is_space(*text))
            text++, size--;
        while (size && fpi_ascii_is_space(text[size - 1]))
            size--;
        rc = fpi_buf_append(ctx, &trimmed, text, size, err);
        if (rc < 0)
            return rc;
        text = trimmed.data;
    }
    rc = normalise(ctx, s, label, text, &normal, &number, err);
    if (rc < 0)
        return rc;
    value->text = fpi_steal(&normal.data);
    value->number = number;
    return FILEPROC_OK;
}
