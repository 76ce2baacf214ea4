/* Owns: text that grows up to a limit, and the writing of JSON strings into it.
 * Must not know: what the text is for. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fpd_text_dispose(fpd_text *t)
{
    free(t->data);
    t->data = NULL;
    t->size = t->capacity = 0;
}

void fpd_text_clear(fpd_text *t, size_t keep)
{
    if (t->capacity > keep)
        fpd_text_dispose(t);
    t->size = 0;
    t->failed = false;
    if (t->data)
        t->data[0] = '\0';
}

static bool make_room(fpd_text *t, size_t size)
{
    size_t wanted, capacity;
    char *data;

    if (t->failed)
        return false;
    if (size > t->limit || t->size > t->limit - size) {
        t->failed = true;
        return false;
    }
    wanted = t->size + size + 1;
    if (wanted <= t->capacity)
        return true;
    capacity = t->capacity ? t->capacity : 256;
    while (capacity < wanted)
        capacity *= 2;
    data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void fpd_text_append(fpd_text *t, const void *data, size_t size)
{
    if (!make_room(t, size))
        return;
    if (size)
        memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void fpd_text_string(fpd_text *t, const char *text)
{
    fpd_text_append(t, text, strlen(text));
}

void fpd_text_printf(fpd_text *t, const char *fmt, ...)
{
    char small[512];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    if (n < 0) {
        t->failed = true;
    } else if ((size_t)n < sizeof(small)) {
        fpd_text_append(t, small, (size_t)n);
    } else if (make_room(t, (size_t)n)) {
        va_start(args, fmt);
        vsnprintf(t->data + t->size, (size_t)n + 1, fmt, args);
        va_end(args);
        t->size += (size_t)n;
    }
}

size_t fpd_utf8_length(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length;

    if (size == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (size < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

static void json_escape(fpd_text *t, char c)
{
    switch (c) {
    case '"':
        fpd_text_string(t, "\\\"");
        break;
    case '\\':
        fpd_text_string(t, "\\\\");
        break;
    case '\n':
        fpd_text_string(t, "\\n");
        break;
    case '\r':
        fpd_text_string(t, "\\r");
        break;
    case '\t':
        fpd_text_string(t, "\\t");
        break;
    default:
        fpd_text_printf(t, "\\u%04x", (unsigned)(unsigned char)c);
    }
}

/* Bytes from `from` on that can be copied as they are. */
static size_t plain_run(const char *text, size_t from, size_t size)
{
    size_t i = from;

    while (i < size) {
        unsigned char c = (unsigned char)text[i];
        size_t length;

        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            break;
        length = fpd_utf8_length(text + i, size - i);
        if (length == 0)
            break;
        i += length;
    }
    return i - from;
}

void fpd_text_json_bytes(fpd_text *t, const char *text, size_t size)
{
    fpd_text_append(t, "\"", 1);
    for (size_t i = 0; i < size;) {
        size_t run = plain_run(text, i, size);

        fpd_text_append(t, text + i, run);
        i += run;
        if (i == size)
            break;
        if ((unsigned char)text[i] < 0x80)
            json_escape(t, text[i]);
        else
            fpd_text_string(t, "\xEF\xBF\xBD");
        i++;
    }
    fpd_text_append(t, "\"", 1);
}

void fpd_text_json(fpd_text *t, const char *text)
{
    if (text)
        fpd_text_json_bytes(t, text, strlen(text));
    else
        fpd_text_string(t, "null");
}
