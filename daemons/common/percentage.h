/* Owns: how much of an upload is there, as watchers are shown it.
 * Must not know: who they are. */
#ifndef FPD_PERCENTAGE_H
#define FPD_PERCENTAGE_H

#include <stdbool.h>
#include <stdint.h>

/** 0 to 100. Without chunks there is all of an empty file, and of one whose size nobody knows yet nothing. */
static inline double fpd_percentage(uint64_t chunks, uint64_t total, bool size_unknown)
{
    if (total == 0)
        return size_unknown ? 0.0 : 100.0;
    return (double)chunks * 100.0 / (double)total;
}

#endif
