/* Owns: how a download presents itself: its Content-Disposition, and which types a browser may show in place.
 * Must not know: the catalog. */
#include "content_disposition.h"

#include <string.h>
#include <strings.h>

#include "percent.h"

bool fpd_inline_safe(const char *mime_type)
{
    /* No SVG, HTML or XML: they run scripts with this server's origin. */
    static const char *const safe[] = {
        "application/pdf", "audio/mpeg", "audio/ogg",  "image/avif", "image/gif", "image/jpeg",
        "image/png",       "image/tiff", "image/webp", "text/plain", "video/mp4", "video/webm",
    };

    for (size_t i = 0; i < sizeof(safe) / sizeof(*safe); i++)
        if (strcasecmp(mime_type, safe[i]) == 0)
            return true;
    return false;
}

/* For clients that know only the old form: printable ASCII without what quoting or paths would give a meaning. */
static void append_plain(fpd_text *out, const char *filename)
{
    size_t left = strlen(filename);

    while (left > 0) {
        size_t length = fpd_utf8_length(filename, left);
        char c = *filename;

        if (length == 0)
            length = 1;
        if (length > 1 || (unsigned char)c < 0x20 || (unsigned char)c > 0x7E ||
            strchr("\"\\/%;", c))
            c = '_';
        fpd_text_append(out, &c, 1);
        filename += length;
        left -= length;
    }
}

void fpd_content_disposition(fpd_text *out, bool inline_safe, const char *filename)
{
    fpd_text_string(out, inline_safe ? "inline; filename=\"" : "attachment; filename=\"");
    append_plain(out, filename);
    fpd_text_string(out, "\"; filename*=UTF-8''");
    fpd_percent_encode(out, filename);
}
