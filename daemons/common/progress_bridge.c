/* Owns: progress of uploads and jobs between daemons: what happens here is told through the cache, and what others tell comes to hub
 * and feed.
 * Must not know: WebSockets, event streams, Redis.
 *
 * Who watches one upload by the hub listens to a channel of that upload's. The feed listens to one on which everything is told, from when
 * it is first wanted on and then for good: it numbers what it hears, and who comes back goes on where he was.
 *
 * An uploader only puts its latest state into a list. What the cache does not take stays there, the latest state of each upload;
 * when there are too many the oldest is dropped. A watcher that missed something is told the truth when the channel is heard
 * again, and every now and then in any case: a daemon may die between a commit and the telling. */
#include "progress_bridge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "log.h"

#define CHANNEL "progress."
#define CHANNEL_ALL "events"
#define ID_SIZE FPD_HUB_ID_SIZE
#define WAITING_MAX 256u
#define RECEIVE_MS 500u
#define RETRY_NS INT64_C(200000000)
#define LOOK_EVERY_MS INT64_C(30000)
/* On average no more often, however many are watched: a look may be a query and a list of the store. */
#define LOOK_NS INT64_C(20000000)

/* The latest of an upload, a job, or a file. Ids that there are not are "-". */
typedef struct state {
    char id[ID_SIZE];
    char file_id[FPD_FEED_ID_SIZE], job_id[FPD_FEED_ID_SIZE];
    char status[16];
    bool is_job, is_file;
    uint64_t chunks, total; /* of an upload */
    unsigned size_unknown;
    double progress; /* of a job */
} state;

struct fpd_progress_bridge {
    fpd_progress_bridge_options o;
    char origin[17]; /* by which a daemon knows its own messages */
    fp_subscription *sub;
    fpd_metric *sent, *dropped;
    char (*watched)[ID_SIZE]; /* max_watchers; the listener's */
    pthread_t teller, listener;
    bool telling, listening; /* the threads run */
    atomic_bool follows;     /* the feed listens */
    pthread_mutex_t lock;    /* guards what follows */
    pthread_cond_t news;
    state waiting[WAITING_MAX]; /* a ring; one entry per upload */
    size_t first, count;
    bool stopping;
};

/* ---- telling ---- */

static state *entry(fpd_progress_bridge *b, size_t i)
{
    return &b->waiting[(b->first + i) % WAITING_MAX];
}

static state *find(fpd_progress_bridge *b, const char *id)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(entry(b, i)->id, id) == 0)
            return entry(b, i);
    return NULL;
}

/* With the lock. */
static state *take_entry(fpd_progress_bridge *b)
{
    if (b->count == WAITING_MAX) {
        b->first = (b->first + 1) % WAITING_MAX;
        b->count--;
        fpd_metric_count(b->dropped, NULL, 1);
    }
    return entry(b, b->count++);
}

static bool is_open(const char *status)
{
    return strcmp(status, "initiated") == 0 || strcmp(status, "uploading") == 0;
}

static bool copy(char *to, size_t capacity, const char *text)
{
    size_t size = strlen(text) + 1;

    if (size > capacity)
        return false;
    memcpy(to, text, size);
    return true;
}

/* Two uploaders may tell in the other order than they stored. Those of a job or file come in order. */
static bool is_newer(const state *s, const state *than)
{
    return s->is_job || s->is_file ||
           (is_open(than->status) && (s->chunks >= than->chunks || !is_open(s->status)));
}

static void add(fpd_progress_bridge *b, const state *s)
{
    state *e;

    pthread_mutex_lock(&b->lock);
    e = find(b, s->id);
    if (!e)
        *take_entry(b) = *s;
    else if (is_newer(s, e))
        *e = *s;
    pthread_cond_signal(&b->news);
    pthread_mutex_unlock(&b->lock);
}

void fpd_progress_bridge_tell(fpd_progress_bridge *b, const fp_upload *upload)
{
    state s = { .chunks = upload->chunks_uploaded,
                .total = upload->total_chunks,
                .size_unknown = upload->size_unknown };

    if (copy(s.id, sizeof(s.id), upload->id) &&
        copy(s.file_id, sizeof(s.file_id), upload->file_id ? upload->file_id : "-") &&
        copy(s.job_id, sizeof(s.job_id), upload->job_id ? upload->job_id : "-") &&
        copy(s.status, sizeof(s.status), upload->status))
        add(b, &s);
}

void fpd_progress_bridge_tell_job(fpd_progress_bridge *b, const char *job_id, const char *file_id,
                                  const char *job_state, double progress)
{
    state s = { .is_job = true, .progress = progress };

    if (copy(s.id, sizeof(s.id), job_id) && copy(s.job_id, sizeof(s.job_id), job_id) &&
        copy(s.file_id, sizeof(s.file_id), file_id) && copy(s.status, sizeof(s.status), job_state))
        add(b, &s);
}

void fpd_progress_bridge_tell_file(fpd_progress_bridge *b, const char *file_id, const char *outcome)
{
    state s = { .is_file = true };

    if (copy(s.id, sizeof(s.id), file_id) && copy(s.file_id, sizeof(s.file_id), file_id) &&
        copy(s.status, sizeof(s.status), outcome))
        add(b, &s);
}

/* With the lock: the first entry, or false when it is time to end. */
static bool wait_for_entry(fpd_progress_bridge *b, state *s)
{
    while (b->count == 0 && !b->stopping)
        pthread_cond_wait(&b->news, &b->lock);
    if (b->count == 0)
        return false;
    *s = *entry(b, 0);
    b->first = (b->first + 1) % WAITING_MAX;
    b->count--;
    return true;
}

/* With the lock: unless something newer has come meanwhile, or there is no room. */
static void put_back(fpd_progress_bridge *b, const state *s)
{
    if (find(b, s->id) || b->count == WAITING_MAX) {
        fpd_metric_count(b->dropped, NULL, 1);
        return;
    }
    b->first = (b->first + WAITING_MAX - 1) % WAITING_MAX;
    b->count++;
    *entry(b, 0) = *s;
}

/* To those who watch this upload. */
static bool publish_upload(fpd_progress_bridge *b, const state *s)
{
    char channel[sizeof(CHANNEL) + ID_SIZE], text[128];
    int size =
        snprintf(text, sizeof(text), "%s %llu %llu %s %u", b->origin, (unsigned long long)s->chunks,
                 (unsigned long long)s->total, s->status, s->size_unknown);

    snprintf(channel, sizeof(channel), CHANNEL "%s", s->id);
    return fp_cache_publish(b->o.cache, channel, text, (size_t)size, NULL) == FILEPROC_OK;
}

/* To those who watch everything. */
static bool publish_event(fpd_progress_bridge *b, const state *s)
{
    char text[384];
    int size;

    if (s->is_job)
        size = snprintf(text, sizeof(text), "%s job %s %s %s %.4f", b->origin, s->job_id,
                        s->file_id, s->status, s->progress);
    else if (s->is_file)
        size = snprintf(text, sizeof(text), "%s file %s %s", b->origin, s->file_id, s->status);
    else
        size = snprintf(text, sizeof(text), "%s upload %s %llu %llu %s %s %s %u", b->origin, s->id,
                        (unsigned long long)s->chunks, (unsigned long long)s->total, s->status,
                        s->file_id, s->job_id, s->size_unknown);
    return fp_cache_publish(b->o.cache, CHANNEL_ALL, text, (size_t)size, NULL) == FILEPROC_OK;
}

static bool publish(fpd_progress_bridge *b, const state *s)
{
    if ((!s->is_job && !s->is_file && !publish_upload(b, s)) || !publish_event(b, s))
        return false;
    fpd_metric_count(b->sent, NULL, 1);
    return true;
}

static void *tell_loop(void *arg)
{
    fpd_progress_bridge *b = arg;
    state s;

    pthread_mutex_lock(&b->lock);
    while (wait_for_entry(b, &s)) {
        bool told, ending;

        pthread_mutex_unlock(&b->lock);
        told = publish(b, &s);
        pthread_mutex_lock(&b->lock);
        ending = b->stopping;
        if (!told)
            put_back(b, &s);
        if (!told && ending)
            break;
        if (!told) {
            pthread_mutex_unlock(&b->lock);
            nanosleep(&(struct timespec){ 0, RETRY_NS }, NULL);
            pthread_mutex_lock(&b->lock);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- listening ---- */

/* By the hub, with its lock: this must not wait. */
static void interest(void *self, const char *id, bool watched)
{
    fpd_progress_bridge *b = self;
    char channel[sizeof(CHANNEL) + ID_SIZE];
    fp_error err = { 0 };

    snprintf(channel, sizeof(channel), CHANNEL "%s", id);
    if (!watched)
        fp_subscription_remove(b->sub, channel);
    else if (fp_subscription_add(b->sub, channel, &err) < 0) /* then it is looked at now and then */
        fpd_log(FILEPROC_LOG_WARN, "progress", "%s", err.message);
}

/* The truth is in database and storage. */
static void look(const fpd_progress_bridge *b, const char *id)
{
    fp_upload *upload = NULL;

    if (fp_upload_get(b->o.uploads, id, &upload, NULL) == FILEPROC_OK)
        fpd_hub_publish(b->o.hub, upload);
    fp_upload_free(upload);
}

static size_t look_at_all(const fpd_progress_bridge *b)
{
    size_t count = fpd_hub_watched(b->o.hub, b->watched, b->o.max_watchers);

    for (size_t i = 0; i < count; i++)
        look(b, b->watched[i]);
    return count;
}

static void hear(const fpd_progress_bridge *b, const char *id, const char *text)
{
    unsigned long long chunks, total;
    char origin[17], status[16];
    unsigned size_unknown;

    if (sscanf(text, "%16s %llu %llu %15s %u", origin, &chunks, &total, status, &size_unknown) !=
            5 ||
        strcmp(origin, b->origin) == 0)
        return;
    fpd_hub_publish(b->o.hub, &(fp_upload){ .struct_size = sizeof(fp_upload),
                                            .id = id,
                                            .status = status,
                                            .chunks_uploaded = chunks,
                                            .total_chunks = total,
                                            .size_unknown = size_unknown });
}

/* NULL for an id that there is not. */
static const char *id_or_null(const char *id)
{
    return strcmp(id, "-") == 0 ? NULL : id;
}

/* What others tell of everything. */
static void follow(const fpd_progress_bridge *b, const char *text)
{
    char origin[17], id[FPD_FEED_ID_SIZE], file_id[FPD_FEED_ID_SIZE], job_id[FPD_FEED_ID_SIZE];
    char status[16];
    unsigned long long chunks, total;
    unsigned size_unknown;
    double progress;

    if (sscanf(text, "%16s", origin) != 1 || strcmp(origin, b->origin) == 0)
        return;
    if (sscanf(text, "%*s job %39s %39s %15s %lf", id, file_id, status, &progress) == 4)
        fpd_feed_job(b->o.feed, id, file_id, status, progress);
    else if (sscanf(text, "%*s file %39s %15s", file_id, status) == 2)
        fpd_feed_file(b->o.feed, file_id, status);
    else if (sscanf(text, "%*s upload %39s %llu %llu %15s %39s %39s %u", id, &chunks, &total,
                    status, file_id, job_id, &size_unknown) == 7)
        fpd_feed_upload(b->o.feed, &(fp_upload){ .struct_size = sizeof(fp_upload),
                                                 .id = id,
                                                 .status = status,
                                                 .file_id = id_or_null(file_id),
                                                 .job_id = id_or_null(job_id),
                                                 .chunks_uploaded = chunks,
                                                 .total_chunks = total,
                                                 .size_unknown = size_unknown });
}

void fpd_progress_bridge_follow(fpd_progress_bridge *b)
{
    fp_error err = { 0 };

    if (!b->o.feed || atomic_exchange(&b->follows, true))
        return;
    if (fp_subscription_add(b->sub, CHANNEL_ALL, &err) < 0) {
        fpd_log(FILEPROC_LOG_WARN, "progress", "%s", err.message);
        atomic_store(&b->follows, false); /* the next watcher tries it again */
    }
}

static bool is_stopping(fpd_progress_bridge *b)
{
    bool stopping;

    pthread_mutex_lock(&b->lock);
    stopping = b->stopping;
    pthread_mutex_unlock(&b->lock);
    return stopping;
}

static void receive(fpd_progress_bridge *b)
{
    fp_news news = FILEPROC_NEWS_INIT;
    fp_status rc = fp_subscription_receive(b->sub, RECEIVE_MS, &news, NULL);

    if (rc == FILEPROC_ERR_NOMEM)
        nanosleep(&(struct timespec){ 0, RETRY_NS }, NULL);
    if (rc < 0 || news.kind == FILEPROC_NEWS_NONE)
        return;
    if (strcmp(news.channel, CHANNEL_ALL) == 0) {
        if (news.kind == FILEPROC_NEWS_RESUMED)
            fpd_feed_gap(b->o.feed);
        else
            follow(b, news.data);
        return;
    }
    if (strncmp(news.channel, CHANNEL, sizeof(CHANNEL) - 1) != 0)
        return;
    if (news.kind == FILEPROC_NEWS_RESUMED)
        look(b, news.channel + sizeof(CHANNEL) - 1);
    else
        hear(b, news.channel + sizeof(CHANNEL) - 1, news.data);
}

static void *listen_loop(void *arg)
{
    fpd_progress_bridge *b = arg;
    int64_t every = (b->o.look_every_ms ? b->o.look_every_ms : LOOK_EVERY_MS) * 1000000;
    int64_t look_at = fpd_monotonic_ns() + every;

    while (!is_stopping(b)) {
        int64_t pause;

        receive(b);
        if (fpd_monotonic_ns() < look_at)
            continue;
        pause = (int64_t)look_at_all(b) * LOOK_NS;
        look_at = fpd_monotonic_ns() + (pause > every ? pause : every);
    }
    return NULL;
}

/* ---- start and stop ---- */

static bool add_metrics(fpd_progress_bridge *b)
{
    const fpd_metric_spec sent = { .name = "fileproc_progress_sent_total",
                                   .help = "Messages about progress told to the other daemons.",
                                   .kind = FPD_COUNTER };
    const fpd_metric_spec dropped = { .name = "fileproc_progress_dropped_total",
                                      .help = "Messages about progress that were not told in time.",
                                      .kind = FPD_COUNTER };

    b->sent = fpd_metrics_add(b->o.metrics, &sent);
    b->dropped = fpd_metrics_add(b->o.metrics, &dropped);
    return b->sent && b->dropped;
}

static void name_origin(fpd_progress_bridge *b)
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        number = (uint64_t)fpd_monotonic_ns();
    snprintf(b->origin, sizeof(b->origin), "%016llx", (unsigned long long)number);
}

static fp_status start_threads(fpd_progress_bridge *b, fp_error *err)
{
    fp_status rc = fp_cache_subscribe(b->o.cache, &b->sub, err);

    if (rc < 0)
        return rc;
    b->telling = pthread_create(&b->teller, NULL, tell_loop, b) == 0;
    if (b->telling && !b->o.hub)
        return FILEPROC_OK; /* nobody watches here */
    b->listening = b->telling && pthread_create(&b->listener, NULL, listen_loop, b) == 0;
    if (!b->listening)
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't start the threads for progress");
    fpd_hub_set_interest(b->o.hub, interest, b);
    return FILEPROC_OK;
}

fpd_progress_bridge *fpd_progress_bridge_start(const fpd_progress_bridge_options *options,
                                               fp_error *err)
{
    fpd_progress_bridge *b = calloc(1, sizeof(*b));

    if (!b) {
        (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
        return NULL;
    }
    b->o = *options;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->news, NULL);
    name_origin(b);
    b->watched = calloc(b->o.max_watchers + 1, sizeof(*b->watched));
    if (b->watched && add_metrics(b)) {
        if (start_threads(b, err) == FILEPROC_OK)
            return b;
    } else {
        (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
    }
    fpd_progress_bridge_stop(b);
    return NULL;
}

void fpd_progress_bridge_stop(fpd_progress_bridge *b)
{
    if (!b)
        return;
    if (b->o.hub)
        fpd_hub_set_interest(b->o.hub, NULL, NULL);
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_signal(&b->news);
    pthread_mutex_unlock(&b->lock);
    fp_subscription_wake(b->sub);
    if (b->telling)
        pthread_join(b->teller, NULL);
    if (b->listening)
        pthread_join(b->listener, NULL);
    fp_subscription_free(b->sub);
    pthread_cond_destroy(&b->news);
    pthread_mutex_destroy(&b->lock);
    free(b->watched);
    free(b);
}
