/* Owns: the thread that hashes beside those who receive chunks.
 * Must not know: HTTP; how uploads work. */
#include "hash_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

struct fpd_hash_thread {
    fp_uploads *uploads;
    pthread_t thread;
};

static void *run(void *arg)
{
    fpd_hash_thread *t = arg;
    fp_error err = { 0 };

    if (fp_uploads_run_hasher(t->uploads, &err) < 0)
        fpd_log(FILEPROC_LOG_WARN, "uploads", "no thread hashes beside the others: %s",
                err.message);
    return NULL;
}

fpd_hash_thread *fpd_hash_thread_start(fp_uploads *uploads)
{
    fpd_hash_thread *t;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return NULL;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->uploads = uploads;
    if (pthread_create(&t->thread, NULL, run, t) == 0)
        return t;
    free(t);
    return NULL;
}

void fpd_hash_thread_stop(fpd_hash_thread *t)
{
    if (!t)
        return;
    fp_uploads_stop_hasher(t->uploads);
    pthread_join(t->thread, NULL);
    free(t);
}
