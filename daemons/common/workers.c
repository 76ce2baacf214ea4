/* Owns: the threads that run jobs.
 * Must not know: what a job does. */
#include "workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "clock.h"
#include "log.h"

/* How long a worker waits for a job before it looks around. */
#define WAIT_MS 1000u
/* After a failure that is not a job's (the database is away) it waits this long. */
#define PAUSE_NS INT64_C(1000000000)

typedef struct thread {
    struct fpd_workers *all;
    fp_worker *worker;
    pthread_t id;
    bool started;
} thread;

struct fpd_workers {
    fp_queue *queue;
    size_t count;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    thread threads[];
};

static void pause_after_failure(fpd_workers *all)
{
    int64_t until = fpd_monotonic_ns() + PAUSE_NS;
    struct timespec at = { (time_t)(until / 1000000000), (long)(until % 1000000000) };

    pthread_mutex_lock(&all->lock);
    while (!atomic_load(&all->stopping))
        if (pthread_cond_timedwait(&all->stop, &all->lock, &at) != 0)
            break;
    pthread_mutex_unlock(&all->lock);
}

static void *work(void *arg)
{
    thread *t = arg;

    while (!atomic_load(&t->all->stopping)) {
        fp_error err = { 0 };
        fp_status rc = fp_worker_serve(t->worker, WAIT_MS, NULL, &err);

        if (rc == FILEPROC_OK)
            continue;
        if (rc == FILEPROC_ERR_CANCELLED)
            break;
        fpd_log(FILEPROC_LOG_ERROR, "worker", "%s (%s)", err.message, fp_error_reason(&err));
        pause_after_failure(t->all);
    }
    return NULL;
}

static fpd_workers *make(fp_queue *queue, size_t count)
{
    fpd_workers *all = calloc(1, sizeof(*all) + count * sizeof(thread));
    pthread_condattr_t attr;

    if (!all)
        return NULL;
    all->queue = queue;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&all->stop, &attr);
    pthread_condattr_destroy(&attr);
    return all;
}

fpd_workers *fpd_workers_start(fp_jobs *jobs, fp_queue *queue, size_t count, fp_error *err)
{
    FPD_CLEANUP(fpd_workers) all = make(queue, count);

    if (!all) {
        (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        thread *t = &all->threads[i];

        if (fp_worker_new(jobs, &t->worker, err) < 0)
            return NULL;
        t->all = all;
        all->count = i + 1;
        t->started = pthread_create(&t->id, NULL, work, t) == 0;
        if (!t->started) {
            (void)fp_error_setf(err, FILEPROC_ERR_IO, "can't start a worker thread");
            return NULL;
        }
    }
    return fpd_steal(&all);
}

void fpd_workers_stop(fpd_workers *all)
{
    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    atomic_store(&all->stopping, true);
    pthread_cond_broadcast(&all->stop);
    pthread_mutex_unlock(&all->lock);
    for (size_t i = 0; i < all->count; i++)
        fp_worker_stop(all->threads[i].worker);
    fp_queue_wake(all->queue);
    for (size_t i = 0; i < all->count; i++) {
        if (all->threads[i].started)
            pthread_join(all->threads[i].id, NULL);
        fp_worker_free(all->threads[i].worker);
    }
    pthread_cond_destroy(&all->stop);
    pthread_mutex_destroy(&all->lock);
    free(all);
}
