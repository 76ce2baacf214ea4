/* Owns: the HTTP statuses that the daemons answer with, and their phrases.
 * Must not know: when they are used. */
#ifndef FPD_HTTP_STATUS_H
#define FPD_HTTP_STATUS_H

#include <stddef.h>

/** "Not Found"; "Unknown" for a status that is not in the table. */
const char *fpd_status_phrase(int status);

/** A closed list, for metrics: status number i, or 0 past the end. */
int fpd_status_at(size_t i);

/** The place of a status in that list; one that is not there counts as 500. */
size_t fpd_status_index(int status);

#endif
