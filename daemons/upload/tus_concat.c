/* Owns: reading Upload-Concat of tus 1.0.0.
 * Must not know: what uploads there are. */
#include "tus_concat.h"

#include <string.h>

#define FINAL "final;"

/* Visible ASCII, but none that no address has and that tus_note.c counts on. */
static bool is_visible(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7F || text[i] == '|')
            return false;
    return true;
}

/* The last segment of the path; the whole when there is no other. */
static bool take_address(fpd_tus_concat *out, const char *text, size_t size)
{
    size_t end = 0, begin = 0;

    if (!is_visible(text, size) || out->count == FPD_TUS_CONCAT_IDS)
        return false;
    while (end < size && text[end] != '?' && text[end] != '#')
        end++;
    for (size_t i = 0; i < end; i++)
        if (text[i] == '/')
            begin = i + 1;
    size = end - begin;
    if (size == 0 || size >= FPD_TUS_ID_SIZE)
        return false;
    memcpy(out->ids[out->count], text + begin, size);
    out->ids[out->count++][size] = '\0';
    return true;
}

static bool take_list(fpd_tus_concat *out, const char *list)
{
    for (;;) {
        size_t size = strcspn(list, " ");

        if (!take_address(out, list, size))
            return false;
        if (list[size] == '\0')
            return true;
        list += size + 1;
    }
}

fpd_tus_concat_kind fpd_tus_concat_parse(const char *header, fpd_tus_concat *out)
{
    out->count = 0;
    if (strcmp(header, "partial") == 0)
        return FPD_TUS_CONCAT_PARTIAL;
    if (strnlen(header, FPD_TUS_CONCAT_MAX + 1) > FPD_TUS_CONCAT_MAX)
        return FPD_TUS_CONCAT_TOO_LONG;
    if (strncmp(header, FINAL, sizeof(FINAL) - 1) != 0 ||
        !take_list(out, header + sizeof(FINAL) - 1))
        return FPD_TUS_CONCAT_MALFORMED;
    return FPD_TUS_CONCAT_FINAL;
}
