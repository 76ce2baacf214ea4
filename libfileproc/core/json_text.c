/* Owns: JSON objects written straight into a buffer, for what is written so often that a tree of values would cost too much.
 * Must not know: any document. */
#include "core/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/timestamp.h"
#include "core/utf8.h"

static void append(fpi_json_object *o, const void *data, size_t size)
{
    if (o->rc == FILEPROC_OK)
        o->rc = fpi_buf_append(o->ctx, o->out, data, size, o->err);
}

static void append_text(fpi_json_object *o, const char *text)
{
    append(o, text, strlen(text));
}

void fpi_json_begin(fpi_json_object *o, const fp_context *ctx, fp_buf *out, size_t size_hint,
                    fp_error *err)
{
    *o = (fpi_json_object){ .ctx = ctx, .out = out, .before = out->size, .err = err };
    o->rc = fpi_buf_reserve(ctx, out, size_hint, err);
    append(o, "{", 1);
}

static void add_key(fpi_json_object *o, const char *key)
{
    append_text(o, o->begun ? ",\"" : "\"");
    append_text(o, key);
    append(o, "\":", 2);
    o->begun = true;
}

/* What jansson escapes, and how. */
static void append_escaped(fpi_json_object *o, unsigned char c)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8] = { '\\' };

    for (size_t i = 0; i + 1 < sizeof(names); i += 2)
        if ((unsigned char)names[i] == c) {
            text[1] = names[i + 1];
            append(o, text, 2);
            return;
        }
    snprintf(text, sizeof(text), "\\u%04X", (unsigned)c);
    append(o, text, 6);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Behind as much of the text as can be copied as it is; the text itself when it is not UTF-8 here. */
static const char *plain_end(const char *text)
{
    while (*text) {
        size_t size = 1;

        if (!is_plain((unsigned char)*text)) {
            if ((unsigned char)*text < 0x80)
                break;
            size = fpi_utf8_decode(text, NULL);
            if (!size)
                break;
        }
        text += size;
    }
    return text;
}

void fpi_json_add_text(fpi_json_object *o, const char *key, const char *text)
{
    add_key(o, key);
    if (!text) {
        append(o, "null", 4);
        return;
    }
    append(o, "\"", 1);
    while (o->rc == FILEPROC_OK && *text) {
        const char *end = plain_end(text);

        append(o, text, (size_t)(end - text));
        if ((unsigned char)*end >= 0x80)
            o->rc = fp_error_setf(o->err, FILEPROC_ERR_CORRUPT, "%s is not UTF-8", key);
        else if (*end)
            append_escaped(o, (unsigned char)*end++);
        text = end;
    }
    append(o, "\"", 1);
}

void fpi_json_add_integer(fpi_json_object *o, const char *key, uint64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRIu64, number);

    add_key(o, key);
    append(o, text, (size_t)size);
}

void fpi_json_add_time(fpi_json_object *o, const char *key, int64_t ms)
{
    char text[FPI_TIMESTAMP_SIZE];

    if (ms)
        fpi_timestamp_format(ms, text);
    fpi_json_add_text(o, key, ms ? text : NULL);
}

void fpi_json_add_json(fpi_json_object *o, const char *key, const char *json)
{
    add_key(o, key);
    append_text(o, json);
}

fp_status fpi_json_end(fpi_json_object *o)
{
    append(o, "}", 1);
    if (o->rc == FILEPROC_OK)
        return FILEPROC_OK;
    o->out->size = o->before;
    if (o->out->data)
        o->out->data[o->before] = '\0';
    return o->rc;
}
