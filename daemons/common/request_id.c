/* Owns: request ids: taken from the client when harmless, else made.
 * Must not know: requests. */
#include "request_id.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"

static bool is_harmless(const char *id, size_t capacity)
{
    size_t size = strlen(id);

    if (size == 0 || size >= capacity)
        return false;
    for (; *id; id++)
        if (!isalnum((unsigned char)*id) && !strchr("._:+/=@-", *id))
            return false;
    return true;
}

void fpd_request_id(const char *given, char *out, size_t capacity)
{
    uint64_t random[2];

    if (given && is_harmless(given, capacity)) {
        memcpy(out, given, strlen(given) + 1);
        return;
    }
    /* Ids tell requests apart, no more: when the kernel has no randomness yet, the clock will do. */
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
        random[0] = (uint64_t)fpd_monotonic_ns();
        random[1] = (uint64_t)(uintptr_t)&random;
    }
    snprintf(out, capacity, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}
