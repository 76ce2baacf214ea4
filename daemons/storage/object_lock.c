/* Owns: one writer at a time for each key, within this process.
 * Must not know: what is written. */
#include "object_lock.h"

#include <stddef.h>
#include <stdint.h>

#define LOCKS 256u

static pthread_mutex_t locks[LOCKS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
}

/* FNV-1a */
static size_t place(const char *key)
{
    uint32_t hash = 2166136261u;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash % LOCKS;
}

pthread_mutex_t *fpd_object_lock(const char *key)
{
    pthread_mutex_t *held = &locks[place(key)];

    pthread_once(&once, init);
    pthread_mutex_lock(held);
    return held;
}

void fpd_object_unlock(pthread_mutex_t *held)
{
    if (held)
        pthread_mutex_unlock(held);
}
