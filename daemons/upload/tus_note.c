/* Owns: what an upload's note keeps of the headers with which it was made at the tus door, and their way back.
 * Must not know: what they mean. */
#include "tus_note.h"

#include <string.h>

/* "tus:<Upload-Metadata>", or "tus+<Upload-Concat>|<Upload-Metadata>": an address has no '|' in it. */
#define PLAIN "tus:"
#define CONCAT "tus+"
#define PREFIX_SIZE (sizeof(PLAIN) - 1)

void fpd_tus_note_write(fpd_text *note, const char *concat, const char *metadata)
{
    if (concat)
        fpd_text_printf(note, CONCAT "%s|", concat);
    else
        fpd_text_string(note, PLAIN);
    if (metadata)
        fpd_text_string(note, metadata);
}

/* They came from a client and have been checked: visible ASCII and blanks. Longer than other headers may be. */
static void show(fpd_request *rq, const char *name, const char *value, size_t size)
{
    if (size == 0)
        return;
    fpd_text_printf(&rq->headers, "%s: ", name);
    fpd_text_append(&rq->headers, value, size);
    fpd_text_append(&rq->headers, "\r\n", 2);
}

void fpd_tus_note_show(fpd_request *rq, const fp_upload *upload)
{
    const char *note = upload->note;
    const char *metadata;

    if (!note ||
        (strncmp(note, PLAIN, PREFIX_SIZE) != 0 && strncmp(note, CONCAT, PREFIX_SIZE) != 0))
        return;
    metadata = note + PREFIX_SIZE;
    if (strncmp(note, CONCAT, PREFIX_SIZE) == 0) {
        size_t size = strcspn(metadata, "|");

        show(rq, "Upload-Concat", metadata, size);
        metadata += metadata[size] ? size + 1 : size;
    }
    show(rq, "Upload-Metadata", metadata, strlen(metadata));
}
