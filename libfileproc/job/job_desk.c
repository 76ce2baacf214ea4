/* Owns: the desk of a ledger, where the workers of a process hand in the ends of their jobs and take the next ones: who waits, who
 * leads, whose business shares a transaction.
 * Must not know: what is written; that is job_batch.c's.
 *
 * There is no thread of our own. Whoever comes while nobody leads becomes the leader: it does the business of all who wait, its own
 * among it, in one transaction, hands out the results, and passes leadership to the first of those who came meanwhile. So a
 * commit costs the same for one worker and for thirty, and nobody waits for others to come. */
#include "job/job_desk.h"

#include <time.h>

#include "job/job_batch.h"
#include "job/jobs_private.h"
#include "queue/queue_private.h"

/* Who has just been served often comes back after a job of no length. The leader waits for as many as there were the last time, for
 * this part of the time that their transaction took, and no longer than: */
#define GATHER_PART 4
#define GATHER_MAX_NS 1000000
/* Doorbells that other processes took for our jobs are never found; we stop looking for them. */
#define OWED_MAX 64u

void fpi_desk_init(fpi_desk *desk)
{
    pthread_condattr_t attr;

    *desk = (fpi_desk){ .last = &desk->first };
    pthread_mutex_init(&desk->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&desk->full, &attr);
    pthread_condattr_destroy(&attr);
}

void fpi_desk_dispose(fpi_desk *desk)
{
    pthread_cond_destroy(&desk->full);
    pthread_mutex_destroy(&desk->lock);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* With the lock, which is let go meanwhile. A worker that is alone has nobody to wait for. */
static void gather(fpi_desk *desk)
{
    int64_t most = desk->last_ns / GATHER_PART, until;
    struct timespec at;

    if (desk->last_count < 2)
        return;
    until = now_ns() + (most < GATHER_MAX_NS ? most : GATHER_MAX_NS);
    at = (struct timespec){ (time_t)(until / 1000000000), (long)(until % 1000000000) };
    desk->hoped_for = desk->last_count;
    while (desk->waiting < desk->hoped_for)
        if (pthread_cond_timedwait(&desk->full, &desk->lock, &at) != 0)
            break;
    desk->hoped_for = 0;
}

static size_t take_waiting(fpi_desk *desk, fpi_visit **visits)
{
    size_t count = 0;

    pthread_mutex_lock(&desk->lock);
    gather(desk);
    while (desk->first && count < FPI_DESK_MAX) {
        visits[count++] = desk->first;
        desk->first = desk->first->behind;
    }
    if (!desk->first)
        desk->last = &desk->first;
    desk->waiting -= count;
    pthread_mutex_unlock(&desk->lock);
    return count;
}

/* A database that is away is so for everybody; other failures may be of one visit's making. */
static bool may_be_innocent(fp_status rc)
{
    return rc < 0 && rc != FILEPROC_ERR_BUSY && rc != FILEPROC_ERR_IO && rc != FILEPROC_ERR_TIMEOUT;
}

static void serve(fp_jobs *jobs, fpi_visit **visits, size_t count)
{
    fp_error e = { 0 };
    fp_status rc = fpi_batch_write(jobs, visits, count, &e);

    for (size_t i = 0; i < count; i++) {
        if (count > 1 && may_be_innocent(rc)) {
            visits[i]->rc = fpi_batch_write(jobs, &visits[i], 1, &visits[i]->err);
        } else {
            visits[i]->rc = rc;
            visits[i]->err = e;
        }
    }
}

/* One doorbell for one job, so that they don't pile up while the workers are busy. Trouble with the queue is no trouble: the
 * database knows what there is to do. */
static void take_bells(fp_jobs *jobs, fpi_visit **visits, size_t count)
{
    fpi_desk *desk = &jobs->desk;
    size_t owed, got;

    pthread_mutex_lock(&desk->lock);
    for (size_t i = 0; i < count; i++)
        desk->owed += visits[i]->rc == FILEPROC_OK && visits[i]->taken;
    if (desk->owed > OWED_MAX)
        desk->owed = OWED_MAX;
    owed = desk->owed;
    pthread_mutex_unlock(&desk->lock);
    got = owed ? fpi_queue_discard(jobs->o.queue, FPI_JOB_TOPIC, owed) : 0;
    pthread_mutex_lock(&desk->lock);
    desk->owed -= got < desk->owed ? got : desk->owed;
    pthread_mutex_unlock(&desk->lock);
}

void fpi_desk_heard(fp_jobs *jobs)
{
    pthread_mutex_lock(&jobs->desk.lock);
    jobs->desk.owed -= jobs->desk.owed > 0;
    pthread_mutex_unlock(&jobs->desk.lock);
}

/* A visit lives on the stack of its caller, and is gone once that caller has got the lock. */
static void hand_out(fpi_desk *desk, fpi_visit **visits, size_t count, const fpi_visit *own)
{
    pthread_mutex_lock(&desk->lock);
    desk->last_count = count + desk->waiting;
    if (desk->last_count > FPI_DESK_MAX)
        desk->last_count = FPI_DESK_MAX;
    for (size_t i = 0; i < count; i++) {
        visits[i]->done = true;
        if (visits[i] != own)
            pthread_cond_signal(&visits[i]->wake);
    }
    desk->led = desk->first != NULL;
    if (desk->first) {
        desk->first->lead = true;
        pthread_cond_signal(&desk->first->wake);
    }
    pthread_mutex_unlock(&desk->lock);
}

static void lead(fp_jobs *jobs, const fpi_visit *own)
{
    fpi_visit *visits[FPI_DESK_MAX];
    size_t count = take_waiting(&jobs->desk, visits);
    int64_t began = now_ns();

    serve(jobs, visits, count);
    jobs->desk.last_ns = now_ns() - began;
    take_bells(jobs, visits, count);
    hand_out(&jobs->desk, visits, count, own);
}

fp_status fpi_desk_visit(fp_jobs *jobs, fpi_visit *visit, fp_error *err)
{
    fpi_desk *desk = &jobs->desk;
    bool leads;

    visit->behind = NULL;
    visit->done = false;
    pthread_cond_init(&visit->wake, NULL);
    pthread_mutex_lock(&desk->lock);
    *desk->last = visit;
    desk->last = &visit->behind;
    if (++desk->waiting == desk->hoped_for)
        pthread_cond_signal(&desk->full);
    visit->lead = !desk->led;
    desk->led = true;
    while (!visit->lead && !visit->done)
        pthread_cond_wait(&visit->wake, &desk->lock);
    leads = !visit->done;
    pthread_mutex_unlock(&desk->lock);
    if (leads)
        lead(jobs, visit);
    pthread_cond_destroy(&visit->wake);
    if (visit->rc < 0 && err)
        *err = visit->err;
    return visit->rc;
}
