/* Owns: plain memory for buffers that belong to one request.
 * Must not know: what is in it. */
#ifndef FPD_MEMORY_H
#define FPD_MEMORY_H

#include <stddef.h>

/** Memory for FPD_MEMORY, or for free(); not cleared. NULL when there is none. A function of its own because the analyzer
 *  does not know the cleanup attribute, and takes every malloc() that nobody frees by name for a leak. */
char *fpd_memory(size_t size);

/** A copy of the text. */
char *fpd_memory_copy(const char *text);

#endif
