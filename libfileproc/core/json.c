/* Owns: the few steps between jansson and the library's errors and buffers.
 * Must not know: any document. */
#include "core/json.h"

#include <stdbool.h>
#include <string.h>

#include "core/timestamp.h"

/* Checked on the text, before jansson recurses. */
static bool nests_too_deep(const char *text, size_t size)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > FPI_JSON_DEPTH)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

fp_status fpi_json_parse(const char *text, size_t size, const char *what, json_t **out,
                         fp_error *err)
{
    json_error_t e;
    json_t *json;

    if (nests_too_deep(text, size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: nested deeper than %d", what,
                             FPI_JSON_DEPTH);
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!json && json_error_code(&e) == json_error_out_of_memory)
        return fpi_no_memory(err);
    if (!json)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: line %d, column %d: %.100s", what,
                             e.line, e.column, e.text);
    *out = json;
    return FILEPROC_OK;
}

typedef struct dump_target {
    const fp_context *ctx;
    fp_buf *buf;
    bool failed;
} dump_target;

/* jansson 2.14 goes on when this fails within a member's name, and then tells of no failure: so it is remembered here. */
static int append_dump(const char *text, size_t size, void *data)
{
    dump_target *t = data;

    t->failed = t->failed || fpi_buf_append(t->ctx, t->buf, text, size, NULL) < 0;
    return t->failed ? -1 : 0;
}

fp_status fpi_json_dump(const fp_context *ctx, const json_t *json, fp_buf *out, fp_error *err)
{
    dump_target target = { ctx, out, false };
    size_t before = out->size;

    if (json_dump_callback(json, append_dump, &target, FPI_JSON_FLAGS) == 0 && !target.failed)
        return FILEPROC_OK;
    out->size = before;
    if (out->data)
        out->data[before] = '\0';
    return fpi_no_memory(err);
}

char *fpi_json_text(const fp_context *ctx, const json_t *json)
{
    fp_buf buf = FILEPROC_BUF_INIT;

    if (fpi_json_dump(ctx, json, &buf, NULL) < 0) {
        fp_buf_dispose(&buf);
        return NULL;
    }
    return buf.data;
}

fp_status fpi_json_set(json_t *object, const char *key, json_t *value, fp_error *err)
{
    if (!value || json_object_set_new(object, key, value) != 0)
        return fpi_no_memory(err);
    return FILEPROC_OK;
}

json_t *fpi_json_string(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *fpi_json_time(int64_t ms)
{
    char text[FPI_TIMESTAMP_SIZE];

    if (ms == 0)
        return json_null();
    fpi_timestamp_format(ms, text);
    return json_string(text);
}
