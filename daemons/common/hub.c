/* Owns: who watches which upload, and handing them its latest state without ever waiting for them.
 * Must not know: WebSockets; a watcher is reached by a pair of functions. */
#include "hub.h"
#include "percentage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ID_SIZE FPD_HUB_ID_SIZE
#define BUCKETS 256u

struct fpd_watcher {
    fpd_hub *hub;
    fpd_watcher *next,
        **place; /* in its bucket, beside the others of the upload; guarded by the hub's lock */
    char upload_id[ID_SIZE];
    pthread_mutex_t lock; /* guards what follows */
    fpd_socket_link link; /* wake is NULL before the start */
    char message[FPD_SOCKET_TEXT_MAX];
    size_t message_size; /* 0 = nothing to send */
    size_t last_size;    /* of what stands in message, sent or not */
    uint64_t chunks;     /* of the latest state */
    bool seen, ended;    /* a state was published; a final one was */
    bool dropped;        /* the server wants it to end */
};

struct fpd_hub {
    pthread_mutex_t lock;
    fpd_watcher *buckets[BUCKETS];
    size_t count, limit;
    size_t streams, stream_limit; /* who watches otherwise */
    atomic_size_t active;         /* the same as count, for a look without the lock */
    bool closed;
    fpd_metric *watchers;
    void (*changed)(void *self, const char *upload_id, bool watched); /* NULL = nobody asks */
    void *changed_self;
};

fpd_hub *fpd_hub_new(size_t max_watchers, size_t max_streams, fpd_metrics *metrics)
{
    const fpd_metric_spec spec = { .name = "fileproc_progress_watchers",
                                   .help = "WebSockets and event streams that are open.",
                                   .kind = FPD_GAUGE };
    fpd_hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return NULL;
    hub->limit = max_watchers;
    hub->stream_limit = max_streams;
    hub->watchers = fpd_metrics_add(metrics, &spec);
    pthread_mutex_init(&hub->lock, NULL);
    if (!hub->watchers) {
        fpd_hub_free(hub);
        return NULL;
    }
    return hub;
}

void fpd_hub_free(fpd_hub *hub)
{
    if (!hub)
        return;
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

/* FNV-1a */
static fpd_watcher **bucket_of(fpd_hub *hub, const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &hub->buckets[hash % BUCKETS];
}

static void count_watchers(fpd_hub *hub)
{
    atomic_store(&hub->active, hub->count);
    fpd_metric_set(hub->watchers, NULL, (int64_t)(hub->count + hub->streams));
}

/* With the lock. Where the watchers of an upload begin, which stand together; or the bucket's end. */
static fpd_watcher **first_of(fpd_hub *hub, const char *id)
{
    fpd_watcher **place = bucket_of(hub, id);

    while (*place && strcmp((*place)->upload_id, id) != 0)
        place = &(*place)->next;
    return place;
}

/* With the lock. */
static void put_in(fpd_watcher *w, fpd_watcher **place)
{
    w->next = *place;
    w->place = place;
    if (w->next)
        w->next->place = &w->next;
    *place = w;
}

static void tell_interest(const fpd_hub *hub, const char *id, bool watched)
{
    if (hub->changed)
        hub->changed(hub->changed_self, id, watched);
}

/* With the lock. */
static bool count_in(fpd_hub *hub, size_t *count, size_t limit)
{
    if (hub->closed || *count >= limit)
        return false;
    ++*count;
    count_watchers(hub);
    return true;
}

/* With the lock. */
static void count_out(fpd_hub *hub, size_t *count)
{
    --*count;
    count_watchers(hub);
}

bool fpd_hub_take_place(fpd_hub *hub)
{
    bool taken;

    pthread_mutex_lock(&hub->lock);
    taken = count_in(hub, &hub->streams, hub->stream_limit);
    pthread_mutex_unlock(&hub->lock);
    return taken;
}

void fpd_hub_give_place(fpd_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    count_out(hub, &hub->streams);
    pthread_mutex_unlock(&hub->lock);
}

static bool take_place(fpd_hub *hub, fpd_watcher *w)
{
    bool free_place;

    pthread_mutex_lock(&hub->lock);
    free_place = count_in(hub, &hub->count, hub->limit);
    if (free_place) {
        fpd_watcher **place = first_of(hub, w->upload_id);

        if (!*place)
            tell_interest(hub, w->upload_id, true);
        put_in(w, place);
    }
    pthread_mutex_unlock(&hub->lock);
    return free_place;
}

static void leave_place(fpd_watcher *w)
{
    pthread_mutex_lock(&w->hub->lock);
    *w->place = w->next;
    if (w->next)
        w->next->place = w->place;
    count_out(w->hub, &w->hub->count);
    if (!*first_of(w->hub, w->upload_id))
        tell_interest(w->hub, w->upload_id, false);
    pthread_mutex_unlock(&w->hub->lock);
}

static void release(fpd_watcher *w)
{
    pthread_mutex_destroy(&w->lock);
    free(w);
}

fpd_watcher *fpd_watcher_new(fpd_hub *hub, const char *upload_id)
{
    fpd_watcher *w;

    if (strlen(upload_id) >= ID_SIZE)
        return NULL;
    w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->hub = hub;
    memcpy(w->upload_id, upload_id, strlen(upload_id) + 1);
    pthread_mutex_init(&w->lock, NULL);
    if (!take_place(hub, w)) {
        release(w);
        return NULL;
    }
    return w;
}

static bool is_final(const char *status)
{
    return strcmp(status, "completed") == 0 || strcmp(status, "cancelled") == 0 ||
           strcmp(status, "failed") == 0;
}

/* What is said of a state; written once for all who watch. */
typedef struct message {
    char text[FPD_SOCKET_TEXT_MAX];
    size_t size;
} message;

static void write_message(message *m, const fp_upload *upload)
{
    double percentage =
        fpd_percentage(upload->chunks_uploaded, upload->total_chunks, upload->size_unknown);
    int n = snprintf(m->text, sizeof(m->text),
                     "{\"upload_id\":\"%.63s\",\"chunks_uploaded\":%llu,\"total_chunks\":%llu,"
                     "\"percentage\":%.2f,\"status\":\"%s\"}",
                     upload->id, (unsigned long long)upload->chunks_uploaded,
                     (unsigned long long)upload->total_chunks, percentage, upload->status);

    m->size = n > 0 && (size_t)n < sizeof(m->text) ? (size_t)n : 0;
}

static bool is_news(const fpd_watcher *w, const message *m)
{
    return m->size != w->last_size || memcmp(m->text, w->message, m->size) != 0;
}

/* Two uploaders may publish in the other order than they stored: a watcher never goes back. Nor is he told twice what somebody has
 * only looked at again. */
static void hand_over(fpd_watcher *w, const fp_upload *upload, const message *m, bool only_first)
{
    pthread_mutex_lock(&w->lock);
    if (!(w->seen && (only_first || w->ended || upload->chunks_uploaded < w->chunks)) &&
        is_news(w, m)) {
        w->seen = true;
        w->ended = is_final(upload->status);
        w->chunks = upload->chunks_uploaded;
        memcpy(w->message, m->text, m->size);
        w->message_size = w->last_size = m->size;
        if (w->link.wake)
            w->link.wake(w->link.self);
    }
    pthread_mutex_unlock(&w->lock);
}

void fpd_watcher_start(fpd_watcher *w, const fpd_socket_link *link, const fp_upload *first)
{
    message m;

    if (first) {
        write_message(&m, first);
        hand_over(w, first, &m, true);
    }
    pthread_mutex_lock(&w->lock);
    w->link = *link;
    if (w->dropped)
        link->drop(link->self);
    else if (w->message_size > 0)
        link->wake(link->self);
    pthread_mutex_unlock(&w->lock);
}

size_t fpd_watcher_take(fpd_watcher *w, char text[FPD_SOCKET_TEXT_MAX])
{
    size_t size;

    pthread_mutex_lock(&w->lock);
    size = w->message_size;
    memcpy(text, w->message, size);
    w->message_size = 0;
    pthread_mutex_unlock(&w->lock);
    return size;
}

static void drop(fpd_watcher *w)
{
    pthread_mutex_lock(&w->lock);
    w->dropped = true;
    if (w->link.drop)
        w->link.drop(w->link.self);
    pthread_mutex_unlock(&w->lock);
}

void fpd_watcher_free(fpd_watcher *w)
{
    if (!w)
        return;
    leave_place(w);
    release(w);
}

void fpd_hub_publish(fpd_hub *hub, const fp_upload *upload)
{
    fpd_watcher *w;
    message m;

    if (atomic_load(&hub->active) == 0)
        return;
    pthread_mutex_lock(&hub->lock);
    w = *first_of(hub, upload->id);
    if (w)
        write_message(&m, upload);
    for (; w && strcmp(w->upload_id, upload->id) == 0; w = w->next)
        hand_over(w, upload, &m, false);
    pthread_mutex_unlock(&hub->lock);
}

void fpd_hub_set_interest(fpd_hub *hub,
                          void (*changed)(void *self, const char *upload_id, bool watched),
                          void *self)
{
    pthread_mutex_lock(&hub->lock);
    hub->changed = changed;
    hub->changed_self = self;
    pthread_mutex_unlock(&hub->lock);
}

size_t fpd_hub_watched(fpd_hub *hub, char (*ids)[FPD_HUB_ID_SIZE], size_t most)
{
    size_t count = 0;

    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const fpd_watcher *w = hub->buckets[i], *last = NULL; w && count < most;
             last = w, w = w->next)
            if (!last || strcmp(last->upload_id, w->upload_id) != 0)
                memcpy(ids[count++], w->upload_id, FPD_HUB_ID_SIZE);
    pthread_mutex_unlock(&hub->lock);
    return count;
}

void fpd_hub_close(fpd_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->closed = true;
    for (size_t i = 0; i < BUCKETS; i++)
        for (fpd_watcher *w = hub->buckets[i]; w; w = w->next)
            drop(w);
    pthread_mutex_unlock(&hub->lock);
}
