/* Owns: reading Upload-Metadata of tus 1.0.0.
 * Must not know: what becomes of it. */
#include "tus_metadata.h"

#include <string.h>

#include "content_digest.h"

#define PAIRS_MAX 64u

typedef struct pair {
    const char *key, *value; /* the value in base64 */
    size_t key_size, value_size;
} pair;

void fpd_tus_metadata_dispose(fpd_tus_metadata *m)
{
    fpd_text_dispose(&m->filename);
    fpd_text_dispose(&m->type);
    fpd_text_dispose(&m->owner);
    fpd_text_dispose(&m->json);
}

static size_t visible(const char *text, size_t size)
{
    size_t n = 0;

    while (n < size && text[n] > 0x20 && text[n] < 0x7F)
        n++;
    return n;
}

/* One element of the list: a key, and behind a space a value. White space around it is that of a list. */
static bool read_pair(const char *text, size_t size, pair *p)
{
    while (size && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    p->key = text;
    p->key_size = visible(text, size);
    text += p->key_size;
    size -= p->key_size;
    if (p->key_size == 0 || (size && *text != ' '))
        return false;
    if (size) {
        text++;
        size--;
    }
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    p->value = text;
    p->value_size = size;
    return visible(text, size) == size;
}

static bool is_key(const pair *p, const char *key)
{
    return strlen(key) == p->key_size && memcmp(key, p->key, p->key_size) == 0;
}

static bool is_repeated(const pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key_size == pairs[count].key_size &&
            memcmp(pairs[i].key, pairs[count].key, pairs[i].key_size) == 0)
            return true;
    return false;
}

/* Where a value goes. */
static fpd_text *place_of(fpd_tus_metadata *m, const pair *p)
{
    if (is_key(p, "filename") || is_key(p, "name"))
        return &m->filename;
    if (is_key(p, "filetype") || is_key(p, "type") || is_key(p, "mime_type"))
        return &m->type;
    return is_key(p, "user_id") ? &m->owner : &m->json;
}

static void add_json(fpd_text *json, const pair *p, const char *value, size_t size)
{
    fpd_text_string(json, json->size ? "," : "{");
    fpd_text_json_bytes(json, p->key, p->key_size);
    fpd_text_string(json, ":");
    fpd_text_json_bytes(json, value, size);
}

/* Of several keys for one thing the first one counts. */
static bool take_pair(fpd_tus_metadata *m, const pair *p)
{
    char value[FPD_TUS_METADATA_MAX];
    fpd_text *place = place_of(m, p);
    size_t size = 0;

    if (!fpd_base64_decode(p->value, p->value_size, (unsigned char *)value, sizeof(value), &size))
        return false;
    if (place == &m->json)
        add_json(place, p, value, size);
    else if (memchr(value, '\0', size))
        return false;
    else if (place->size == 0)
        fpd_text_append(place, value, size);
    return true;
}

static bool take_list(fpd_tus_metadata *m, const char *header)
{
    pair pairs[PAIRS_MAX];
    size_t count = 0;

    for (;;) {
        size_t size = strcspn(header, ",");

        if (count == PAIRS_MAX || !read_pair(header, size, &pairs[count]) ||
            is_repeated(pairs, count) || !take_pair(m, &pairs[count]))
            return false;
        count++;
        if (header[size] == '\0')
            return true;
        header += size + 1;
    }
}

fpd_tus_metadata_result fpd_tus_metadata_parse(const char *header, fpd_tus_metadata *out)
{
    if (strlen(header) > FPD_TUS_METADATA_MAX)
        return FPD_TUS_METADATA_TOO_LONG;
    if (header[strspn(header, " \t")] != '\0' && !take_list(out, header))
        return FPD_TUS_METADATA_MALFORMED;
    if (out->json.size)
        fpd_text_string(&out->json, "}");
    return out->filename.failed || out->type.failed || out->owner.failed || out->json.failed
               ? FPD_TUS_METADATA_NO_MEMORY
               : FPD_TUS_METADATA_OK;
}
