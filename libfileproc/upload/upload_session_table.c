/* Owns: which upload sessions are in memory, who holds them, and which are dropped first.
 * Must not know: what a session knows, and how it comes to know it. */
#include <string.h>

#include "upload/upload_private.h"

#define BUCKETS 1024u
/* How many sessions are kept that nobody holds at the moment. Each may have two descriptors open. */
#define IDLE_MAX 128u

/* FNV-1a. Half of an id is random, but the half in front is the time. */
static size_t bucket_of(const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return hash % BUCKETS;
}

fp_status fpi_sessions_init(fp_uploads *ups, fp_error *err)
{
    fpi_session_table *t = &ups->sessions;

    t->buckets = fpi_calloc(&ups->ctx->a, BUCKETS, sizeof(*t->buckets));
    if (!t->buckets)
        return fpi_no_memory(err);
    pthread_mutex_init(&t->lock, NULL);
    return FILEPROC_OK;
}

void fpi_session_drop(fp_uploads *ups, fpi_session *s)
{
    if (!s)
        return;
    fp_assembly_close(s->assembly);
    fp_upload_free(s->facts);
    fpi_ranges_dispose(&s->durable, &ups->ctx->a);
    pthread_cond_destroy(&s->calmer);
    pthread_mutex_destroy(&s->lock);
    fpi_free(&ups->ctx->a, s);
}

void fpi_sessions_dispose(fp_uploads *ups)
{
    fpi_session_table *t = &ups->sessions;

    if (!t->buckets)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (t->buckets[i]) {
            fpi_session *s = t->buckets[i];

            t->buckets[i] = s->next;
            fpi_session_drop(ups, s);
        }
    fpi_free(&ups->ctx->a, fpi_steal(&t->buckets));
    pthread_mutex_destroy(&t->lock);
}

fpi_session *fpi_session_blank(fp_uploads *ups, const char *id)
{
    fpi_session *s = fpi_calloc(&ups->ctx->a, 1, sizeof(*s));

    if (!s)
        return NULL;
    memcpy(s->id, id, FPI_UUID_SIZE);
    s->refs = 1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->calmer, NULL);
    return s;
}

static void link_bucket(fpi_session_table *t, fpi_session *s)
{
    fpi_session **bucket = &t->buckets[bucket_of(s->id)];

    s->next = *bucket;
    *bucket = s;
}

static void unlink_bucket(fpi_session_table *t, const fpi_session *s)
{
    fpi_session **at = &t->buckets[bucket_of(s->id)];

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

static void link_idle(fpi_session_table *t, fpi_session *s)
{
    s->newer = NULL;
    s->older = t->newest;
    if (s->older)
        s->older->newer = s;
    else
        t->oldest = s;
    t->newest = s;
    t->idle++;
}

static void unlink_idle(fpi_session_table *t, fpi_session *s)
{
    if (s->newer)
        s->newer->older = s->older;
    else
        t->newest = s->older;
    if (s->older)
        s->older->newer = s->newer;
    else
        t->oldest = s->newer;
    t->idle--;
}

/* With the table's lock held: one holder more, or NULL. */
static fpi_session *find(fpi_session_table *t, const char *id)
{
    fpi_session *s = t->buckets[bucket_of(id)];

    while (s && strcmp(s->id, id) != 0)
        s = s->next;
    if (s && s->refs++ == 0)
        unlink_idle(t, s);
    return s;
}

fp_status fpi_session_acquire(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err)
{
    fpi_session_table *t = &ups->sessions;
    fpi_session *s, *blank;

    pthread_mutex_lock(&t->lock);
    s = find(t, id);
    pthread_mutex_unlock(&t->lock);
    if (!s) {
        blank = fpi_session_blank(ups, id);
        if (!blank)
            return fpi_no_memory(err);
        pthread_mutex_lock(&t->lock);
        s = find(t, id); /* somebody may have been faster */
        if (!s) {
            link_bucket(t, blank);
            s = fpi_steal(&blank);
        }
        pthread_mutex_unlock(&t->lock);
        fpi_session_drop(ups, blank);
    }
    *out = s;
    return FILEPROC_OK;
}

void fpi_session_add(fp_uploads *ups, fpi_session *s)
{
    fpi_session_table *t = &ups->sessions;

    pthread_mutex_lock(&t->lock);
    link_bucket(t, s);
    pthread_mutex_unlock(&t->lock);
}

/* One holder less. What this answers has lost its last holder and is to be dropped; *surplus is held again, and to be
 * forgotten. A session that is not loaded, or has ended, is worth nothing to the next who asks. */
static fpi_session *let_go(fpi_session_table *t, fpi_session *s, fpi_session **surplus)
{
    fpi_session *dropped = NULL;

    *surplus = NULL;
    pthread_mutex_lock(&t->lock);
    if (--s->refs == 0) {
        if (!s->loaded || s->state != FPI_UPLOAD_OPEN) {
            unlink_bucket(t, s);
            dropped = s;
        } else {
            link_idle(t, s);
        }
    }
    if (t->idle > IDLE_MAX) {
        *surplus = t->oldest;
        unlink_idle(t, *surplus);
        (*surplus)->refs = 1;
    }
    pthread_mutex_unlock(&t->lock);
    return dropped;
}

/* The assembly is closed before the session leaves the table: who asks for it meanwhile waits, and opens it again. */
static void forget(fp_uploads *ups, fpi_session *s)
{
    pthread_mutex_lock(&s->lock);
    if (!s->busy && s->pins == 0) {
        s->loaded = false;
        fpi_session_enter(s);
        fp_assembly_close(fpi_steal(&s->assembly));
        fpi_session_leave(ups, s);
    }
    pthread_mutex_unlock(&s->lock);
}

void fpi_session_release(fp_uploads *ups, fpi_session *s)
{
    while (s) {
        fpi_session *surplus;

        fpi_session_drop(ups, let_go(&ups->sessions, s, &surplus));
        if (surplus)
            forget(ups, surplus);
        s = surplus;
    }
}

fp_status fpi_session_claim(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err)
{
    fpi_session *s = NULL;
    fp_status rc = fpi_session_acquire(ups, id, &s, err);

    if (!s)
        return rc;
    pthread_mutex_lock(&s->lock);
    if (s->busy || s->pins) {
        pthread_mutex_unlock(&s->lock);
        fpi_session_release(ups, s);
        *out = NULL;
        return FILEPROC_OK;
    }
    fpi_session_enter(s);
    *out = s;
    return FILEPROC_OK;
}

void fpi_session_unclaim(fp_uploads *ups, fpi_session *s)
{
    fpi_session_leave(ups, s);
    pthread_mutex_unlock(&s->lock);
    fpi_session_release(ups, s);
}
