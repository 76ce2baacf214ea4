/* Owns: what libmagic says of the first bytes of an input, and the errors that follow when it is not what an operation reads.
 * Must not know: how anything is decoded. The only code that includes magic.h with media_run.h. */
#ifndef FPI_MEDIA_SNIFF_H
#define FPI_MEDIA_SNIFF_H

#include "media/media_run.h"

/** Opens libmagic's database; IO when it is not there. */
fp_status fpi_media_sniff_open(magic_t *magic, fp_error *err);

/** Fills run->detected_type unless it is known already. */
fp_status fpi_media_sniff(fpi_media_run *run, fp_error *err);

/** The error for an input that a step's decoder does not even recognise. `readable` lists the types that it reads:
 *  media_damaged when the content is one of them all the same, media_type_mismatch when it is not what it was declared to be, media_unsupported
 *  when it is. */
fp_status fpi_media_unreadable(fpi_media_run *run, const char *readable, fp_error *err);

#endif
