/* Owns: how a download presents itself: its Content-Disposition, and which types a browser may show in place.
 * Must not know: the catalog. */
#ifndef FPD_CONTENT_DISPOSITION_H
#define FPD_CONTENT_DISPOSITION_H

#include <stdbool.h>

#include "text.h"

/** Whether a browser can show the type without running anything of it: a short list, everything else is an attachment. */
bool fpd_inline_safe(const char *mime_type);

/** Appends `inline` or `attachment` with the file's name in both forms of RFC 6266: plain ASCII, and UTF-8. */
void fpd_content_disposition(fpd_text *out, bool inline_safe, const char *filename);

#endif
