/* Owns: how the helper fills errors, and how text out of files is made fit for JSON and people.
 * Must not know: which operation failed. */
#include "media/media_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CLEAN_MAX 4096u
#define PROBE_BYTES (64u << 20)

fp_status fpi_media_fail(fp_error *err, int32_t reason, const char *fmt, ...)
{
    char raw[sizeof(((fp_error *)0)->message) * 2];
    char line[sizeof(raw) * 2];
    va_list args;

    va_start(args, fmt);
    vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    /* Decoders quote from the file, and not always in UTF-8. */
    fpi_media_clean(raw, strlen(raw), line, sizeof(line));
    fp_error_reasonf(err, FILEPROC_ERR_INVALID, reason, "%s", line);
    if (err)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    return FILEPROC_ERR_INVALID;
}

fp_status fpi_media_no_memory(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOMEM, FILEPROC_REASON_HELPER_MEMORY,
                            "not enough memory for this file");
}

bool fpi_media_memory_is_out(void)
{
    void *probe = mmap(NULL, PROBE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (probe == MAP_FAILED)
        return true;
    munmap(probe, PROBE_BYTES);
    return false;
}

/* Bytes of the UTF-8 character at text, 0 when there is none (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
static size_t character_size(const unsigned char *t, size_t left)
{
    size_t size = t[0] < 0x80   ? 1
                  : t[0] < 0xC2 ? 0
                  : t[0] < 0xE0 ? 2
                  : t[0] < 0xF0 ? 3
                  : t[0] < 0xF5 ? 4
                                : 0;

    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((t[i] & 0xC0) != 0x80)
            return 0;
    if ((t[0] == 0xE0 && t[1] < 0xA0) || (t[0] == 0xED && t[1] > 0x9F) ||
        (t[0] == 0xF0 && t[1] < 0x90) || (t[0] == 0xF4 && t[1] > 0x8F))
        return 0;
    return size;
}

/* C0, DEL, and the C1 controls U+0080 to U+009F. */
static bool is_control(const unsigned char *t, size_t size)
{
    return (size == 1 && (t[0] < 0x20 || t[0] == 0x7F)) ||
           (size == 2 && t[0] == 0xC2 && t[1] < 0xA0);
}

bool fpi_media_clean(const char *text, size_t length, char *out, size_t size)
{
    const unsigned char *t = (const unsigned char *)text;
    size_t at = 0, used = 0;

    while (at < length) {
        size_t step = character_size(t + at, length - at);
        const char *write = step ? text + at : "\xEF\xBF\xBD";
        size_t bytes = step ? step : 3;

        if (step && is_control(t + at, step)) {
            write = " ";
            bytes = 1;
        }
        if (used + bytes >= size)
            break;
        memcpy(out + used, write, bytes);
        used += bytes;
        at += step ? step : 1;
    }
    out[used] = '\0';
    return at == length;
}

json_t *fpi_media_json_text(const char *text, size_t max)
{
    char clean[CLEAN_MAX];
    size_t length;

    if (!text)
        return json_null();
    length = strnlen(text, CLEAN_MAX);
    fpi_media_clean(text, length, clean, max + 1 < sizeof(clean) ? max + 1 : sizeof(clean));
    return json_string(clean);
}

fp_status fpi_media_set(json_t *object, const char *key, json_t *value, fp_error *err)
{
    if (!value || json_object_set_new(object, key, value) != 0)
        return fpi_media_no_memory(err);
    return FILEPROC_OK;
}
