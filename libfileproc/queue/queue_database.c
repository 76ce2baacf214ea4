/* Owns: the driver "database": doorbells in memory, and an eye on what other processes write to the database.
 * Must not know: any table. The work itself is in the database, so nothing is lost with a doorbell.
 *
 * There is no thread of our own. Who waits also looks: each poll interval one of the receivers asks the database whether
 * somebody else has committed something, and if so all of them return to look for work. Where the database has a bell between
 * processes, one of the receivers listens for it instead; whoever sends what nobody here waits for, rings it. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/error_private.h"
#include "database/database_private.h"
#include "queue/queue_private.h"

/* Doorbells that nobody has heard. When there are more, the oldest is dropped: those that are left wake as many. */
#define MESSAGES_MAX 1024

typedef struct message {
    struct message *next;
    const fp_allocator *a;
    size_t size;
    bool acknowledged;
    char *body; /* behind the topic */
    char topic[];
} message;

/* A receiver that waits; lives on its stack. */
typedef struct waiter {
    struct waiter *next;
    const char *topic;
    pthread_cond_t wake;
    bool called; /* for a message that it has not taken yet */
} waiter;

typedef struct doorbells {
    fp_context *ctx;
    fp_database *db;
    int64_t poll_interval_ms;
    pthread_mutex_t lock; /* guards what follows */
    message *first;
    message **last;
    size_t count;
    waiter *waiters;
    waiter *listener;   /* the one of them that waits for the database's bell; NULL = none does */
    int64_t counter;    /* the database's, when it was looked at */
    int64_t poll_at_ms; /* monotonic: when it is looked at next */
    int64_t changed_ms; /* monotonic: when it was seen to have changed */
    uint64_t changes;   /* how often it was */
    bool woken;
    int wake_fd; /* wakes the listener; -1 = the database has no bell */
} doorbells;

static void bells_close(void *self)
{
    doorbells *d = self;
    message *m;

    if (!d)
        return;
    while ((m = d->first) != NULL) {
        d->first = m->next;
        fpi_free(m->a, m);
    }
    if (d->wake_fd >= 0)
        close(d->wake_fd);
    pthread_mutex_destroy(&d->lock);
    fpi_free(&d->ctx->a, d);
}
FPI_DEFINE_CLEANUP(doorbells, bells_close)

static fp_status bells_open(fp_context *ctx, const char *uri, const fp_queue_options *opts,
                            void **self, fp_error *err)
{
    FPI_CLEANUP(doorbells) d = NULL;
    fp_status rc;

    if (uri[strcspn(uri, ":") + 1])
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI of this queue is just database:");
    if (!opts->database)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the queue database: needs a database");
    d = fpi_calloc(&ctx->a, 1, sizeof(*d));
    if (!d)
        return fpi_no_memory(err);
    d->ctx = ctx;
    d->db = opts->database;
    d->poll_interval_ms = opts->poll_interval_ms;
    d->last = &d->first;
    d->changed_ms = INT64_MIN / 2;
    d->wake_fd = -1;
    pthread_mutex_init(&d->lock, NULL);
    if (fpi_database_can_wait(d->db)) {
        d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (d->wake_fd < 0)
            return fpi_error_errno(err, errno, "queue");
    }
    rc = fpi_database_change_counter(d->db, &d->counter, err);
    if (rc < 0)
        return rc;
    *self = fpi_steal(&d);
    return FILEPROC_OK;
}

static void call(const doorbells *d, waiter *w)
{
    if (w == d->listener)
        (void)eventfd_write(d->wake_fd, 1);
    else
        pthread_cond_signal(&w->wake);
}

/* False when nobody waits. */
static bool call_one(doorbells *d, const char *topic)
{
    for (waiter *w = d->waiters; w; w = w->next) {
        if (w->called || strcmp(w->topic, topic) != 0)
            continue;
        w->called = true;
        call(d, w);
        return true;
    }
    return false;
}

static void call_all(doorbells *d)
{
    for (waiter *w = d->waiters; w; w = w->next)
        call(d, w);
}

static void drop_first(doorbells *d)
{
    message *m = d->first;

    d->first = m->next;
    if (!d->first)
        d->last = &d->first;
    d->count--;
    fpi_free(m->a, m);
}

static fp_status bells_send(void *self, const char *topic, const void *body, size_t size,
                            uint32_t flags, fp_error *err)
{
    size_t topic_size = strlen(topic) + 1;
    doorbells *d = self;
    message *m = fpi_calloc(&d->ctx->a, 1, sizeof(*m) + topic_size + size + 1);
    bool heard;

    (void)flags;
    if (!m)
        return fpi_no_memory(err);
    m->a = &d->ctx->a;
    m->size = size;
    m->body = m->topic + topic_size;
    memcpy(m->topic, topic, topic_size);
    if (size)
        memcpy(m->body, body, size);
    pthread_mutex_lock(&d->lock);
    if (d->count == MESSAGES_MAX)
        drop_first(d);
    *d->last = m;
    d->last = &m->next;
    d->count++;
    heard = call_one(d, topic);
    pthread_mutex_unlock(&d->lock);
    if (!heard)
        (void)fpi_database_ring(d->db, NULL);
    return FILEPROC_OK;
}

/* NULL when there is none. */
static message *take(doorbells *d, const char *topic)
{
    for (message **at = &d->first; *at; at = &(*at)->next) {
        message *m = *at;

        if (strcmp(m->topic, topic) != 0)
            continue;
        *at = m->next;
        if (!m->next)
            d->last = at;
        m->next = NULL;
        d->count--;
        return m;
    }
    return NULL;
}

static void note_change(doorbells *d)
{
    d->changed_ms = fpi_monotonic_ms();
    d->changes++;
    call_all(d);
}

/* With the lock, which is let go meanwhile. A look that fails counts as a change: the receiver meets the trouble itself. */
static void poll_database(doorbells *d)
{
    int64_t counter = 0;
    fp_status rc;

    d->poll_at_ms = fpi_monotonic_ms() + d->poll_interval_ms;
    pthread_mutex_unlock(&d->lock);
    rc = fpi_database_change_counter(d->db, &counter, NULL);
    pthread_mutex_lock(&d->lock);
    if (rc == FILEPROC_OK && counter == d->counter)
        return;
    d->counter = rc == FILEPROC_OK ? counter : d->counter;
    note_change(d);
}

static void wait_until(doorbells *d, waiter *w, int64_t ms)
{
    struct timespec at = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

    (void)pthread_cond_timedwait(&w->wake, &d->lock, &at);
}

/* With the lock, which is let go meanwhile. While the database can't be reached that counts as a change, too, after an
 * interval. */
static void listen_until(doorbells *d, waiter *w, int64_t ms)
{
    int64_t now = fpi_monotonic_ms();
    int32_t changed = 0;
    eventfd_t calls;
    fp_status rc;

    d->listener = w;
    pthread_mutex_unlock(&d->lock);
    rc = fpi_database_wait_change(d->db, d->wake_fd, ms > now ? (uint32_t)(ms - now) : 0, &changed,
                                  NULL);
    pthread_mutex_lock(&d->lock);
    d->listener = NULL;
    (void)eventfd_read(d->wake_fd, &calls);
    if (rc < 0)
        wait_until(d, w, now + d->poll_interval_ms);
    if (rc < 0 || changed)
        note_change(d);
}

/* One look, or one wait, at most until ms. */
static void wait_or_look(doorbells *d, waiter *w, int64_t ms)
{
    if (d->wake_fd >= 0 && !d->listener)
        listen_until(d, w, ms);
    else if (d->wake_fd >= 0)
        wait_until(d, w, ms);
    else if (fpi_monotonic_ms() >= d->poll_at_ms)
        poll_database(d);
    else
        wait_until(d, w, d->poll_at_ms < ms ? d->poll_at_ms : ms);
}

/*
 * Another process's commit that came after the caller had looked for work, but that another receiver noticed before this one
 * began to wait, would be missed. So a change that was noticed less than an interval before counts as one of
 * this wait's: the receiver returns for it, once an interval has passed.
 */
static message *wait_for_one(doorbells *d, waiter *w, uint32_t timeout_ms)
{
    int64_t began = fpi_monotonic_ms(), end = began + timeout_ms;
    bool fresh = began - d->changed_ms < d->poll_interval_ms;
    uint64_t changes = d->changes;
    int64_t now = began;
    message *m = NULL;

    while (!d->woken && !(m = take(d, w->topic)) && now < end && d->changes == changes &&
           !(fresh && now - began >= d->poll_interval_ms)) {
        w->called = false;
        wait_or_look(
            d, w, fresh && began + d->poll_interval_ms < end ? began + d->poll_interval_ms : end);
        now = fpi_monotonic_ms();
    }
    return m;
}

static void add_waiter(doorbells *d, waiter *w)
{
    pthread_condattr_t attr;
    waiter **at = &d->waiters;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    while (*at)
        at = &(*at)->next;
    *at = w; /* who waits longest is called first */
}

static void remove_waiter(doorbells *d, waiter *w)
{
    waiter **at = &d->waiters;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_cond_destroy(&w->wake);
}

static fp_status bells_receive(void *self, const char *topic, uint32_t timeout_ms, void **m,
                               const char **body, size_t *size, uint32_t flags, fp_error *err)
{
    waiter w = { .topic = topic };
    doorbells *d = self;
    message *received;

    (void)flags, (void)err;
    pthread_mutex_lock(&d->lock);
    received = d->woken ? NULL : take(d, topic);
    if (!received && !d->woken && timeout_ms) {
        add_waiter(d, &w);
        received = wait_for_one(d, &w, timeout_ms);
        remove_waiter(d, &w);
        if (d->wake_fd >= 0 && !d->listener && d->waiters)
            call(d, d->waiters); /* to listen in its place */
    }
    pthread_mutex_unlock(&d->lock);
    *m = received;
    if (received) {
        *body = received->body;
        *size = received->size;
    }
    return FILEPROC_OK;
}

static size_t bells_discard(void *self, const char *topic, size_t most)
{
    doorbells *d = self;
    size_t count = 0;
    message *m;

    pthread_mutex_lock(&d->lock);
    while (count < most && (m = take(d, topic)) != NULL) {
        fpi_free(m->a, m);
        count++;
    }
    pthread_mutex_unlock(&d->lock);
    return count;
}

static void bells_wake(void *self)
{
    doorbells *d = self;

    pthread_mutex_lock(&d->lock);
    d->woken = true;
    call_all(d);
    pthread_mutex_unlock(&d->lock);
}

static fp_status bells_ack(void *self, void *m, fp_error *err)
{
    (void)self, (void)err;
    ((message *)m)->acknowledged = true;
    return FILEPROC_OK;
}

/* What was not acknowledged is heard again, and first, unless newer ones have taken its place. */
static void bells_message_free(void *self, void *m)
{
    doorbells *d = self;
    message *returned = m;

    pthread_mutex_lock(&d->lock);
    if (!returned->acknowledged && d->count < MESSAGES_MAX) {
        returned->next = d->first;
        if (!d->first)
            d->last = &returned->next;
        d->first = returned;
        d->count++;
        call_one(d, returned->topic);
        returned = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    if (returned)
        fpi_free(returned->a, returned);
}

static fp_status bells_ping(void *self, fp_error *err)
{
    doorbells *d = self;
    int64_t counter;

    return fpi_database_change_counter(d->db, &counter, err);
}

const fp_queue_driver fpi_queue_database_driver = {
    FILEPROC_QUEUE_DRIVER_INIT("database"),
    .open = bells_open,
    .close = bells_close,
    .send = bells_send,
    .receive = bells_receive,
    .wake = bells_wake,
    .ack = bells_ack,
    .message_free = bells_message_free,
    .ping = bells_ping,
    .discard = bells_discard,
};
