/* Owns: plain memory for buffers that belong to one request.
 * Must not know: what is in it. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

char *fpd_memory(size_t size)
{
    return malloc(size);
}

char *fpd_memory_copy(const char *text)
{
    return strdup(text);
}
