/* Owns: what happened lately to uploads and jobs, in order and numbered, for those who watch and those who come back.
 * Must not know: HTTP, or how an event is written.
 *
 * There is one ring for all, and a watcher is a place in it: one more costs no memory here, and who is slow costs nobody anything but, when
 * the ring has gone round, himself the rest. Only those whom an event concerns are woken. */
#include "feed.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"

struct fpd_feed {
    uint64_t origin; /* the process's own mark */
    pthread_mutex_t lock;
    fpd_feed_watcher *watchers;
    bool closed;
    uint64_t newest;                   /* the number of the event that came last; the first is 1 */
    fpd_event events[FPD_FEED_EVENTS]; /* number N at N modulo their count */
};

fpd_feed *fpd_feed_new(void)
{
    fpd_feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        return NULL;
    if (getrandom(&feed->origin, sizeof(feed->origin), 0) != (ssize_t)sizeof(feed->origin))
        feed->origin = (uint64_t)fpd_monotonic_ns();
    pthread_mutex_init(&feed->lock, NULL);
    return feed;
}

void fpd_feed_free(fpd_feed *feed)
{
    if (!feed)
        return;
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

static fpd_event *event_at(fpd_feed *feed, uint64_t number)
{
    return &feed->events[number % FPD_FEED_EVENTS];
}

static uint64_t oldest(const fpd_feed *feed)
{
    return feed->newest < FPD_FEED_EVENTS ? 1 : feed->newest - FPD_FEED_EVENTS + 1;
}

/* What does not fit is no id of ours. */
static void copy(char *to, size_t capacity, const char *text)
{
    size_t size = text ? strlen(text) : 0;

    if (size >= capacity)
        size = 0;
    memcpy(to, text ? text : "", size);
    to[size] = '\0';
}

static bool concerns(const fpd_feed_watcher *w, const fpd_event *e)
{
    if (e->kind == FPD_EVENT_GAP)
        return true;
    if (!(w->kinds & e->kind))
        return false;
    if (!w->upload_id[0])
        return true;
    if (e->kind == FPD_EVENT_UPLOAD)
        return strcmp(w->upload_id, e->upload_id) == 0;
    return w->file_id[0] && strcmp(w->file_id, e->file_id) == 0;
}

/* With the lock. */
static void append(fpd_feed *feed, const fpd_event *event)
{
    fpd_event *e = event_at(feed, ++feed->newest);

    *e = *event;
    e->number = feed->newest;
    for (fpd_feed_watcher *w = feed->watchers; w; w = w->next) {
        if (!concerns(w, e)) {
            if (w->waiting && w->taken + 1 == e->number)
                w->taken = e->number; /* so that he is not behind when he looks */
            continue;
        }
        if (w->waiting)
            pthread_cond_signal(&w->news);
    }
}

/* With the lock. A job is rung for, and may even run, before its upload is told to be complete; who waits for the one upload hears of the
 * job only from then on. */
static void repeat_job(fpd_feed *feed, const char *file_id)
{
    for (uint64_t n = feed->newest; n >= oldest(feed); n--) {
        const fpd_event e = *event_at(feed, n);

        if (e.kind == FPD_EVENT_JOB && strcmp(e.file_id, file_id) == 0) {
            append(feed, &e);
            return;
        }
    }
}

void fpd_feed_upload(fpd_feed *feed, const fp_upload *upload)
{
    fpd_event e = { .kind = FPD_EVENT_UPLOAD,
                    .chunks = upload->chunks_uploaded,
                    .total = upload->total_chunks,
                    .size_unknown = upload->size_unknown };

    copy(e.upload_id, sizeof(e.upload_id), upload->id);
    copy(e.file_id, sizeof(e.file_id), upload->file_id);
    copy(e.job_id, sizeof(e.job_id), upload->job_id);
    copy(e.state, sizeof(e.state), upload->status);
    pthread_mutex_lock(&feed->lock);
    append(feed, &e);
    if (e.job_id[0])
        repeat_job(feed, e.file_id);
    pthread_mutex_unlock(&feed->lock);
}

void fpd_feed_job(fpd_feed *feed, const char *job_id, const char *file_id, const char *state,
                  double progress)
{
    fpd_event e = { .kind = FPD_EVENT_JOB, .progress = progress };

    copy(e.job_id, sizeof(e.job_id), job_id);
    copy(e.file_id, sizeof(e.file_id), file_id);
    copy(e.state, sizeof(e.state), state);
    pthread_mutex_lock(&feed->lock);
    append(feed, &e);
    pthread_mutex_unlock(&feed->lock);
}

void fpd_feed_file(fpd_feed *feed, const char *file_id, const char *outcome)
{
    fpd_event e = { .kind = FPD_EVENT_FILE };

    copy(e.file_id, sizeof(e.file_id), file_id);
    copy(e.state, sizeof(e.state), outcome);
    pthread_mutex_lock(&feed->lock);
    append(feed, &e);
    pthread_mutex_unlock(&feed->lock);
}

void fpd_feed_gap(fpd_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    append(feed, &(fpd_event){ .kind = FPD_EVENT_GAP });
    pthread_mutex_unlock(&feed->lock);
}

/* ---- watchers ---- */

void fpd_feed_number(const fpd_feed *feed, uint64_t number, char text[FPD_FEED_NUMBER_SIZE])
{
    snprintf(text, FPD_FEED_NUMBER_SIZE, "%016llx-%llu", (unsigned long long)feed->origin,
             (unsigned long long)number);
}

/* With the lock. Only what we write ourselves is a number of ours. */
static fpd_feed_start find_place(fpd_feed *feed, const char *text, uint64_t *taken)
{
    char own[FPD_FEED_NUMBER_SIZE];
    unsigned long long origin, number;

    *taken = feed->newest;
    if (!text)
        return FPD_FEED_NOW;
    if (strlen(text) >= sizeof(own) || sscanf(text, "%16llx-%20llu", &origin, &number) != 2 ||
        number > feed->newest)
        return FPD_FEED_FOREIGN;
    fpd_feed_number(feed, number, own);
    if (strcmp(own, text) != 0)
        return FPD_FEED_FOREIGN;
    if (number + 1 < oldest(feed))
        return FPD_FEED_OLD;
    *taken = number;
    return FPD_FEED_REPLAY;
}

fpd_feed_start fpd_feed_enter(fpd_feed *feed, fpd_feed_watcher *w, unsigned kinds,
                              const char *upload_id, const char *last_seen)
{
    fpd_feed_start start;
    pthread_condattr_t attr;

    *w = (fpd_feed_watcher){ .feed = feed, .kinds = kinds };
    copy(w->upload_id, sizeof(w->upload_id), upload_id);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->news, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&feed->lock);
    w->entered = feed->newest;
    start = find_place(feed, last_seen, &w->taken);
    w->next = feed->watchers;
    w->back = &feed->watchers;
    if (w->next)
        w->next->back = &w->next;
    feed->watchers = w;
    pthread_mutex_unlock(&feed->lock);
    return start;
}

void fpd_feed_leave(fpd_feed_watcher *w)
{
    pthread_mutex_lock(&w->feed->lock);
    *w->back = w->next;
    if (w->next)
        w->next->back = w->back;
    pthread_mutex_unlock(&w->feed->lock);
    pthread_cond_destroy(&w->news);
}

void fpd_feed_set_file(fpd_feed_watcher *w, const char *file_id)
{
    pthread_mutex_lock(&w->feed->lock);
    copy(w->file_id, sizeof(w->file_id), file_id);
    pthread_mutex_unlock(&w->feed->lock);
}

/* With the lock: passes over what does not concern him. Who watches one upload learns here which file it has become. */
static bool take(fpd_feed_watcher *w, fpd_event *out)
{
    while (w->taken < w->feed->newest) {
        const fpd_event *e = event_at(w->feed, ++w->taken);

        if (!concerns(w, e))
            continue;
        if (w->upload_id[0] && e->kind == FPD_EVENT_UPLOAD && e->file_id[0])
            memcpy(w->file_id, e->file_id, sizeof(w->file_id));
        *out = *e;
        return true;
    }
    return false;
}

static bool wait_until(fpd_feed_watcher *w, int64_t until_ns)
{
    const struct timespec at = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };
    int rc;

    w->waiting = true;
    rc = pthread_cond_timedwait(&w->news, &w->feed->lock, &at);
    w->waiting = false;
    return rc == 0;
}

/* With the lock. */
static fpd_feed_result look(fpd_feed_watcher *w, fpd_event *out)
{
    if (w->feed->closed)
        return FPD_FEED_CLOSED;
    if (w->taken + 1 < oldest(w->feed))
        return FPD_FEED_BEHIND;
    return take(w, out) ? FPD_FEED_EVENT : FPD_FEED_NOTHING;
}

fpd_feed_result fpd_feed_next(fpd_feed_watcher *w, int64_t timeout_ms, fpd_event *out)
{
    int64_t until = fpd_monotonic_ns() + timeout_ms * 1000000;
    fpd_feed_result result;

    pthread_mutex_lock(&w->feed->lock);
    result = look(w, out);
    while (result == FPD_FEED_NOTHING && fpd_monotonic_ns() < until) {
        wait_until(w, until);
        result = look(w, out);
    }
    pthread_mutex_unlock(&w->feed->lock);
    return result;
}

bool fpd_feed_is_over(fpd_feed_watcher *w)
{
    bool over;

    pthread_mutex_lock(&w->feed->lock);
    over = w->feed->closed || w->taken + 1 < oldest(w->feed);
    pthread_mutex_unlock(&w->feed->lock);
    return over;
}

void fpd_feed_close(fpd_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->closed = true;
    for (fpd_feed_watcher *w = feed->watchers; w; w = w->next)
        pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&feed->lock);
}
