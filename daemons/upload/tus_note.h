/* Owns: what an upload's note keeps of the headers with which it was made at the tus door, and their way back.
 * Must not know: what they mean. */
#ifndef FPD_TUS_NOTE_H
#define FPD_TUS_NOTE_H

#include <fileproc/upload.h>

#include "request.h"

/** Room for the largest one. */
#define FPD_TUS_NOTE_MAX (16u * 1024u)

/** Either header may be NULL; both have been checked. */
void fpd_tus_note_write(fpd_text *note, const char *concat, const char *metadata);

/** Adds the headers to the reply, as they came. An upload of another door has none. */
void fpd_tus_note_show(fpd_request *rq, const fp_upload *upload);

#endif
